"""Time and chance under a test's control."""

from __future__ import annotations

import hashlib


class FakeClock:
    """A clock that moves only when told.

    Args:
        start: Seconds since the Unix epoch.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the present moment."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def advance_to(self, moment: float) -> None:
        """Let time pass until a moment; a past one changes nothing."""
        self._now = max(self._now, moment)


class SeededRandomness:
    """The same bytes for the same seed.

    Args:
        seed: Any number.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._count = 0

    def token(self, size_bytes: int) -> bytes:
        """Return the next ``size_bytes`` bytes."""
        self._count += 1
        data = b""
        block = 0
        while len(data) < size_bytes:
            data += hashlib.sha256(f"{self._seed}:{self._count}:{block}".encode()).digest()
            block += 1
        return data[:size_bytes]
