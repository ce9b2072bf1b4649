"""A run of samples of one series with all that follows from them, and its row in the file."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from andon.adapters.telemetry.metrics.codec import (
    decimal_at,
    pack_floats,
    pack_ints,
    regular,
    unpack_floats,
    unpack_ints,
)
from andon.adapters.telemetry.metrics.counters import Derived

SLOT_MS = 2 * 3600 * 1000
SLOT_BITS = 24

_COUNTS = struct.Struct("<II")
_NOTHING = bytes(_COUNTS.size)


def key(series: int, at_ms: int) -> int:
    """Return the id of the row that would hold a sample, if no longer row did."""
    return series << SLOT_BITS | at_ms // SLOT_MS


class Point(NamedTuple):
    """A sample as a counter sees it."""

    at_ms: int
    raw: float
    offset: float
    covered_ms: int
    seq: int
    """How many samples there were with it."""


class Mark(NamedTuple):
    """Where a series stood at a moment.

    Args:
        point: Its last sample until then; None: there was none.
        next: Its first sample after; None: there is none.
        covered_ms: How much time was observed until that moment.
        gap: Whether the moment lies where nothing was observed.
    """

    point: Point | None
    next: Point | None
    covered_ms: int
    gap: bool


class Piece(Struct, frozen=True):
    """Samples in the order of time.

    Args:
        times: ``(n,) int64``, milliseconds.
        values: ``(n,) float64`` as told.
        raw: ``(n,) float64``: the last value that is a number.
        offset: ``(n,) float64``: what resets add to it.
        covered_ms: ``(n,) int64``.
        gap: ``(n,) bool``: whether the interval before was not observed.
        seq: ``(n,) int64``: how many samples there were with each.
    """

    times: Any
    values: Any
    raw: Any
    offset: Any
    covered_ms: Any
    gap: Any
    seq: Any

    def point(self, index: int) -> Point:
        """Return a sample."""
        return Point(
            int(self.times[index]), float(self.raw[index]), float(self.offset[index]),
            int(self.covered_ms[index]), int(self.seq[index]),
        )  # fmt: skip

    def mark(self, at_ms: int, after: Row | Piece | None = None) -> Mark:
        """Say where the series stood at a moment that is not before the first sample.

        Args:
            at_ms: The moment.
            after: What follows this piece.
        """
        index = int(np.searchsorted(self.times, at_ms, "right")) - 1
        point = self.point(index)
        if index + 1 < len(self.times):
            return between(point, self.point(index + 1), bool(self.gap[index + 1]), at_ms)
        return following(point, after, at_ms)

    def head(self) -> tuple[Point, bool]:
        """Return the first sample, and whether nothing was observed before it."""
        return self.point(0), bool(self.gap[0])


class Row(NamedTuple):
    """A piece in the file: ``0`` is as of its first sample, ``1`` as of its last."""

    id: int
    first_ms: int
    last_ms: int
    n: int
    seq0: int
    seq1: int
    raw0: float | None
    off0: float
    cov0: int
    raw1: float | None
    off1: float
    cov1: int
    gap0: int
    crc: int
    body: bytes

    def head(self) -> tuple[Point, bool]:
        """Return the first sample, and whether nothing was observed before it."""
        raw = math.nan if self.raw0 is None else self.raw0
        return Point(self.first_ms, raw, self.off0, self.cov0, self.seq0), bool(self.gap0)

    def last(self) -> Point:
        """Return the last sample."""
        raw = math.nan if self.raw1 is None else self.raw1
        return Point(self.last_ms, raw, self.off1, self.cov1, self.seq1)

    def is_whole(self) -> bool:
        """Say whether its samples are as they were written."""
        return zlib.crc32(self.body) == self.crc


COLUMNS = ", ".join(Row._fields)


def between(point: Point, after: Point, gap: bool, at_ms: int) -> Mark:
    """Return the mark of a moment between two samples."""
    covered = point.covered_ms + (0 if gap else at_ms - point.at_ms)
    return Mark(point, after, covered, gap and at_ms > point.at_ms)


def following(point: Point, after: Row | Piece | None, at_ms: int) -> Mark:
    """Return the mark of a moment not before a piece's last sample."""
    if after is None:
        return Mark(point, None, point.covered_ms, gap=at_ms > point.at_ms)
    first, gap = after.head()
    return between(point, first, gap, at_ms)


