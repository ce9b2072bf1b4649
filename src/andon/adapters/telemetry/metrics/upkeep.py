"""What becomes of samples with time: sealed into chunks, thinned, forgotten.

Every step can be killed anywhere: chunks are committed before the rows of the head they were made of are
deleted, and what is read twice then is left out by its time.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from andon.adapters.telemetry.metrics.counters import Carry, derive
from andon.adapters.telemetry.metrics.index import Line
from andon.adapters.telemetry.metrics.pieces import (
    COLUMNS,
    SLOT_MS,
    Piece,
    Row,
    joined,
    key,
    piece_of,
    row_of,
    thinned,
)
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.kernel.errors import UsageError
from andon.ports.telemetry import Labels

DAY_MS = 24 * 3600 * 1000
GRACE_MS = 120_000
"""A scrape of the slot's end may still be under way."""
MANY_SERIES = 20_000
BATCH = 500
"""Series of one transaction: appends get their turn in between."""

_PUT = f"INSERT OR REPLACE INTO chunks ({COLUMNS}) VALUES ({', '.join('?' * len(Row._fields))})"
_CARRIED = "UPDATE series SET first_ms = ?, carry = ? WHERE id = ?"
_log = logging.getLogger("andon.telemetry")


class Thinning(Struct, frozen=True):
    """From some age on, one sample in each step is kept."""

    after_days: float
    step_ms: int


THINNINGS = (Thinning(2, 60_000), Thinning(30, 300_000))


class Kept(Struct, frozen=True):
    """What one round of upkeep did."""

    sealed: int = 0
    thinned: int = 0
    forgotten_days: int = 0


