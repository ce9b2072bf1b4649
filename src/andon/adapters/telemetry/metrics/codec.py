"""Numbers as few bytes, exactly: what is decoded has the same 64 bits as what was encoded.

Whole numbers are written as differences of the smallest width that holds them, above the smallest of
them. Floating-point numbers that are short decimals (``0.125``, ``17.3``) are whole numbers over a power
of ten; whatever else is written as the exclusive-or with the number before. The bytes are put in order of
their significance (all lowest bytes first) and go through zstd, if that helps.

Numbers that are none (not finite, negative zero) stand apart, by their bits.
"""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
import zstandard

from andon.kernel.errors import InternalError

POWERS = (0, 1, 2, 3, 4, 6, 9)
"""Of ten: how many decimals are tried."""
MOST_EXACT = 2.0**53
_MOST_APART = 0.25
"""With a larger share of numbers that are none, all are written by their bits."""
_WIDTHS = (0, 1, 2, 4, 8)
_XOR = 255
_ZSTD = 0x80
_HEAD = struct.Struct("<BqqI")

_mine = threading.local()


def pack_ints(values: Any) -> bytes:
    """Encode ``(n,) int64``."""
    first = int(values[0]) if len(values) else 0
    steps = values[1:] - values[:-1]
    least = int(steps.min()) if len(steps) else 0
    # Unsigned arithmetic wraps round, there and back.
    above = steps.astype(np.uint64) - np.uint64(least & 0xFFFFFFFFFFFFFFFF)
    width = _width(int(above.max()) if len(above) else 0)
    body = _transpose(above, width)
    squeezed = _squeeze(body)
    flag = width | (_ZSTD if squeezed is not body else 0)
    return _HEAD.pack(flag, first, least, len(squeezed)) + squeezed


def unpack_ints(data: bytes, at: int, count: int) -> tuple[Any, int]:
    """Decode what ``pack_ints`` wrote; returns the numbers and where the rest begins."""
    flag, first, least, size = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    result = np.empty(count, np.int64)
    if not count:
        return result, at + size
    width = flag & ~_ZSTD
    result[0] = first
    result[1:] = least
    if width:
        body = _expand(data[at : at + size], flag, width * (count - 1))
        result[1:] += _untranspose(body, width, count - 1).view(np.int64)
    np.cumsum(result, out=result)
    return result, at + size


def regular(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return the first of numbers, the step between them and where the rest begins; None: it varies."""
    flag, first, least, size = _HEAD.unpack_from(data, at)
    return None if flag & ~_ZSTD else (first, least, at + _HEAD.size + size)


def decimal_at(data: bytes, at: int, count: int, index: int) -> float | None:
    """Return one of what ``pack_floats`` wrote without making an array of all; None: it has to be made."""
    power = data[at]
    if power == _XOR or data[at + 1 : at + 5] != b"\0\0\0\0":
        return None
    flag, first, least, size = _HEAD.unpack_from(data, at + 5)
    whole, width, at = first + least * index, flag & ~_ZSTD, at + 5 + _HEAD.size
    if width and index:
        body = _expand(data[at : at + size], flag, width * (count - 1))
        for place in range(width):
            begin = place * (count - 1)
            whole += int(np.frombuffer(body, np.uint8, index, begin).sum()) << 8 * place
    return float(whole) / 10.0**power if power else float(whole)


def pack_floats(values: Any) -> bytes:
    """Encode ``(n,) float64``."""
    bits = values.view(np.int64)
    odd = ~np.isfinite(values) | ((values == 0) & (bits != 0))
    apart = np.flatnonzero(odd)
    if len(apart) > _MOST_APART * len(values):
        return _pack_xor(bits)
    plain = _without(values, apart) if len(apart) else values
    whole = _as_decimal(plain)
    if whole is None:
        return _pack_xor(bits)
    power, numbers = whole
    places = bytes(apart.astype(np.uint32).tobytes() + bits[apart].tobytes())
    return struct.pack("<BI", power, len(apart)) + places + pack_ints(numbers)


def unpack_floats(data: bytes, at: int, count: int) -> tuple[Any, int]:
    """Decode what ``pack_floats`` wrote; returns the numbers and where the rest begins."""
    power = data[at]
    if power == _XOR:
        return _unpack_xor(data, at + 1, count)
    (n_apart,) = struct.unpack_from("<I", data, at + 1)
    at += 5
    numbers, end = unpack_ints(data, at + 12 * n_apart, count)
    values = numbers.astype(np.float64)
    if power:
        values /= 10.0**power
    if n_apart:
        places = np.frombuffer(data, np.uint32, n_apart, at)
        values.view(np.int64)[places] = np.frombuffer(data, np.int64, n_apart, at + 4 * n_apart)
    return values, end


def _without(values: Any, apart: Any) -> Any:
    """Put the number before in the place of each that is none."""
    kept = np.ones(len(values), bool)
    kept[apart] = False
    last = np.maximum.accumulate(np.where(kept, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], 0.0)


def _as_decimal(values: Any) -> tuple[int, Any] | None:
    for power in POWERS:
        scaled = np.rint(values * 10.0**power)
        if len(scaled) and not np.abs(scaled).max() < MOST_EXACT:
            return None
        if np.array_equal(scaled / 10.0**power, values):
            return power, scaled.astype(np.int64)
    return None


def _pack_xor(bits: Any) -> bytes:
    mixed = bits.copy()
    mixed[1:] ^= bits[:-1]
    body = _transpose(mixed.view(np.uint64), 8)
    squeezed = _squeeze(body)
    flag = _ZSTD if squeezed is not body else 0
    return struct.pack("<BBI", _XOR, flag, len(squeezed)) + squeezed


def _unpack_xor(data: bytes, at: int, count: int) -> tuple[Any, int]:
    flag, size = struct.unpack_from("<BI", data, at)
    at += 5
    body = _expand(data[at : at + size], flag, 8 * count)
    mixed = _untranspose(body, 8, count)
    return np.bitwise_xor.accumulate(mixed).view(np.float64), at + size


def _width(most: int) -> int:
    return next(width for width in _WIDTHS if most < 1 << (8 * width))


def _transpose(values: Any, width: int) -> bytes:
    planes = values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
    return bytes(np.ascontiguousarray(planes.T).tobytes())


def _untranspose(body: bytes, width: int, count: int) -> Any:
    if width == 1:
        return np.frombuffer(body, np.uint8, count).astype(np.uint64)
    planes = np.zeros((count, 8), np.uint8)
    planes[:, :width] = np.frombuffer(body, np.uint8, width * count).reshape(width, count).T
    return planes.view("<u8").reshape(count)


def _squeeze(body: bytes) -> bytes:
    """Return it compressed, or as it is where that is no longer."""
    small = _compressor().compress(body) if body else body
    return bytes(small) if len(small) < len(body) else body


def _expand(body: bytes, flag: int, size: int) -> bytes:
    found: bytes = _decompressor().decompress(body, max_output_size=size) if flag & _ZSTD else body
    if len(found) != size:
        raise InternalError("a chunk of samples does not hold what it says")
    return found


def _compressor() -> Any:
    if not hasattr(_mine, "compressor"):
        parameters = zstandard.ZstdCompressionParameters.from_level(
            3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False
        )
        _mine.compressor = zstandard.ZstdCompressor(compression_params=parameters)
    return _mine.compressor


def _decompressor() -> Any:
    if not hasattr(_mine, "decompressor"):
        _mine.decompressor = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    return _mine.decompressor
