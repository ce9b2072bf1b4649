"""The news: one reads the store, however many listen, and nobody reads where nobody listens.

A reader who has heard less than the others, because it resumes or was too slow, catches up from the
store in pages. What is new meanwhile waits in its inbox, so that it joins the others by sequence:
without a gap, and without hearing anything twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import msgspec

from andon.api.v1.records import Object
from andon.app import queries
from andon.app.shapes import Json, event_json, run_json
from andon.kernel.clock import Clock
from andon.ports.news import HEARTBEAT_SECONDS, Item, Sees
from andon.ports.store import LedgerRow, Store, Tx

INBOX_EVENTS = 256
"""A reader who leaves more than this waiting hears them from the store instead."""
PAGE = 500
PROGRESS_SECONDS = 1.0
_PLACE = "env/"


def event_item(row: LedgerRow) -> Item:
    """Make an item of a ledger event."""
    environment = row.stream.removeprefix(_PLACE) if row.stream.startswith(_PLACE) else ""
    return Item("event", row.seq, "", environment, msgspec.json.encode(event_json(row)))


def progress_item(run: Object) -> Item:
    """Make an item of a Run's numbers."""
    shown = run_json(run)
    body = msgspec.json.encode({"kind": "progress", "run": shown})
    return Item("progress", 0, run.name, shown["environment"], body)


def events_after(seq: int, tx: Tx) -> list[Item]:
    """Return the next page of events."""
    return [event_item(row) for row in tx.events(after=seq, limit=PAGE)]


class Inbox:
    """What one reader has not heard yet.

    Events up to ``goal`` are to be read from the store; those behind it wait here. Of progress the
    newest of each Run waits.

    Args:
        seq: Of the last event heard.
        goal: Up to here the others have heard.
        sees: What the reader may hear of.
    """

    def __init__(self, seq: int, goal: int, sees: Sees | None) -> None:
        self.seq = seq
        self.goal = goal
        self._sees = sees
        self._events: deque[Item] = deque()
        self._progress: dict[str, Item] = {}

    @property
    def behind(self) -> bool:
        """Whether there is something to read from the store first."""
        return self.seq < self.goal

    def tell(self, items: Sequence[Item], seq: int) -> bool:
        """Put in what everybody is told.

        Args:
            items: Events in order and progress.
            seq: Of the last event there is.

        Returns:
            Whether there is anything to hear.
        """
        for item in self._visible(items):
            if item.kind == "event":
                self._events.append(item)
            else:
                self._progress[item.subject] = item
        if len(self._events) > INBOX_EVENTS:
            self._events.clear()
            self.goal = seq
        return bool(self._events or self._progress or self.behind)

    def take(self) -> list[Item]:
        """Take out all there is."""
        events = [item for item in self._events if item.seq > self.seq]
        taken = [*events, *self._progress.values()]
        self._events.clear()
        self._progress.clear()
        if events:
            self.seq = events[-1].seq
        return taken

    def catch_up(self, page: Sequence[Item], goal: int) -> list[Item]:
        """Take what was found in the store.

        Args:
            page: Events behind ``seq``.
            goal: ``self.goal`` before they were looked for.

        Returns:
            Those of them that may be heard.
        """
        last = page[-1].seq if page else 0
        # Where a page is not full, there is nothing more up to the goal: some was archived.
        self.seq = last if len(page) >= PAGE else max(last, goal)
        return self._visible(page)

    def _visible(self, items: Sequence[Item]) -> list[Item]:
        sees = self._sees
        if sees is None:
            return list(items)
        return [item for item in items if not item.environment or sees(item.environment)]


