"""Prometheus's staleness mark: a NaN of its own, which says that a series is no longer told."""

from __future__ import annotations

import struct

STALE_BITS = 0x7FF0000000000002
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def is_stale(value: float) -> bool:
    """Say whether a value is the mark; any other NaN is a value.

    >>> is_stale(STALE), is_stale(float("nan")), is_stale(0.0)
    (True, False, False)
    """
    return value != value and struct.pack("<d", value) == struct.pack("<Q", STALE_BITS)
