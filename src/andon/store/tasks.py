"""Tasks and leases: what is due, who works on it, and who was replaced."""

from __future__ import annotations

from andon.kernel.errors import Conflict, Fenced
from andon.ports.store import TaskRow
from andon.store.dialect import Connection, Row

NEVER = 1e18
"""Due of a task that only something else will wake."""


class Tasks:
    """The part of a transaction that queues work."""

    _db: Connection
    news: bool

    def wake(self, kind: str, name: str, due: float) -> None:
        """Have an object reconciled at ``due`` or earlier."""
        self._db.change(
            "INSERT INTO task (kind, name, due, claimed_due, owner, lease_until, worker_epoch,"
            " claims, attempts) VALUES (?, ?, ?, 0, '', 0, 0, 0, 0) ON CONFLICT (kind, name) DO UPDATE SET"
            " due = CASE WHEN task.due < excluded.due THEN task.due ELSE excluded.due END",
            (kind, name, due),
        )
        self.news = True

    def claim(
        self, owner: str, epoch: int, now: float, lease_seconds: float, limit: int
    ) -> list[TaskRow]:
        """Take tasks that are due and free, whose lease is over, or whose worker was replaced."""
        rows = self._db.run(
            "SELECT kind, name, CASE WHEN lease_until > 0 THEN claimed_due ELSE due END FROM task"
            " WHERE (lease_until = 0 AND due <= ?)"
            " OR (lease_until > 0 AND (lease_until <= ? OR worker_epoch < ?))"
            " ORDER BY 3, kind, name LIMIT ?",
            (now, now, epoch, limit),
        )
        return [self._take(row, owner, epoch, now + lease_seconds) for row in rows]

    def _take(self, row: Row, owner: str, epoch: int, until: float) -> TaskRow:
        kind, name, due = row
        ((claims, attempts),) = self._db.run(
            "UPDATE task SET due = ?, claimed_due = ?, owner = ?, lease_until = ?,"
            " worker_epoch = ?, claims = claims + 1, attempts = attempts + 1"
            " WHERE kind = ? AND name = ? RETURNING claims, attempts",
            (NEVER, due, owner, until, epoch, kind, name),
        )
        return TaskRow(kind, name, due, claims, attempts)

    def finish(self, task: TaskRow, next_due: float | None) -> None:
        """Give a task back."""
        due = NEVER if next_due is None else next_due
        changed = self._db.change(
            "UPDATE task SET due = CASE WHEN due < ? THEN due ELSE ? END, owner = '',"
            " lease_until = 0, attempts = 0 WHERE kind = ? AND name = ? AND claims = ?"
            " AND lease_until > 0",
            (due, due, task.kind, task.name, task.epoch),
        )
        if not changed:
            raise Fenced(f"{task.kind} {task.name} was claimed by another worker meanwhile")
        self.news = True

    def next_due(self) -> float | None:
        """Return when the next task can be claimed."""
        ((free,),) = self._db.run(
            "SELECT MIN(due) FROM task WHERE lease_until = 0 AND due < ?", (NEVER,)
        )
        ((leased,),) = self._db.run("SELECT MIN(lease_until) FROM task WHERE lease_until > 0")
        known = [moment for moment in (free, leased) if moment is not None]
        return min(known) if known else None

    def acquire(self, lease: str, owner: str, now: float, ttl_seconds: float) -> int:
        """Take a lease under a new epoch."""
        rows = self._db.run("SELECT owner, until FROM lease WHERE name = ?", (lease,))
        if rows and rows[0][0] != owner and rows[0][1] > now:
            raise Conflict(
                f"{lease} is held by {rows[0][0]} for another {rows[0][1] - now:.0f} s",
                hint="stop that one, or wait until its lease is over",
            )
        ((epoch,),) = self._db.run(
            "INSERT INTO lease (name, owner, epoch, until) VALUES (?, ?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = lease.epoch + 1,"
            " until = excluded.until RETURNING epoch",
            (lease, owner, now + ttl_seconds),
        )
        return int(epoch)

    def renew(self, lease: str, owner: str, epoch: int, now: float, ttl_seconds: float) -> None:
        """Keep a lease."""
        changed = self._db.change(
            "UPDATE lease SET until = ? WHERE name = ? AND owner = ? AND epoch = ?",
            (now + ttl_seconds, lease, owner, epoch),
        )
        if not changed:
            raise Fenced(f"{lease}: a newer worker has taken over from epoch {epoch}")

    def check_epoch(self, lease: str, epoch: int) -> None:
        """Refuse to go on under an old epoch."""
        rows = self._db.run("SELECT epoch FROM lease WHERE name = ?", (lease,))
        if rows and rows[0][0] > epoch:
            raise Fenced(f"{lease}: epoch {epoch} is over, {rows[0][0]} has taken over")