def piece_of(times: Any, values: Any, derived: Derived) -> Piece:
    """Put samples and what follows from them together."""
    count = len(times)
    seq = np.arange(derived.carry.count - count + 1, derived.carry.count + 1)
    return Piece(
        times, values, derived.raw, derived.offset, derived.covered_ms, derived.gap, seq
    )  # fmt: skip


def joined(pieces: list[Piece]) -> Piece:
    """Put pieces, in the order of time, one behind another."""
    if len(pieces) == 1:
        return pieces[0]
    names = Piece.__struct_fields__
    return Piece(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


def thinned(piece: Piece, step_ms: int) -> Piece:
    """Keep the last sample of each step, and whatever resets, gaps and staleness depend on."""
    times, count = piece.times, len(piece.times)
    keep = np.zeros(count, bool)
    keep[0] = True
    keep[:-1] = times[:-1] // step_ms != times[1:] // step_ms
    keep[-1] = True
    special = piece.gap.copy()
    special[1:] |= piece.offset[1:] != piece.offset[:-1]
    keep |= special
    keep[:-1] |= special[1:]
    return Piece(*(getattr(piece, name)[keep] for name in Piece.__struct_fields__))


def row_of(series: int, piece: Piece) -> Row:
    """Write a piece."""
    first, last = piece.point(0), piece.point(-1)
    gaps = np.flatnonzero(piece.gap[1:]).astype(np.uint32) + 1
    resets = np.flatnonzero(piece.offset[1:] != piece.offset[:-1]).astype(np.uint32) + 1
    seq = piece.seq if last.seq - first.seq + 1 != len(piece.times) else None
    body = b"".join(
        (
            _COUNTS.pack(len(gaps) << 1 | (seq is not None), len(resets)),
            gaps.tobytes(), resets.tobytes(), piece.offset[resets].tobytes(),
            pack_ints(seq) if seq is not None else b"",
            pack_ints(piece.times), pack_floats(piece.values),
        )
    )  # fmt: skip
    return Row(
        key(series, first.at_ms), first.at_ms, last.at_ms, len(piece.times), first.seq, last.seq,
        _told(first.raw), first.offset, first.covered_ms,
        _told(last.raw), last.offset, last.covered_ms, int(piece.gap[0]), zlib.crc32(body), body,
    )  # fmt: skip


def piece_in(row: Row) -> Piece:
    """Read a piece."""
    data, n = row.body, row.n
    told, n_resets = _COUNTS.unpack_from(data)
    at, n_gaps = _COUNTS.size, told >> 1
    gap = np.zeros(n, bool)
    gap[0] = row.gap0
    gap[np.frombuffer(data, np.uint32, n_gaps, at)] = True
    at += 4 * n_gaps
    offset = np.full(n, row.off0)
    places = np.frombuffer(data, np.uint32, n_resets, at)
    for place, after in zip(
        places, np.frombuffer(data, np.float64, n_resets, at + 4 * n_resets), strict=True
    ):
        offset[place:] = after
    at += 12 * n_resets
    seq = np.arange(row.seq0, row.seq0 + n)
    if told & 1:
        seq, at = unpack_ints(data, at, n)
    times, at = unpack_ints(data, at, n)
    values, _ = unpack_floats(data, at, n)
    elapsed = np.where(gap[1:], 0, times[1:] - times[:-1])
    covered = np.full(n, row.cov0)
    covered[1:] += np.cumsum(elapsed)
    return Piece(times, values, _raw(values, row.raw0), offset, covered, gap, seq)


def plain_mark(row: Row, at_ms: int) -> Mark | None:
    """Say where a series stood at a moment within a row, where nothing happened: the quick way.

    Returns:
        None: there are gaps or resets, or times that are not regular; the piece has to be read.
    """
    data = row.body
    if data[: _COUNTS.size] != _NOTHING:
        return None
    times = regular(data, _COUNTS.size)
    if times is None:
        return None
    first, step, at = times
    index = (at_ms - first) // step if step else 0
    raw = decimal_at(data, at, row.n, index)
    if raw is None:
        return None
    covered = row.cov0 + index * step
    point = Point(first + index * step, raw, row.off0, covered, row.seq0 + index)
    return Mark(point, None, row.cov0 + at_ms - first, gap=False)


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _raw(values: Any, first: float | None) -> Any:
    number = ~np.isnan(values)
    if number.all():
        return values
    last = np.maximum.accumulate(np.where(number, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan if first is None else first)
