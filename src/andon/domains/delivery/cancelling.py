"""A rollout that a person cancels: what may come of it, and the end of one that waits at its gate."""

from __future__ import annotations

from collections.abc import Iterable

from andon.api.v1.records import CancellationSpec, Object, RolloutPlan, StepRow
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.stopping import IRREVERSIBLE
from andon.domains.line import cancellation


def too_late(run: Object, steps: Iterable[StepRow]) -> str:
    """Say why a rollout that has not ended can no longer be cancelled; empty if it can.

    Args:
        run: A Run of the type ``rollout`` or ``rollback``.
        steps: Its steps.
    """
    if "back" in run.status.memory and run.status.reason != cancellation.REASON:
        return f"it is on its way back already: {run.status.message}"
    if any(row.name == "retire" and row.state != "waiting" for row in steps):
        return "its version has taken over, and the one before is leaving"
    return ""


def foresee(run: Object) -> str:
    """Say what becomes of a rollout that is cancelled now."""
    plan: RolloutPlan = run.spec.rollout
    place = f"{plan.service} in {plan.environment}"
    if not run.status.started_at:
        return f"nothing was begun for {place}"
    if run.status.past_irreversible:
        return (
            f"{IRREVERSIBLE}: {place} is left as it is; "
            f"to go back all the same: andon rollback {plan.environment} {plan.service} -m REASON"
        )
    before = "the version before" if run.status.previous else "nothing, as before"
    return f"{place} goes back to {before}; clean-up jobs run"


def cancel_at_gate(rollout: Rollout, wish: CancellationSpec) -> None:
    """End a rollout that has not begun."""
    message = cancellation.tell(wish)
    rollout.close_open_steps("cancelled", message, waiting="cancelled")
    rollout.set(
        phase="Cancelled",
        reason=cancellation.REASON,
        message=message,
        finished_at=rollout.now,
    )
    rollout.events.append(cancellation.cancelled(rollout.view.object, rollout.stream, message))
