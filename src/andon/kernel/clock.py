"""Time and chance as arguments: nothing below the runtime reads a clock or a random source itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        ...


class Randomness(Protocol):
    """Yields unpredictable bytes."""

    def token(self, size_bytes: int) -> bytes:
        """Return ``size_bytes`` random bytes."""
        ...


def rfc3339(seconds: float) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds.

    Args:
        seconds: Seconds since the Unix epoch.

    Source: RFC 3339, section 5.6.

    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"
