"""Moments and steps as Prometheus's tools write them."""

from __future__ import annotations

import re
from datetime import datetime

from andon.kernel.errors import UsageError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_LARGEST = 1e18


def read_moment(name: str, text: str) -> float | None:
    """Read a time; empty: None.

    Raises:
        UsageError: It is none.

    >>> read_moment("time", "1.5"), read_moment("time", "1970-01-01T00:01:00Z")
    (1.5, 60.0)
    """
    if not text:
        return None
    try:
        return _finite(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError(text)
        return found.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp'
        ) from None


def read_step(text: str) -> float:
    """Read a step, in seconds.

    Raises:
        UsageError: It is none.

    >>> read_step("15"), read_step("1m30s")
    (15.0, 90.0)
    """
    try:
        return _finite(text)
    except ValueError:
        pass
    if not _DURATION.fullmatch(text):
        raise UsageError(f'invalid parameter "step": cannot parse "{text}" to a valid duration')
    return float(
        sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))
    )


def _finite(text: str) -> float:
    found = float(text)
    if not abs(found) < _LARGEST or "_" in text:
        raise ValueError(text)
    return found
