"""Logs of everything that runs: who reads them, who counts them, who answers for them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.adapters.telemetry.logs.asked import Asked
from andon.api.v1.records import Object
from andon.api.v1.telemetry import LogsSpec
from andon.app.telemetry.following import NS, Follower, LogFile
from andon.app.telemetry.line_counts import COUNTED, LineCounts
from andon.app.telemetry.tap import Tails, Tap
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable
from andon.ports.store import Store, Tx
from andon.ports.telemetry import (
    LogBar,
    LogLine,
    LogPage,
    LogQuestion,
    LogStore,
    LogTemplate,
    Matcher,
    Metadata,
    MetricStore,
)

FILE = "logs.db"
LOOK_SECONDS = 1.0
LOOKED_AT_ONCE, LONGEST_ROUND = 500, 15
"""Every file is looked at in each turn if they are so few, and at least every so many turns."""
COUNT_SECONDS, RESUMED_SECONDS = 15.0, 3600
UPKEEP_SECONDS = 300.0
MOST_SAID = 1_000
MOST_FACTS = 5_000
DAY_SECONDS = 86_400
_OWN = "andon"
_log = logging.getLogger("andon.telemetry")

Loop = Callable[[], Awaitable[None]]


class Logs:
    """``LogService``, and the loops that fill its store.

    Args:
        folder: Of telemetry.
        state: The state folder, whose logs are followed.
        spec: What it was told.
        store: Knows Runs.
        metrics: Where lines are counted.
        clock: The time.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        spec: LogsSpec,
        store: Store,
        metrics: MetricStore,
        clock: Clock,
    ) -> None:
        self._state, self._spec = state, spec
        self._store, self._metrics, self._clock = store, metrics, clock
        self.lines = Tap(SqliteLogStore(folder / FILE))
        """Where other sources put their lines."""
        now_ns = int(clock.now() * NS)
        self._tails = Tails(self.lines)
        known = self.lines.label_sets(now_ns - DAY_SECONDS * NS, now_ns)
        self.counts = LineCounts(known, spec.count_by)
        self.lines.listeners += [self.counts, self._tails]
        self._own = OwnLog(clock)
        self._goes_on = False
        self._facts: dict[str, dict[str, str]] = {}
        self.loops: dict[str, Loop] = {
            "log files": self._follow,
            "log counters": self._count,
            "log upkeep": self._keep,
        }
        self.close = self.lines.close

    # --- asking ----------------------------------------------------------------------------------

    def now(self) -> float:
        """Tell the time."""
        return self._clock.now()

    async def search(self, question: LogQuestion) -> LogPage:
        """Find lines, newest first."""
        return await asyncio.to_thread(self.lines.search, question)

    async def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count what lines have in common, most frequent first."""
        return await asyncio.to_thread(self.lines.templates, question)

    async def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count lines over time."""
        return await asyncio.to_thread(self.lines.histogram, question, bars)

    async def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return the label sets that have lines then."""
        return await asyncio.to_thread(self.lines.label_sets, start_ns, end_ns)

    def tail(self, question: LogQuestion) -> AsyncIterator[list[LogLine]]:
        """Yield wanted lines as they come."""
        templates = frozenset((question.template,) if question.template else ())
        return self._tails.follow(Asked(question, templates))

    # --- loops -----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        follower = await asyncio.to_thread(
            Follower,
            self._state / "logs",
            self._state / "agent" / "agent.log",
            self.lines,
            self._spec.keep_days * DAY_SECONDS,
            _zone_here(self._clock.now()),
        )
        turns = 0
        with self._own.heard():
            while True:
                now = self._clock.now()
                if turns > 0:
                    files = await asyncio.to_thread(follower.find_warm)
                else:
                    files = await asyncio.to_thread(follower.find_all, now)
                    turns = min(1 + follower.known // LOOKED_AT_ONCE, LONGEST_ROUND)
                await self._learn(files)
                more = await asyncio.to_thread(follower.take, files, self._facts, now)
                await asyncio.to_thread(self._take_own)
                turns -= 1
                await asyncio.sleep(0 if more else LOOK_SECONDS)

    def _take_own(self) -> None:
        lines = self._own.taken()
        try:
            self.lines.append(lines)
        except Unavailable:
            self._own.put_back(lines)
            raise

    async def _learn(self, files: list[LogFile]) -> None:
        """Ask what is not known yet of the Runs whose files have more."""
        runs = {one.run for one in files if one.run} - self._facts.keys()
        if runs:
            if len(self._facts) > MOST_FACTS:
                self._facts.clear()
            self._facts |= await self._store.read(lambda tx: {one: _facts(tx, one) for one in runs})

    async def _count(self) -> None:
        await asyncio.to_thread(
            self._metrics.describe,
            {COUNTED: Metadata("counter", "Log lines by service, environment and severity.")},
        )
        if not self._goes_on:
            now_ms = int(self._clock.now() * 1000)
            counters = [Matcher("__name__", "=", COUNTED)]
            span = (now_ms - RESUMED_SECONDS * 1000, now_ms)
            self.counts.go_on(await asyncio.to_thread(self._metrics.select, counters, *span))
            self._goes_on = True
        while True:
            rows = self.counts.rows()
            if rows:
                now_ms = int(self._clock.now() * 1000)
                await asyncio.to_thread(self._metrics.append, now_ms, rows)
            await asyncio.sleep(COUNT_SECONDS)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            await asyncio.to_thread(upkeep, self.lines, self._spec, self._clock.now())


def _zone_here(now: float) -> tzinfo:
    """Return the zone of this machine: programs here write their times in it, if they name none."""
    return datetime.fromtimestamp(now, UTC).astimezone().tzinfo or UTC


def upkeep(store: LogStore, spec: LogsSpec, now: float) -> None:
    """Compress what came, forget what is old or too much; room is made first where there is none."""
    store.forget(int((now - spec.keep_days * DAY_SECONDS) * NS), spec.max_bytes)
    store.seal()


def _facts(tx: Tx, run: str) -> dict[str, str]:
    """Return labels of a Run: repository, and what it is for."""
    found: Object | None = tx.get("Run", run)
    if found is None:
        return {}
    change = tx.get("Change", found.spec.change) if found.spec.change else None
    told = {
        "repository": change.spec.repository if change else "",
        "environment": found.labels.get("environment", ""),
        "service": found.labels.get("service", ""),
    }
    return {name: value for name, value in told.items() if value}


class OwnLog(logging.Handler):
    """Hears what Andon itself says.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.INFO)
        self._clock = clock
        self._said: deque[LogLine] = deque(maxlen=MOST_SAID)

    def heard(self) -> _Heard:
        """Hear as long as this context lasts."""
        return _Heard(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            text = f"{record.name}: {record.getMessage()}"
        except Exception:
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self._said.append(
            LogLine(
                at_ns=int(self._clock.now() * NS),
                text=text,
                labels={"source": "andon", "service": "andon"},
                severity=_SEVERITY.get(record.levelno, "info"),
            )
        )

    def taken(self) -> list[LogLine]:
        """Return what was said since."""
        return [self._said.popleft() for _ in range(len(self._said))]

    def put_back(self, lines: list[LogLine]) -> None:
        """Take lines back that could not be kept."""
        self._said.extendleft(reversed(lines))


class _Heard:
    def __init__(self, handler: OwnLog) -> None:
        self._handler = handler

    def __enter__(self) -> None:
        logging.getLogger(_OWN).addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_OWN).removeHandler(self._handler)


_SEVERITY = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}
