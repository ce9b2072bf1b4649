"""What lets nobody in any more is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.app.access.directory import every
from andon.ports.store import Tx

AT_ONCE = 200
REQUESTS_KEPT_SECONDS = 24 * 3600.0
"""Who sends a request again within this time gets the same answer."""
TOKENS_KEPT_SECONDS = 30 * 86400.0
"""Revoked and expired tokens are shown for so long."""


def sweep_access(tx: Tx, now: float) -> int:
    """Forget some sessions that are over, requests of yesterday and tokens that ended long ago.

    Args:
        tx: A writing transaction.
        now: Seconds since the Unix epoch.

    Returns:
        How many objects were forgotten.
    """
    over = [
        *_oldest(tx, "Session", lambda one: one.spec.expires_at <= now),
        *_oldest(tx, "Request", lambda one: one.spec.at <= now - REQUESTS_KEPT_SECONDS),
        *(token for token in every(tx, "Token") if 0 < _ended(token) <= now - TOKENS_KEPT_SECONDS),
    ]
    for one in over:
        tx.forget(one)
    return len(over)


def _oldest(tx: Tx, kind: str, is_over: Callable[[Object], bool]) -> list[Object]:
    """Return those that are over; all of a kind last equally long, so the oldest are over first."""
    return list(takewhile(is_over, tx.list(Selector(kind=kind), limit=AT_ONCE)))


def _ended(token: Object) -> float:
    return float(token.status.revoked_at or token.spec.expires_at)
