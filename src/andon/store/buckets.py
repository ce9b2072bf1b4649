"""Token buckets: how much of a queue may begin now."""

from __future__ import annotations

from andon.ports.store import Limit
from andon.store.dialect import Connection

PLENTY = 1_000_000


class Buckets:
    """The part of a transaction that keeps rates.

    Source: the token bucket of RFC 2697, with ``burst`` as its size.
    """

    _db: Connection

    def _allowance(self, name: str, most: Limit, now: float) -> int:
        """Return how many may begin now."""
        return int(self._level(name, most, now)) if most.per_second else PLENTY

    def _spend(self, name: str, most: Limit, count: int, now: float) -> None:
        """Say that so many have begun."""
        if not most.per_second or not count:
            return
        self._db.change(
            "INSERT INTO bucket (name, level, at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET level = excluded.level, at = excluded.at",
            (name, self._level(name, most, now) - count, now),
        )

    def _level(self, name: str, most: Limit, now: float) -> float:
        rows = self._db.run("SELECT level, at FROM bucket WHERE name = ?", (name,))
        if not rows:
            return float(most.burst)
        level, at = map(float, rows[0])
        # A clock that was put back fills nothing, and takes nothing away.
        return min(float(most.burst), level + max(0.0, now - at) * most.per_second)
