"""Leases: who is alive, who does what only one may do, and whether anybody works at all."""

from __future__ import annotations

from andon.kernel.errors import Conflict, Fenced
from andon.store.dialect import Connection

PAUSED = "paused"
"""Setting that says why nothing is claimed."""


class Leases:
    """The part of a transaction that keeps leases."""

    _db: Connection
    news: bool

    def acquire(self, lease: str, owner: str, now: float, ttl_seconds: float) -> int:
        """Take a lease under a new token."""
        token, drawn = self._db.token()
        rows = self._db.run(
            f"INSERT INTO lease (name, owner, token, until) VALUES (?, ?, {token}, ?)"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, token = excluded.token,"
            " until = excluded.until WHERE lease.owner = excluded.owner OR lease.until <= ?"
            " RETURNING token",
            (lease, owner, *drawn, now + ttl_seconds, now),
        )
        if not rows:
            ((holder, until),) = self._db.run(
                "SELECT owner, until FROM lease WHERE name = ?", (lease,)
            )
            raise Conflict(
                f"{lease} is held by {holder} for another {until - now:.0f} s",
                hint="stop that one, or wait until its lease is over",
            )
        return int(rows[0][0])

    def renew(self, lease: str, token: int, now: float, ttl_seconds: float) -> None:
        """Keep a lease."""
        changed = self._db.change(
            "UPDATE lease SET until = ? WHERE name = ? AND token = ?",
            (now + ttl_seconds, lease, token),
        )
        if not changed:
            raise Fenced(f"{lease}: another has taken it over from token {token}")

    def check_lease(self, lease: str, token: int) -> None:
        """Refuse to go on with a lease that another has acquired."""
        rows = self._db.run("SELECT token FROM lease WHERE name = ?", (lease,))
        if not rows or rows[0][0] != token:
            raise Fenced(f"{lease}: token {token} is over, another has taken it over")

    def release(self, owner: str) -> None:
        """Free everything of an owner."""
        self._db.change(
            "UPDATE task SET owner = '', lease_until = 0, due = claimed_due"
            " WHERE owner = ? AND lease_until > 0",
            (owner,),
        )
        self._db.change(
            "UPDATE action SET owner = '' WHERE owner = ? AND outcome IS NULL", (owner,)
        )
        self._db.change("DELETE FROM lease WHERE owner = ?", (owner,))
        self.news = True

    def leases(self) -> list[tuple[str, str, int, float]]:
        """Return every lease."""
        rows = self._db.run("SELECT name, owner, token, until FROM lease ORDER BY name")
        return [(name, owner, token, until) for name, owner, token, until in rows]

    def draw_above(self, token: int) -> None:
        """Never draw a token that is not greater than this one."""
        self._db.draw_above(token)

    # --- pausing ---------------------------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Have nothing claimed."""
        self._db.change(
            "INSERT INTO setting (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (PAUSED, reason),
        )
        self.news = True

    def resume(self) -> None:
        """Go on."""
        self._db.change("DELETE FROM setting WHERE key = ?", (PAUSED,))
        self.news = True

    def paused(self) -> str:
        """Return why nothing is claimed."""
        rows = self._db.run("SELECT value FROM setting WHERE key = ?", (PAUSED,))
        return str(rows[0][0]) if rows else ""
