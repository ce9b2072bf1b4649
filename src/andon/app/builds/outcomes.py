"""How jobs ended, as their executors told it; kept with their Run, and remembered while it is looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from andon.api.v1.actions import JobDone
from andon.api.v1.records import ENDED_STEP, Object, StepRow
from andon.kernel.ids import idempotency_key
from andon.ports.store import Tx

MOST_KEPT = 10_000


class Outcomes:
    """Finds how jobs ended; an outcome never changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, JobDone] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, tx: Tx, run: Object, rows: Sequence[StepRow]) -> dict[str, JobDone]:
        """Return the outcome of each step's last attempt, where it was a job and has ended.

        Args:
            tx: A snapshot.
            run: The Run.
            rows: Its steps.
        """
        found: dict[str, JobDone] = {}
        with self._turn:
            for row in rows:
                if row.state in ENDED_STEP and row.log:
                    done = self._one(tx, idempotency_key(*_named(run), row.name, row.attempt))
                    if done is not None:
                        found[row.name] = done
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _one(self, tx: Tx, key: str) -> JobDone | None:
        if key in self._kept:
            return self._kept[key]
        asked = tx.action(key)
        outcome = asked.row.outcome if asked is not None else None
        if not isinstance(outcome, JobDone):
            return None
        self._kept[key] = outcome
        return outcome


def _named(run: Object) -> tuple[str, int]:
    return run.uid, run.generation
