"""An outcome and the turn it leads to, committed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from andon.api.v1.actions import AnyOutcome
from andon.ports.store import PendingAction, Tx
from andon.runtime.turns import Turns


class Following:
    """What one worker's outcomes lead to.

    Args:
        turns: The controllers.
        worker: Who performs.
        at_once: Queues of which this worker performs everything without waiting.
    """

    def __init__(self, turns: Turns, worker: str, at_once: Collection[str]) -> None:
        self._turns = turns
        self._worker = worker
        self._at_once = at_once
        self._under_way: Counter[str] = Counter()

    def begun(self, intents: Collection[PendingAction]) -> None:
        """Note what is being performed."""
        self._under_way.update(pending.uid for pending in intents)

    def ended(self, pending: PendingAction) -> None:
        """Note that an intent is not performed any more."""
        self._under_way -= Counter({pending.uid: 1})

    def is_alone(self, pending: PendingAction) -> bool:
        """Say whether nothing else of its object is under way.

        What comes together is used together, in a turn that is claimed once for all of it.
        """
        return self._under_way[pending.uid] == 1

    def record(
        self, tx: Tx, pending: PendingAction, token: int, outcome: AnyOutcome, now: float
    ) -> None:
        """Write an outcome; the turn it leads to is left to whoever claims it.

        Raises:
            Fenced: Another worker performs it now.
        """
        tx.set_outcome(pending.row.key, token, outcome, now)
        tx.wake(pending.kind, pending.name, now)

    def record_and_turn(
        self, tx: Tx, pending: PendingAction, token: int, outcome: AnyOutcome, now: float
    ) -> list[PendingAction] | None:
        """Write an outcome, and take the turn it leads to along with it.

        Returns:
            The intents to perform next; None if the turn is being taken already, or all is paused.

        Raises:
            Fenced: Another worker performs it now.
        """
        tx.set_outcome(pending.row.key, token, outcome, now)
        task = tx.claim_one(pending.kind, pending.name, self._worker, now)
        if task is None:
            tx.wake(pending.kind, pending.name, now)
            return None
        return self._turns.take(tx, task, now, self._worker, self._at_once)
