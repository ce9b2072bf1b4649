"""What follows from a counter's samples: its cumulative value without resets, and what was observed.

Each sample has, besides its raw value, the offset that all resets before it add up to, and the time that
was observed until then. An interval between two samples is observed if it is no longer than ``PATIENCE``
times what is usual for the series, if neither end is a staleness mark, and if the counter was not reset
in it: what it counted between its last sample and the reset nobody knows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct

PATIENCE = 2.5
"""One sample may be missing; two may not."""
FIRST_STEP_MS = 120_000
"""What is taken as usual until a few samples say otherwise."""
_ENOUGH = 3
_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
_TYPES = {
    "counter": True,
    "histogram": True,
    "gauge": False,
    "gaugehistogram": False,
    "info": False,
    "stateset": False,
}


class Carry(Struct, frozen=True):
    """How far a series has come.

    Args:
        at_ms: Time of its last sample; below zero: there is none.
        raw: Its last value that is a number; NaN: there is none.
        offset: Sum of what was counted before each reset.
        covered_ms: How much time was observed.
        count: How many samples there were.
        step_ms: The usual time between two.
        stale: Whether the last sample is no number.
    """

    at_ms: int = -1
    raw: float = math.nan
    offset: float = 0.0
    covered_ms: int = 0
    count: int = 0
    step_ms: int = 0
    stale: bool = True


class Derived(Struct, frozen=True):
    """What follows from each of n samples.

    Args:
        offset: ``(n,) float64``: what resets add to the raw value.
        raw: ``(n,) float64``: the last value that is a number.
        covered_ms: ``(n,) int64``: observed until then.
        gap: ``(n,) bool``: whether the interval before it was not observed.
        carry: How far the series has come then.
    """

    offset: Any
    raw: Any
    covered_ms: Any
    gap: Any
    carry: Carry


def is_counter(name: str, type_: str) -> bool:
    """Say whether a series only grows: by what its metric was told to be, or else by its name.

    >>> is_counter("http_requests_total", ""), is_counter("node_memory_total", "gauge")
    (True, False)
    >>> is_counter("rpc_seconds", "summary"), is_counter("rpc_seconds_count", "summary")
    (False, True)
    """
    told = _TYPES.get(type_)
    return name.endswith(_SUFFIXES) if told is None else told


def derive(times: Any, values: Any, before: Carry, *, counter: bool) -> Derived:
    """Follow a series over samples.

    Args:
        times: ``(n,) int64``, rising, milliseconds; n is at least 1.
        values: ``(n,) float64``.
        before: How far it had come.
        counter: Whether a fall is a reset.
    """
    number = ~np.isnan(values)
    raw = values if number.all() else _filled(values, number, before.raw)
    previous = _shifted(raw, before.raw)
    fell = raw < previous if counter else np.zeros(len(raw), bool)
    offset = before.offset + np.cumsum(np.where(fell, previous, 0.0))
    elapsed = times - _shifted(times, before.at_ms)
    step = usual_step(times, before)
    gap = elapsed > PATIENCE * step
    gap |= ~number | ~_shifted(number, not before.stale) | fell
    if before.at_ms < 0:
        gap[0] = True
    covered = before.covered_ms + np.cumsum(np.where(gap, 0, elapsed))
    carry = Carry(
        int(times[-1]), float(raw[-1]), float(offset[-1]), int(covered[-1]),
        before.count + len(times), step, not number[-1],
    )  # fmt: skip
    return Derived(offset, raw, covered, gap, carry)


def usual_step(times: Any, before: Carry) -> int:
    """Return the usual time between samples: the median, once there are enough."""
    if len(times) > _ENOUGH:
        steps = times[1:] - times[:-1]
        return int(np.partition(steps, len(steps) // 2)[len(steps) // 2])
    return before.step_ms or FIRST_STEP_MS


def _shifted(values: Any, first: Any) -> Any:
    result = np.empty_like(values)
    result[0] = first
    result[1:] = values[:-1]
    return result


def _filled(values: Any, number: Any, first: float) -> Any:
    last = np.maximum.accumulate(np.where(number, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], first)