class Upkeep:
    """Seals, thins and forgets.

    Args:
        store: Whose samples.
        keep_days: Older ones are forgotten.
        max_bytes: So much of the file may be in use; the oldest days go first.
        thinnings: By age, the youngest first.
    """

    def __init__(
        self,
        store: MetricChunks,
        *,
        keep_days: float,
        max_bytes: int,
        thinnings: Sequence[Thinning] = THINNINGS,
    ) -> None:
        self._store = store
        self._keep_days = keep_days
        self._max_bytes = max_bytes
        self._thinnings = thinnings
        self._warned = False

    def run(self, now_ms: int) -> Kept:
        """Do whatever is due."""
        self._warn_of_many()
        sealed = self.seal(now_ms)
        return Kept(sealed, self.thin(now_ms), self.forget(now_ms))

    def _warn_of_many(self) -> None:
        many = len(self._store.live) > MANY_SERIES
        if many and not self._warned:
            _log.warning(
                "metrics: %d series live at once: each takes up to 8 kB of memory, and beyond 50,000 a "
                "Prometheus of its own serves better (telemetry.metrics.prometheus)",
                len(self._store.live),
            )
        self._warned = many

    # --- sealing --------------------------------------------------------------------------------------

    def seal(self, now_ms: int) -> int:
        """Write chunks of all slots that are over; returns how many.

        Raises:
            Unavailable: The disk is full; the rest stays in the head.
        """
        end_ms = (now_ms - GRACE_MS) // SLOT_MS * SLOT_MS
        store, made = self._store, 0
        with store.database.read() as db:
            (newest,) = db.execute("SELECT COALESCE(MAX(id), 0) FROM head").fetchone()
        with store.lock:
            due = [
                line for line in store.index.lines.values() if line.times and line.times[0] < end_ms
            ]
        for batch in _batches(due):
            made += self._seal_batch(batch, end_ms)
        with store.database.write() as db:
            db.execute("DELETE FROM head WHERE id <= ? AND at_ms < ?", (newest, end_ms))
        with store.lock:
            store.live.intersection_update(
                [number for number in store.live if store.index.lines[number].times]
            )
        return made

    def _seal_batch(self, batch: list[Line], end_ms: int) -> int:
        store, made = self._store, 0
        done: list[tuple[Line, int, Carry]] = []
        with store.database.write() as db:
            for line in batch:
                count, carry, pieces = self._pieces(line, end_ms)
                for piece in pieces:
                    self._put(db, line, piece)
                made += len(pieces)
                done.append((line, count, carry))
            db.executemany(
                _CARRIED,
                [(line.first_ms, _written(carry), line.id) for line, _, carry in done],
            )
        with store.lock:
            for line, count, carry in done:
                del line.times[:count], line.values[:count]
                line.carry = carry
        return made

    def load(self, labels: Labels, times: Any, values: Any) -> None:
        """Write a past that a series does not have yet, such as another system's, as chunks.

        Args:
            labels: The series.
            times: ``(n,) int64``, rising, milliseconds; all newer than what it has.
            values: ``(n,) float64``.

        Raises:
            UsageError: It has samples that are not older.
        """
        store = self._store
        with store.appending:
            line = store.fresh_line(labels)
            if line.times or line.last_ms >= times[0]:
                raise UsageError("a series' past is loaded before anything else of it is kept")
            _, carry, pieces = self._cut(line, times, values, int(times[-1]) + 1)
            with store.database.write() as db:
                written = store.write_fresh(db)
                for piece in pieces:
                    self._put(db, line, piece)
                first_ms = line.first_ms if line.first_ms >= 0 else int(times[0])
                db.execute(_CARRIED, (first_ms, _written(carry), line.id))
            with store.lock:
                del store.fresh[:written]
                line.first_ms, line.last_ms, line.carry = first_ms, carry.at_ms, carry

    def _pieces(self, line: Line, end_ms: int) -> tuple[int, Carry, list[Piece]]:
        with self._store.lock:
            times, values = np.array(line.times, np.int64), np.array(line.values, np.float64)
        return self._cut(line, times, values, end_ms)

    def _cut(
        self, line: Line, times: Any, values: Any, end_ms: int
    ) -> tuple[int, Carry, list[Piece]]:
        """Cut what is due into slots."""
        count = int(np.searchsorted(times, end_ms))
        slots = times[:count] // SLOT_MS
        cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), count]
        carry, pieces = line.carry, []
        for low, high in pairwise(cuts):
            part = times[low:high], values[low:high]
            derived = derive(*part, carry, counter=line.counter)
            pieces.append(piece_of(*part, derived))
            carry = derived.carry
        return count, carry, pieces

    def _put(self, db: sqlite3.Connection, line: Line, piece: Piece) -> None:
        """Write a piece; behind what its slot may have already."""
        number = key(line.id, int(piece.times[0]))
        begun = line.carry.count and key(line.id, line.carry.at_ms) == number
        for row in self._store.chunks.rows(line, number, number) if begun else ():
            there = self._store.chunks.piece(row)
            if there is not None:
                piece = joined([there, piece])
        db.execute(_PUT, row_of(line.id, piece))

    # --- thinning -------------------------------------------------------------------------------------

    def thin(self, now_ms: int) -> int:
        """Thin the days that have come of age into one chunk each; returns how many."""
        made = 0
        for thinning in self._thinnings:
            until = int((now_ms - thinning.after_days * DAY_MS) // DAY_MS)
            with self._store.lock:
                due = [
                    line for line in self._store.index.lines.values()
                    if line.first_ms >= 0 and self._next_day(line, thinning) < until
                ]  # fmt: skip
            for batch in _batches(due, BATCH // 10):
                made += self._thin_batch(batch, thinning, until)
        return made

    def _next_day(self, line: Line, thinning: Thinning) -> int:
        return max(line.thinned.get(thinning.step_ms, 0), line.first_ms // DAY_MS)

    def _thin_batch(self, batch: list[Line], thinning: Thinning, until: int) -> int:
        made, step_ms = 0, thinning.step_ms
        with self._store.database.write() as db:
            for line in batch:
                last = min(until, line.last_ms // DAY_MS + 1)
                for day in range(self._next_day(line, thinning), last):
                    made += self._thin_day(db, line, day, step_ms)
            told = [
                (json.dumps([*{**line.thinned, step_ms: until}.items()]), line.id) for line in batch
            ]
            db.executemany("UPDATE series SET thinned = ? WHERE id = ?", told)
        with self._store.lock:
            for line in batch:
                line.thinned = {**line.thinned, step_ms: until}
        return made

    def _thin_day(self, db: sqlite3.Connection, line: Line, day: int, step_ms: int) -> int:
        first, last = key(line.id, day * DAY_MS), key(line.id, (day + 1) * DAY_MS) - 1
        rows = self._store.chunks.rows(line, first, last)
        pieces = [piece for row in rows if (piece := self._store.chunks.piece(row)) is not None]
        if not pieces or len(pieces) < len(rows):
            return 0  # One that is damaged keeps its day as it is.
        whole = thinned(joined(pieces), step_ms)
        db.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", (first, last))
        db.execute(_PUT, row_of(line.id, whole)._replace(id=first))
        return 1

    # --- forgetting -----------------------------------------------------------------------------------

    def forget(self, now_ms: int) -> int:
        """Delete what is too old or too much; returns how many days went for want of room."""
        self._forget_before(int((now_ms - self._keep_days * DAY_MS) // DAY_MS))
        gone = 0
        while self._store.database.used_bytes() > self._max_bytes:
            day = self._oldest_day()
            if day is None or day >= now_ms // DAY_MS:
                _log.error("metrics: more than max_bytes in a day: fewer series, or more room")
                break
            _log.warning("metrics: a day of samples is forgotten: max_bytes is reached")
            self._forget_before(day + 1)
            gone += 1
        return gone

    def _oldest_day(self) -> int | None:
        with self._store.lock:
            first = [line.first_ms for line in self._store.index.lines.values() if line.carry.count]
        return min(first) // DAY_MS if first else None

    def _forget_before(self, day: int) -> None:
        start_ms = day * DAY_MS
        store = self._store
        with store.lock:
            due = [line for line in store.index.lines.values() if 0 <= line.first_ms < start_ms]
        for batch in _batches(due):
            self._forget_batch(batch, start_ms)

    def _forget_batch(self, batch: list[Line], start_ms: int) -> None:
        store = self._store
        with store.database.write() as db:
            db.executemany(
                "DELETE FROM chunks WHERE id BETWEEN ? AND ?",
                [(key(line.id, 0), key(line.id, start_ms) - 1) for line in batch],
            )
            gone = [line for line in batch if line.last_ms < start_ms and not line.times]
            for table, column in (("series", "id"), ("exemplars", "series")):
                db.executemany(
                    f"DELETE FROM {table} WHERE {column} = ?",
                    [(line.id,) for line in gone],
                )
            left = [(start_ms, line.id) for line in batch]
            db.executemany("UPDATE series SET first_ms = ? WHERE id = ?", left)
        with store.lock:
            for line in batch:
                line.first_ms = start_ms
            for line in gone:
                store.drop(line)


def _batches(lines: list[Line], size: int = BATCH) -> Iterator[list[Line]]:
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch


def _written(carry: Carry) -> str:
    return json.dumps(msgspec.to_builtins(carry))  # With NaN, which msgspec's JSON has not.
