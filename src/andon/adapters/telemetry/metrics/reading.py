"""What chunks in the file say of a series at a moment, and over a time."""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from andon.adapters.telemetry.metrics.database import Database
from andon.adapters.telemetry.metrics.index import Line
from andon.adapters.telemetry.metrics.pieces import (
    COLUMNS,
    Mark,
    Piece,
    Row,
    following,
    key,
    piece_in,
    plain_mark,
)
from andon.kernel.errors import AndonError
from andon.ports.telemetry import Window

MOST_REMEMBERED = 4096
"""Chunks of 480 samples: some 80 MB at most, and only while thousands of series are asked for."""

_BEFORE = f"SELECT {COLUMNS} FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
_AFTER = f"SELECT {COLUMNS} FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1"
_RANGE = f"SELECT {COLUMNS} FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id"
_log = logging.getLogger("andon.telemetry")


def window_between(begin: Mark, end: Mark) -> Window | None:
    """Return what a counter did between two moments; None: it was neither told nor observed then.

    Where nothing was observed at the first moment, counting starts with the first sample after it: what
    grew before, nobody knows when.
    """
    last = end.point
    if last is None:
        return None
    until = last.covered_ms if end.gap else end.covered_ms
    observed = max(0, until - begin.covered_ms) / 1000
    if begin.point is not None and last.seq == begin.point.seq:  # Between two samples, or in a gap.
        return Window(0.0, observed, 0) if observed else None
    base = begin.point if begin.point is not None and not begin.gap else begin.next
    grown = 0.0
    if base is not None and not math.isnan(base.raw) and not math.isnan(last.raw):
        grown = (last.raw - base.raw) + (last.offset - base.offset)
    before = begin.point.seq if begin.point is not None else 0
    return Window(max(0.0, grown), observed, last.seq - before)


class Chunks:
    """Reads rows.

    Args:
        database: Where they lie.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: OrderedDict[tuple[int, int, int], Piece] = OrderedDict()
        self._guard = threading.Lock()
        self._told: set[int] = set()

    def mark(self, line: Line, head: Piece | None, at_ms: int) -> Mark:
        """Say where a series stood at a moment: at most two look-ups.

        Args:
            line: The series.
            head: Its samples that are in no chunk; read before, as they may be sealed meanwhile.
            at_ms: The moment.
        """
        if head is not None and at_ms >= head.times[0]:
            return head.mark(at_ms)
        row = self._row_before(line, at_ms)
        if row is None:
            after = self._row_after(line, -1) or head
            return Mark(None, after.head()[0] if after else None, 0, gap=True)
        if at_ms >= row.last_ms:
            after = self._row_after(line, row.id) if at_ms > row.last_ms else None
            return following(row.last(), after or head, at_ms)
        quick = plain_mark(row, at_ms) if row.is_whole() else None
        if quick is not None:
            return quick
        piece = self.piece(row)
        if piece is None:  # Unknown: from its first sample to its last.
            return Mark(row.head()[0], row.last(), row.cov1, gap=True)
        return piece.mark(at_ms)

    def samples(
        self, line: Line, head: Piece | None, start_ms: int, end_ms: int
    ) -> tuple[Any, Any]:
        """Return times and values of ``start_ms <= t <= end_ms``."""
        found = [
            (piece.times, piece.values)
            for row in self._rows(line, start_ms, end_ms)
            if (piece := self.piece(row)) is not None
        ]
        if head is not None:
            found = [_until(times, values, head.times[0]) for times, values in found]
            found.append((head.times, head.values))
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        times = np.concatenate([times for times, _ in found])
        values = np.concatenate([values for _, values in found])
        low, high = np.searchsorted(times, start_ms), np.searchsorted(times, end_ms, "right")
        return times[low:high], values[low:high]

    def rows(self, line: Line, first: int, last: int) -> list[Row]:
        """Return a series' rows with ids of a range."""
        with self._database.read() as db:
            return [Row(*row) for row in db.execute(_RANGE, (first, last))]

    def piece(self, row: Row) -> Piece | None:
        """Read a row; None: it is damaged."""
        known = row.id, row.last_ms, row.n
        with self._guard:
            if known in self._remembered:
                self._remembered.move_to_end(known)
                return self._remembered[known]
        piece = self._read(row)
        if piece is not None:
            with self._guard:
                self._remembered[known] = piece
                if len(self._remembered) > MOST_REMEMBERED:
                    self._remembered.popitem(last=False)
        return piece

    def _read(self, row: Row) -> Piece | None:
        if row.is_whole():
            try:
                return piece_in(row)
            except (AndonError, ValueError, IndexError) as error:
                _log.error("metrics: chunk %d cannot be read: %s", row.id, error)
                return None
        with self._guard:
            first = row.id not in self._told
            self._told.add(row.id)
        if first:
            _log.error("metrics: chunk %d is damaged: its samples are unknown", row.id)
        return None

    def _rows(self, line: Line, start_ms: int, end_ms: int) -> list[Row]:
        first = self._row_before(line, max(0, start_ms))
        low = first.id if first is not None else key(line.id, 0)
        if end_ms < 0:
            return []
        return self.rows(line, low, key(line.id, end_ms))

    def _row_before(self, line: Line, at_ms: int) -> Row | None:
        row = self._one(_BEFORE, key(line.id, 0), key(line.id, max(0, at_ms)))
        if row is not None and row.first_ms > at_ms:
            return self._one(_BEFORE, key(line.id, 0), row.id - 1)
        return row

    def _row_after(self, line: Line, number: int) -> Row | None:
        return self._one(_AFTER, max(number + 1, key(line.id, 0)), key(line.id + 1, 0) - 1)

    def _one(self, sql: str, first: int, last: int) -> Row | None:
        with self._database.read() as db:
            row = db.execute(sql, (first, last)).fetchone()
        return None if row is None else Row(*row)


def _until(times: Any, values: Any, end_ms: int) -> tuple[Any, Any]:
    count = int(np.searchsorted(times, end_ms))
    return times[:count], values[:count]
