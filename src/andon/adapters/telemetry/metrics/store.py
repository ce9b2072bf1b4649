"""The store itself: what is appended, what is asked."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import zstandard

from andon.adapters.telemetry.metrics.counters import Carry, derive, is_counter
from andon.adapters.telemetry.metrics.database import Database, is_damage
from andon.adapters.telemetry.metrics.head import Packer, Replay
from andon.adapters.telemetry.metrics.index import Index, Line
from andon.adapters.telemetry.metrics.pieces import Piece, piece_of
from andon.adapters.telemetry.metrics.reading import Chunks, window_between
from andon.kernel.errors import AndonError, Unavailable, UsageError
from andon.ports.telemetry import (
    Accepted,
    Exemplar,
    Labels,
    Matcher,
    Metadata,
    Series,
    Window,
)

FILE = "metrics.db"
REFUSED = -1
MOST_SERIES = 50_000
MOST_EXEMPLARS = 10
"""Of one series."""
MOST_HEADS = 2048
"""Series whose newest samples are kept with all that follows from them: some 50 kB each at most."""
LATEST_MS = 1 << 42
AHEAD_MS = 3600 * 1000

_UNTOLD = Metadata("unknown")
_log = logging.getLogger("andon.telemetry")


class MetricChunks:
    """``ports.telemetry.MetricStore`` in a file. Every method may be called from any thread.

    What is appended is one row, committed before ``append`` returns; ``replay`` reads those rows at the
    start. ``Upkeep`` turns them into chunks of two hours of a series.

    Args:
        folder: Where the file lies.
        max_series: How many may live at once; a new one beyond is refused.
        now_ms: What is kept and lies further ahead than an hour was told by a clock that was wrong, and
            would keep the series from being told until then; None: it is kept.
    """

    def __init__(
        self, folder: Path, max_series: int = MOST_SERIES, now_ms: int | None = None
    ) -> None:
        self.folder = folder
        self.database = Database(folder / FILE)
        self.index = Index()
        self.lock = threading.RLock()
        """Of everything in memory."""
        self.live: set[int] = set()
        self.chunks = Chunks(self.database)
        self.fresh: list[Line] = []
        """Series that are not in the file yet, in the order of their numbers."""
        self.appending = threading.Lock()
        self._max_series = max_series
        self._families: dict[str, Metadata] = {}
        self._exemplars: dict[int, list[Exemplar]] = {}
        self._heads: OrderedDict[int, tuple[tuple[int, int], Piece]] = OrderedDict()
        self._packer = Packer()
        self.damaged = 0
        self._latest_ms = LATEST_MS if now_ms is None else now_ms + AHEAD_MS
        try:
            self._load()
        except (AndonError, ValueError, zstandard.ZstdError) as error:
            if isinstance(error, AndonError) and not is_damage(error):
                raise
            _log.error("metrics: the file is damaged (%s): it is set aside and begun anew", error)
            self._forget_all()
            self.database.begin_anew()

    # --- writing --------------------------------------------------------------------------------------

    def append(self, at_ms: int, rows: Iterable[tuple[Labels, float]]) -> Accepted:
        """Keep samples of one moment, durably and all at once."""
        told = list(rows)
        refs = self.refs([labels for labels, _ in told])
        return self.append_refs(at_ms, refs, [value for _, value in told])

    def refs(self, labels: Sequence[Labels]) -> list[int]:
        """Return a number for each series, for ``append_refs``; ``REFUSED``: there are too many."""
        with self.lock:
            return [self._ref(one) for one in labels]

    def append_refs(self, at_ms: int, refs: Sequence[int], values: Sequence[float]) -> Accepted:
        """Keep samples of series known by number: the quick way, for who tells the same ones again.

        Raises:
            Unavailable: The disk is full; nothing of it was kept.
        """
        at_ms = int(at_ms)
        if not 0 < at_ms < LATEST_MS:
            raise UsageError(f"{at_ms} is no time of a sample", hint="milliseconds since 1970")
        with self.appending:
            with self.lock:
                lines = self._all_newer(at_ms, refs)
                told = Accepted(len(refs))
                if lines is None:
                    lines, values, told = self._sorted_out(at_ms, refs, values)
            if not lines:
                return told
            body = self._packer.pack([line.id for line in lines], values)
            with self.database.write() as db:
                written = self.write_fresh(db)
                db.execute("INSERT INTO head (at_ms, body) VALUES (?, ?)", (at_ms, body))
            with self.lock:
                del self.fresh[:written]
                for line, value in zip(lines, values, strict=True):
                    line.add(at_ms, value)
                self.live.update([line.id for line in lines])
        return told

    def describe(self, families: Mapping[str, Metadata]) -> None:
        """Remember what metrics are."""
        with self.lock:
            news = {
                name: told for name, told in families.items() if self._families.get(name) != told
            }
        if not news:
            return
        rows = [(name, told.type, told.help, told.unit) for name, told in news.items()]
        with self.database.write() as db:
            db.executemany("INSERT OR REPLACE INTO families VALUES (?, ?, ?, ?)", rows)
        with self.lock:
            self._families.update(news)
            for line in self.index.lines.values():
                line.counter = self._is_counter(line.labels)

    def add_exemplars(self, rows: Iterable[tuple[Labels, Exemplar]]) -> None:
        """Keep exemplars of series, the newest few of each."""
        with self.lock:
            changed: dict[int, list[Exemplar]] = {}
            for labels, exemplar in rows:
                line = self.index.find(labels)
                if line is None or exemplar.value != exemplar.value:
                    continue
                ring = changed.setdefault(line.id, list(self._exemplars.get(line.id, ())))
                if exemplar not in ring:
                    ring.append(exemplar)
                del ring[:-MOST_EXEMPLARS]
        written = [(number, msgspec.json.encode(ring)) for number, ring in changed.items()]
        if written:
            with self.database.write() as db:
                db.executemany("INSERT OR REPLACE INTO exemplars VALUES (?, ?)", written)
            with self.lock:
                self._exemplars.update(changed)

    # --- asking ---------------------------------------------------------------------------------------

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Return matching series with their samples of ``start_ms <= t <= end_ms``."""
        start_ms, end_ms = int(start_ms), int(end_ms)
        found = []
        for line in self._lines(matchers, start_ms, end_ms):
            times, values = self.chunks.samples(line, self.head(line), start_ms, end_ms)
            if len(times):
                found.append(Series(line.labels, times, values))
        return found

    def increase(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, Window]:
        """Return what matching counters did in a window (start exclusive), by series.

        A series that was neither told nor observed then is not in the answer: nothing is known of it.
        """
        start_ms, end_ms = int(start_ms), int(end_ms)
        found = {}
        for line in self._lines(matchers, start_ms, end_ms):
            head = self.head(line)
            begin = self.chunks.mark(line, head, start_ms)
            window = window_between(begin, self.chunks.mark(line, head, end_ms))
            if window is not None:
                found[line.labels] = window
        return found

    def names_of(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Return the labels of series that have samples then."""
        start_ms, end_ms = int(start_ms), int(end_ms)
        lines = self._lines(matchers, start_ms, end_ms)
        return [line.labels for line in lines if self._has_samples(line, start_ms, end_ms)]

    def metadata(self) -> dict[str, Metadata]:
        """Return what metrics are, by name."""
        with self.lock:
            return dict(self._families)

    def exemplars(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, list[Exemplar]]:
        """Return exemplars by series."""
        found = {}
        with self.lock:
            for line in self.index.matching(matchers):
                ring = self._exemplars.get(line.id, ())
                within = [one for one in ring if start_ms <= one.at_ms <= end_ms]
                if within:
                    found[line.labels] = within
        return found

    def head(self, line: Line) -> Piece | None:
        """Return what a series has in no chunk yet, with all that follows from it."""
        with self.lock:
            count = len(line.times)
            if not count:
                return None
            known = self._heads.get(line.id)
            if known is None or known[0] != (count, line.carry.count):
                known = (count, line.carry.count), self._derived(line)
                self._heads[line.id] = known
                if len(self._heads) > MOST_HEADS:
                    self._heads.popitem(last=False)
            return known[1]

    def fresh_line(self, labels: Labels) -> Line:
        """Return a series by its labels; it is made.

        Raises:
            Unavailable: There are too many.
        """
        (ref,) = self.refs([labels])
        if ref == REFUSED:
            raise Unavailable("there are as many series as may be", hint="metrics.max_series")
        return self.index.lines[ref]

    def write_fresh(self, db: sqlite3.Connection) -> int:
        """Write the series that are not in the file yet; returns how many."""
        with self.lock:
            rows = [(line.id, json.dumps(line.labels), line.counter) for line in self.fresh]
        db.executemany("INSERT INTO series (id, labels, counter) VALUES (?, ?, ?)", rows)
        return len(rows)

    def note(self, name: str, body: bytes) -> None:
        """Keep what a collector has to know after a restart."""
        with self.database.write() as db:
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, body))

    def noted(self, name: str) -> bytes:
        """Return what was kept; empty: nothing was."""
        with self.database.read() as db:
            row = db.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else b""

    def drop(self, line: Line) -> None:
        """Forget a series of which nothing is left."""
        with self.lock:
            self.index.remove(line)
            self._exemplars.pop(line.id, None)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    # --- within ---------------------------------------------------------------------------------------

    def _lines(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Line]:
        with self.lock:
            found = self.index.matching(matchers)
            return [
                line for line in found if 0 <= line.first_ms <= end_ms and line.last_ms >= start_ms
            ]

    def _derived(self, line: Line) -> Piece:
        times, values = np.array(line.times, np.int64), np.array(line.values, np.float64)
        return piece_of(times, values, derive(times, values, line.carry, counter=line.counter))

    def _ref(self, labels: Labels) -> int:
        line = self.index.find(labels)
        if line is None:
            if len(self.live) + len(self.fresh) >= self._max_series:
                return REFUSED
            counter = self._is_counter(labels)
            line = Line(self.index.newest + 1, labels, counter=counter)
            self.index.add(line)
            self.fresh.append(line)
        return line.id

    def _sorted_out(
        self, at_ms: int, refs: Sequence[int], values: Sequence[float]
    ) -> tuple[list[Line], list[float], Accepted]:
        """Leave out samples that are late, told already, or of one series too many."""
        lines, live = self.index.lines, self.live
        late = duplicate = refused = 0
        taken: dict[int, tuple[Line, float]] = {}
        for ref, value in zip(refs, values, strict=True):
            line = lines.get(ref)
            if line is None or (ref not in live and len(live) >= self._max_series):
                refused += 1
            elif at_ms < line.last_ms:
                late += 1
            elif at_ms == line.last_ms or ref in taken:
                duplicate += 1
            else:
                taken[ref] = line, value
        told = Accepted(len(taken), late, duplicate, refused)
        return [line for line, _ in taken.values()], [value for _, value in taken.values()], told

    def _all_newer(self, at_ms: int, refs: Sequence[int]) -> list[Line] | None:
        """Return the series if all live and nothing of theirs is as new: the usual case."""
        if not self.live.issuperset(refs) or len(set(refs)) != len(refs):
            return None
        lines = [line for line in map(self.index.lines.__getitem__, refs) if line.last_ms < at_ms]
        return lines if len(lines) == len(refs) else None

    def _is_counter(self, labels: Labels) -> bool:
        name = dict(labels).get("__name__", "")
        told = self._families.get(name) or self._families.get(name.rpartition("_")[0], _UNTOLD)
        exact = name in self._families or told.type in ("gauge", "gaugehistogram")
        return is_counter(name, told.type if exact else "")

    def _has_samples(self, line: Line, start_ms: int, end_ms: int) -> bool:
        if start_ms <= line.last_ms <= end_ms or start_ms <= line.first_ms <= end_ms:
            return True
        head = self.head(line)
        before = self.chunks.mark(line, head, start_ms - 1)
        return window_between(before, self.chunks.mark(line, head, end_ms)) is not None

    def _load(self) -> None:
        """Read what is known of series, and replay what is in no chunk yet."""
        with self.database.read() as db:
            for row in db.execute("SELECT name, type, help, unit FROM families"):
                self._families[row[0]] = Metadata(*row[1:])
            for row in db.execute("SELECT id, labels, first_ms, thinned, carry FROM series"):
                self._take_in(*row)
            for number, body in db.execute("SELECT series, body FROM exemplars"):
                self._exemplars[number] = msgspec.json.decode(body, type=list[Exemplar])
            replay = Replay()
            rows = "SELECT id, at_ms, body FROM head WHERE at_ms <= ? ORDER BY id"
            for number, at_ms, body in db.execute(rows, (self._latest_ms,)):
                if not replay.add(at_ms, body):
                    self.damaged += 1
                    _log.error(
                        "metrics: row %d of the head is damaged: its samples are unknown", number
                    )
        self.live |= replay.give(self.index)
        if self._latest_ms < LATEST_MS:
            self._forget_the_future()

    def _forget_the_future(self) -> None:
        with self.database.write() as db:
            gone = db.execute("DELETE FROM head WHERE at_ms > ?", (self._latest_ms,)).rowcount
        if gone:
            _log.warning("metrics: %d rows lay ahead of the clock: they are forgotten", gone)

    def _forget_all(self) -> None:
        self.index = Index()
        self.live.clear()
        self._families.clear()
        self._exemplars.clear()

    def _take_in(
        self, number: int, labels: str, first_ms: int | None, thinned: str, carry: str
    ) -> None:
        pairs: Labels = tuple((name, value) for name, value in json.loads(labels))
        line = Line(number, pairs, counter=self._is_counter(pairs))
        line.thinned = {int(step): day for step, day in json.loads(thinned)}
        if carry:
            line.carry = msgspec.convert(json.loads(carry), Carry)
            line.first_ms = -1 if first_ms is None else first_ms
            line.last_ms = line.carry.at_ms
        self.index.add(line)
