"""Dead letters: work that was given up, for a person to see."""

from __future__ import annotations

from andon.kernel.errors import NotFound
from andon.ports.store import DeadLetter
from andon.store.dialect import Connection

_LETTER = "queue, subject, error, attempts, at"


class Letters:
    """The part of a transaction that keeps what was given up."""

    _db: Connection

    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter."""
        self._forget_letter(letter.queue, letter.subject)
        self._db.change(
            f"INSERT INTO dead_letter ({_LETTER}) VALUES (?, ?, ?, ?, ?)",
            (letter.queue, letter.subject, letter.error, letter.attempts, letter.at),
        )

    def dead_letters(self, queue: str = "") -> list[DeadLetter]:
        """Return dead letters, the oldest first."""
        rows = self._db.run(
            f"SELECT {_LETTER} FROM dead_letter WHERE queue = ? OR ? = '' ORDER BY at, subject",
            (queue, queue),
        )
        return [_letter(*row) for row in rows]

    def unbury(self, queue: str, subject: str) -> DeadLetter:
        """Take a dead letter away."""
        rows = self._db.run(
            f"SELECT {_LETTER} FROM dead_letter WHERE queue = ? AND subject = ?",
            (queue, subject),
        )
        if not rows:
            raise NotFound(
                f"{queue} has no dead letter {subject}", hint="`andon queue dead` lists them"
            )
        self._forget_letter(queue, subject)
        return _letter(*rows[0])

    def _forget_letter(self, queue: str, subject: str) -> None:
        self._db.change("DELETE FROM dead_letter WHERE queue = ? AND subject = ?", (queue, subject))


def _letter(queue: str, subject: str, error: str, attempts: int, at: float) -> DeadLetter:
    return DeadLetter(queue=queue, subject=subject, error=error, attempts=attempts, at=at)
