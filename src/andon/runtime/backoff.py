"""How long to wait before trying again."""

from __future__ import annotations

import zlib

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0


def backoff_seconds(subject: str, attempt: int) -> float:
    """Return the pause after a failed attempt: doubling, with jitter.

    The jitter takes away up to half, so that what failed together is not tried again together. It
    comes from the subject and the attempt, so that the same history gives the same pauses.

    Args:
        subject: What is tried.
        attempt: How often it was, at least 1.

    >>> backoff_seconds("Run/a", 1) <= 1.0 < backoff_seconds("Run/a", 5) <= 16.0
    True
    """
    full = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 20))
    chance = zlib.crc32(f"{subject}#{attempt}".encode()) / 2**32
    return full * (1 - chance / 2)