class Listener:
    """The ``Reader`` of ``andon.ports.news``.

    Args:
        store: Where it catches up.
        inbox: What it has not heard.
        leave: Told once when it ends.
    """

    def __init__(self, store: Store, inbox: Inbox, leave: Callable[[Listener], None]) -> None:
        self._store = store
        self._inbox = inbox
        self.begins = inbox.seq
        self._leave = leave
        self._woken = asyncio.Event()
        self._beat = False
        self._over = False
        self._error: BaseException | None = None

    def tell(self, items: Sequence[Item], seq: int) -> None:
        """Take note of what everybody is told."""
        if self._inbox.tell(items, seq):
            self._woken.set()

    def beat(self) -> None:
        """Give a sign of life."""
        self._beat = True
        self._woken.set()

    def close(self, error: BaseException | None = None) -> None:
        """End, because of an error or by wish."""
        if not self._over:
            self._over, self._error = True, error
            self._woken.set()
            self._leave(self)

    def __aiter__(self) -> Listener:
        """Hear."""
        return self

    async def __anext__(self) -> list[Item]:
        """Return what happened since; empty as a sign of life."""
        while not self._over:
            if self._beat:
                self._beat = False
                return []
            self._woken.clear()
            heard = await self._page() if self._inbox.behind else self._inbox.take()
            if heard:
                return heard
            if not self._inbox.behind:
                await self._woken.wait()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def _page(self) -> list[Item]:
        goal = self._inbox.goal
        page = await self._store.read(partial(events_after, self._inbox.seq))
        return self._inbox.catch_up(page, goal)


class Newsroom:
    """The ``News`` of ``andon.ports.news`` over a store.

    Args:
        store: What is read.
        clock: The time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._listeners: dict[Listener, None] = {}
        self._seq = 0
        """Up to here everybody was told."""
        self._versions: dict[str, int] = {}
        self._newest: dict[str, Item] = {}
        """Progress of each Run that goes on."""
        self._end: Callable[[], None] = lambda: None

    async def open(self, after: int, sees: Sees | None = None) -> Listener:
        """Let somebody hear."""
        last = await self._store.read(lambda tx: tx.last_seq())
        if not self._listeners:
            self._begin(last)
        inbox = Inbox(after if after >= 0 else last, self._seq, sees)
        listener = Listener(self._store, inbox, self._forget)
        self._listeners[listener] = None
        listener.tell(list(self._newest.values()), self._seq)
        return listener

    async def items(self, after: int) -> AsyncIterator[Json]:
        """Yield what happens as plain JSON, for ever."""
        listener = await self.open(after)
        try:
            async for heard in listener:
                for item in heard:
                    yield msgspec.json.decode(item.body)
        finally:
            listener.close()

    # --- coming and going ------------------------------------------------------------------------

    def _begin(self, last: int) -> None:
        self._seq, self._versions, self._newest = last, {}, {}
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def news() -> None:
            loop.call_soon_threadsafe(changed.set)

        unsubscribe = self._store.subscribe(news)
        reading = asyncio.ensure_future(self._tell_for_ever(changed))
        reading.add_done_callback(self._ended)

        def end() -> None:
            unsubscribe()
            reading.cancel()

        self._end = end

    def _forget(self, listener: Listener) -> None:
        del self._listeners[listener]
        if not self._listeners:
            self._end()

    def _ended(self, reading: asyncio.Future[None]) -> None:
        """Where the store cannot be read, all hear of it, and resume when they come again."""
        error = None if reading.cancelled() else reading.exception()
        if error is not None:
            for listener in list(self._listeners):
                listener.close(error)

    # --- telling ---------------------------------------------------------------------------------

    async def _tell_for_ever(self, changed: asyncio.Event) -> None:
        beaten_at = self._clock.now()
        while True:
            changed.clear()
            more = await self._tell()
            if self._clock.now() - beaten_at >= HEARTBEAT_SECONDS:
                beaten_at = self._clock.now()
                for listener in list(self._listeners):
                    listener.beat()
            if not more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROGRESS_SECONDS):
                        await changed.wait()

    async def _tell(self) -> bool:
        """Tell everybody what is new; whether there is more."""
        events, runs = await self._store.read(partial(_look, self._seq))
        if events:
            self._seq = events[-1].seq
        items = [*events, *self._moved(runs)]
        if items:
            for listener in list(self._listeners):
                listener.tell(items, self._seq)
        return len(events) >= PAGE

    def _moved(self, runs: Sequence[Object]) -> list[Item]:
        moved = [progress_item(run) for run in runs if self._versions.get(run.name) != run.version]
        self._versions = {run.name: run.version for run in runs}
        now = self._newest | {item.subject: item for item in moved}
        self._newest = {name: now[name] for name in self._versions}
        return moved


def _look(seq: int, tx: Tx) -> tuple[list[Item], list[Object]]:
    return events_after(seq, tx), queries.active_runs(tx)
