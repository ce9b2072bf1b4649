"""The real clock and the real source of chance."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The host's clock."""

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return time.time()


class SystemRandomness:
    """The operating system's entropy."""

    def token(self, size_bytes: int) -> bytes:
        """Return ``size_bytes`` random bytes."""
        return secrets.token_bytes(size_bytes)
