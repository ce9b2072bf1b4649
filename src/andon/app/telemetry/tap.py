"""Where every log line comes by: kept first, then counted, passed on to who looks on, and examined."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from msgspec.structs import replace

from andon.adapters.telemetry.logs.asked import Asked
from andon.ports.telemetry import (
    LogBar,
    LogLine,
    LogPage,
    LogQuestion,
    LogStore,
    LogTemplate,
)

SIGN_OF_LIFE_SECONDS = 10.0
MOST_WAITING = 2_000
_NO_MARKS: Mapping[str, str] = {}
_log = logging.getLogger("andon.telemetry")

Listener = Callable[[Sequence[LogLine]], None]


class Tap:
    """A ``LogStore`` whose lines others hear of once they are kept.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self.listeners: list[Listener] = []

    def append(self, lines: Sequence[LogLine], marks: Mapping[str, str] = _NO_MARKS) -> int:
        """Keep lines, then pass them on; whoever hears them cannot undo that."""
        kept = self._store.append(lines, marks)
        for listener in [*self.listeners] if lines else []:
            try:
                listener(lines)
            except Exception:
                _log.exception("a listener of log lines failed; the lines are kept")
        return kept

    def marks(self) -> dict[str, str]:
        """Return how far sources were read."""
        return self._store.marks()

    def template_of(self, text: str) -> int:
        """Return the template of a line that was kept."""
        return self._store.template_of(text)

    def search(self, question: LogQuestion) -> LogPage:
        """Find lines."""
        return self._store.search(question)

    def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count templates."""
        return self._store.templates(question)

    def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count lines over time."""
        return self._store.histogram(question, bars)

    def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return label sets."""
        return self._store.label_sets(start_ns, end_ns)

    def seal(self) -> None:
        """Compress what came lately."""
        self._store.seal()

    def forget(self, before_ns: int, max_bytes: int) -> int:
        """Forget what is old or too much."""
        return self._store.forget(before_ns, max_bytes)

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()


class Tails:
    """Everybody who looks on as lines come.

    Args:
        store: Tells templates.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._tails: set[_Tail] = set()

    def __call__(self, lines: Sequence[LogLine]) -> None:
        """Pass lines on; called from any thread."""
        tails = [*self._tails]
        if tails:
            told = [replace(one, template=self._store.template_of(one.text)) for one in lines]
            for tail in tails:
                tail.offer(told)

    async def follow(self, asked: Asked) -> AsyncIterator[list[LogLine]]:
        """Yield what comes, oldest first; nothing at all now and then, as a sign of life."""
        tail = _Tail(asked, asyncio.get_running_loop())
        self._tails.add(tail)
        try:
            while True:
                yield await tail.next()
        finally:
            self._tails.discard(tail)


class _Tail:
    def __init__(self, asked: Asked, loop: asyncio.AbstractEventLoop) -> None:
        self._asked = asked
        self._loop = loop
        self._waiting: deque[LogLine] = deque(maxlen=MOST_WAITING)
        self._there = asyncio.Event()

    def offer(self, lines: Sequence[LogLine]) -> None:
        wanted = [one for one in lines if self._asked.wants_line(one)]
        if wanted:
            self._waiting.extend(wanted)  # Who reads too slowly misses the oldest.
            self._loop.call_soon_threadsafe(self._there.set)

    async def next(self) -> list[LogLine]:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_SECONDS):
                await self._there.wait()
        except TimeoutError:
            return []
        self._there.clear()
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found
