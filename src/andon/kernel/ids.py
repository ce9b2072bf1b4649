"""Identities."""

from __future__ import annotations

from andon.kernel.clock import Randomness

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_uid(now: float, randomness: Randomness) -> str:
    """Make a sortable unique id: 48 bits of time and 80 of chance, in lower-case base 32.

    Args:
        now: Seconds since the Unix epoch.
        randomness: Source of the 80 bits.

    Source: the ULID specification (its alphabet is Crockford's).
    """
    value = (int(now * 1000) << 80) | int.from_bytes(randomness.token(10), "big")
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def idempotency_key(uid: str, generation: int, step: str, attempt: int) -> str:
    """Name one effect for ever, so that whoever performs it can recognise a repetition.

    >>> idempotency_key("01h", 1, "deploy", 0)
    '01h/1/deploy/0'
    """
    return f"{uid}/{generation}/{step}/{attempt}"
