"""The rows of the head: what was told at one moment, and how all of it comes back at the start.

Rows that name the same series, as one target's do, are put together series by series: a store of 20,000
series is back in seconds.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import zstandard

from andon.adapters.telemetry.metrics.index import Index, Line

_CRC = struct.Struct("<I")
_COLUMNS = 256
"""Series that are turned from rows into columns at once."""


class Packer:
    """Writes rows; for one thread at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)

    def pack(self, ids: Sequence[int], values: Sequence[float]) -> bytes:
        """Write what was told at one moment."""
        plain = np.array(ids, "<u4").tobytes() + np.array(values, "<f8").tobytes()
        body = self._compressor.compress(plain)
        return _CRC.pack(zlib.crc32(body)) + body


class Replay:
    """Reads rows, in the order in which they were written."""

    def __init__(self) -> None:
        self._unpacking = zstandard.ZstdDecompressor()
        self._rows: dict[bytes, tuple[list[int], list[bytes]]] = {}

    def add(self, at_ms: int, body: bytes) -> bool:
        """Read a row; says whether it is as it was written."""
        if len(body) < _CRC.size or zlib.crc32(body[_CRC.size :]) != _CRC.unpack_from(body)[0]:
            return False
        plain = self._unpacking.decompress(body[_CRC.size :])
        cut = len(plain) // 12 * 4
        times, values = self._rows.setdefault(plain[:cut], ([], []))
        times.append(at_ms)
        values.append(plain[cut:])
        return True

    def give(self, index: Index) -> set[int]:
        """Give every series its samples that are in no chunk; returns which have any."""
        given: set[int] = set()
        for key, (told, rows) in self._rows.items():
            ids = np.frombuffer(key, "<u4").tolist()
            times = np.array(told, np.int64)
            table = np.frombuffer(b"".join(rows), "<f8").reshape(len(rows), len(ids))
            for low in range(0, len(ids), _COLUMNS):
                columns = np.ascontiguousarray(table[:, low : low + _COLUMNS].T)
                for number, values in zip(ids[low : low + _COLUMNS], columns, strict=True):
                    line = index.lines.get(number)
                    if line is not None and _extend(line, times, values):
                        given.add(number)
        return given


def _extend(line: Line, times: Any, values: Any) -> bool:
    """Add samples to a series; rows of other targets may have told some of between."""
    new = times > line.carry.at_ms
    if not new.all():
        times, values = times[new], values[new]
    if not len(times):
        return bool(line.times)
    rising = times[0] > line.last_ms and bool((times[1:] > times[:-1]).all())
    if not rising:
        times, places = np.unique(np.concatenate([np.array(line.times), times]), return_index=True)
        values = np.concatenate([np.array(line.values), values])[places]
        del line.times[:], line.values[:]
    line.times.frombytes(times.astype(np.int64).tobytes())
    line.values.frombytes(values.tobytes())
    line.last_ms = line.times[-1]
    if line.first_ms < 0 or not line.carry.count:
        line.first_ms = line.times[0]
    return True
