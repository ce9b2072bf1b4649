"""Tasks: what is due, and who looks at it."""

from __future__ import annotations

from andon.kernel.errors import Fenced
from andon.ports.store import DeadLetter, QueuedTask, TaskRow
from andon.store.letters import Letters

NEVER = 1e18
"""Due of a task that only something else will wake."""
TURNS = "turns"
"""Queue of dead letters that are turns."""


class Tasks(Letters):
    """The part of a transaction that queues turns."""

    news: bool

    def wake(self, kind: str, name: str, due: float, ahead_seconds: float = 0.0) -> None:
        """Have an object reconciled at ``due`` or earlier."""
        self._db.change(
            "INSERT INTO task (kind, name, due, ahead, claimed_due, owner, lease_until, token,"
            " attempts) VALUES (?, ?, ?, ?, 0, '', 0, 0, 0) ON CONFLICT (kind, name) DO UPDATE SET"
            " due = CASE WHEN task.due < excluded.due THEN task.due ELSE excluded.due END,"
            " ahead = CASE WHEN task.ahead > excluded.ahead THEN task.ahead ELSE excluded.ahead END",
            (kind, name, due, ahead_seconds),
        )
        self.news = True

    def claim(self, owner: str, now: float, lease_seconds: float, limit: int) -> list[TaskRow]:
        """Take tasks that are due and free, or whose lease is over; nothing while paused."""
        token, drawn = self._db.token()
        rows = self._db.run(
            "UPDATE task SET claimed_due = CASE WHEN lease_until > 0 THEN claimed_due ELSE due END,"
            f" due = CASE WHEN lease_until > 0 THEN due ELSE ? END, owner = ?, lease_until = ?,"
            f" token = {token}, attempts = attempts + 1 WHERE (kind, name) IN (SELECT kind, name"
            " FROM task WHERE ((lease_until = 0 AND due <= ?) OR (lease_until > 0 AND"
            " lease_until <= ?)) AND NOT EXISTS (SELECT 1 FROM setting WHERE key = 'paused')"
            f" ORDER BY (CASE WHEN lease_until > 0 THEN claimed_due ELSE due END) - ahead, kind,"
            f" name LIMIT ?{self._db.skip_locked}) RETURNING kind, name, claimed_due, token,"
            " attempts, ahead",
            (NEVER, owner, now + lease_seconds, *drawn, now, now, limit),
        )
        rows.sort(key=lambda row: (row[2] - row[5], row[0], row[1]))
        return [TaskRow(*row[:5]) for row in rows]

    def claim_one(self, kind: str, name: str, owner: str, now: float) -> TaskRow | None:
        """Take one task, due or not, whose turn ends with this transaction."""
        token, drawn = self._db.token()
        rows = self._db.run(
            f"UPDATE task SET claimed_due = ?, due = ?, owner = ?, lease_until = ?, token = {token},"
            " attempts = attempts + 1 WHERE kind = ? AND name = ? AND lease_until = 0 AND NOT EXISTS"
            " (SELECT 1 FROM setting WHERE key = 'paused') RETURNING token, attempts",
            (now, NEVER, owner, now, *drawn, kind, name),
        )
        return TaskRow(kind, name, now, *rows[0]) if rows else None

    def finish(self, task: TaskRow, next_due: float | None) -> None:
        """Give a task back."""
        self._give_back(task, next_due, ", attempts = 0")
        if task.attempts > 1:
            self._forget_letter(TURNS, _subject(task))

    def fail(self, task: TaskRow, error: str, next_due: float | None, now: float) -> None:
        """Give a task back whose turn could not be taken."""
        self._give_back(task, next_due, "")
        if next_due is None:
            self.bury(
                DeadLetter(
                    queue=TURNS, subject=_subject(task), error=error, attempts=task.attempts, at=now
                )
            )

    def _give_back(self, task: TaskRow, next_due: float | None, more: str) -> None:
        due = NEVER if next_due is None else next_due
        changed = self._db.change(
            f"UPDATE task SET due = CASE WHEN due < ? THEN due ELSE ? END, owner = '',"
            f" lease_until = 0{more} WHERE kind = ? AND name = ? AND token = ? AND lease_until > 0",
            (due, due, task.kind, task.name, task.token),
        )
        if not changed:
            raise Fenced(f"{task.kind} {task.name} was claimed by another worker meanwhile")
        self.news = self.news or self._is_waiting(task)

    def _is_waiting(self, task: TaskRow) -> bool:
        return bool(
            self._db.run(
                "SELECT 1 FROM task WHERE kind = ? AND name = ? AND due < ?",
                (task.kind, task.name, NEVER),
            )
        )

    def due_tasks(self, now: float, limit: int) -> list[QueuedTask]:
        """Return what is claimed or due."""
        rows = self._db.run(
            "SELECT kind, name, CASE WHEN lease_until > 0 THEN claimed_due ELSE due END, owner,"
            " attempts FROM task WHERE lease_until > 0 OR due <= ? ORDER BY 3, kind, name LIMIT ?",
            (now, limit),
        )
        return [QueuedTask(*row) for row in rows]

    def next_due(self) -> float | None:
        """Return when the next task can be claimed."""
        ((free,),) = self._db.run(
            "SELECT MIN(due) FROM task WHERE lease_until = 0 AND due < ?", (NEVER,)
        )
        ((leased,),) = self._db.run("SELECT MIN(lease_until) FROM task WHERE lease_until > 0")
        known = [moment for moment in (free, leased) if moment is not None]
        return min(known) if known else None


def _subject(task: TaskRow) -> str:
    return f"{task.kind}/{task.name}"
