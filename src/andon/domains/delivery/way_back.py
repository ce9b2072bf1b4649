"""The way back of a rollout: weight to zero, desired state, backend and replicas, then clean-up."""

from __future__ import annotations

from typing import Any

from andon.api.v1.actions import (
    ActionFailed,
    AnyAction,
    RemoveBackend,
    RetireReplicas,
    SetWeights,
    WriteDesired,
)
from andon.api.v1.control import ActionRow
from andon.api.v1.records import Phase, StepState
from andon.domains.delivery.jobs import carry_out
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.telling import tell
from andon.domains.line import cancellation, events


def go_back(rollout: Rollout) -> None:
    """Walk the steps back until one has to wait; clean up; end."""
    back = rollout.memory["back"]
    rollout.forget(*{row.step for row in rollout.view.actions if not _still_wanted(rollout, row)})
    steps = (_weight_to_zero, _revert_desired, _drain, _retire)
    if not back["stuck"] and not all(step(rollout) for step in steps):
        return
    cleaned = _clean_up(rollout)
    phase, reason, message = _ending(rollout)
    if cleaned:
        _finish(rollout, phase, reason, message)
    elif _is_news(back):
        rollout.set(reason=reason, message=message)
        tell(rollout)


def _ending(rollout: Rollout) -> tuple[Phase, str, str]:
    """Say how the Run ends: phase, reason and message."""
    back = rollout.memory["back"]
    if back["stuck"]:
        return "Failed", "NoWayBack", f"{back['message']}; {back['stuck']}"
    if back["reason"] == cancellation.REASON:
        return "Cancelled", back["reason"], back["message"] + _left_dirty(rollout)
    rolled_back = back["fault"] != "machine" or back["had_traffic"]
    phase: Phase = "RolledBack" if rolled_back and rollout.previous else "Failed"
    return phase, back["reason"], back["message"]


def _still_wanted(rollout: Rollout, row: ActionRow) -> bool:
    return row.step.startswith(("back-", "notify-")) or row.step in rollout.clean_up


def _is_news(back: dict[str, Any]) -> bool:
    """Say whether people must hear of it: what a person cancelled, they know."""
    return bool(back["stuck"]) or back["reason"] != cancellation.REASON


def _clean_up(rollout: Rollout) -> bool:
    """Run the jobs that run in any case, one after the other; True once all have ended."""
    for step in sorted(rollout.clean_up, key=lambda step: rollout.rows()[step].position):
        if rollout.ended(step):
            continue
        end = carry_out(rollout, step)
        if end is None:
            return False
        if not end.passed:
            state: StepState = "failed" if end.fault == "change" else "interrupted"
            rollout.end(step, state, end.message, end.fault, end.log)
    return True


def _left_dirty(rollout: Rollout) -> str:
    """Say which clean-up did not pass."""
    rows = (rollout.rows()[step] for step in sorted(rollout.clean_up))
    return "".join(
        f"; {row.name}: {row.message}" for row in rows if row.state in {"failed", "interrupted"}
    )


def _once(rollout: Rollout, step: str, action: AnyAction) -> bool:
    """Take a step back; True once its outcome is known."""
    rollout.begin(step)
    outcome = rollout.do_patiently(step, action)
    if isinstance(outcome, ActionFailed):
        rollout.end(step, "failed", outcome.message, "machine")
    elif outcome is not None:
        rollout.end(step, "passed")
    return outcome is not None


def _was_begun(rollout: Rollout, step: str) -> bool:
    row = rollout.rows().get(step)
    return row is not None and bool(row.started_at)


def _weight_to_zero(rollout: Rollout) -> bool:
    if rollout.ended("back-weight") or not rollout.memory.get("exposed"):
        return True
    plan, previous = rollout.plan, rollout.previous
    weights = {previous.key: 100.0} if previous else {}
    action = SetWeights(
        environment=plan.environment,
        service=plan.service,
        weights={**weights, plan.version.key: 0.0},
    )
    if not _once(rollout, "back-weight", action):
        return False
    if rollout.rows()["back-weight"].state == "passed":
        rollout.set(weight=0.0, zero_weight_at=rollout.now)
    return True


def _revert_desired(rollout: Rollout) -> bool:
    if rollout.ended("back-desired") or not _was_begun(rollout, "desired"):
        return True
    action = WriteDesired(
        environment=rollout.plan.environment,
        service=rollout.plan.service,
        version=rollout.previous,
        force=True,
        message=f"{rollout.run}: back, {rollout.memory['back']['reason']}",
    )
    return _once(rollout, "back-desired", action)


def _drain(rollout: Rollout) -> bool:
    if rollout.ended("back-drain") or not rollout.memory.get("exposed"):
        return True
    plan = rollout.plan
    action = RemoveBackend(
        environment=plan.environment,
        service=plan.service,
        version=plan.version,
        drain_seconds=plan.drain_seconds,
    )
    return _once(rollout, "back-drain", action)


def _retire(rollout: Rollout) -> bool:
    if rollout.ended("back-retire") or not _was_begun(rollout, "deploy"):
        return True
    drain = rollout.rows().get("back-drain")
    if drain is not None and drain.state != "passed":
        still = "still running: its drain was not confirmed"
        rollout.end("back-retire", "failed", still, "machine")
        return True
    plan = rollout.plan
    action = RetireReplicas(
        environment=plan.environment,
        service=plan.service,
        version=plan.version,
        drain_seconds=plan.drain_seconds,
    )
    return _once(rollout, "back-retire", action)


def _finish(rollout: Rollout, phase: Phase, reason: str, message: str) -> None:
    plan, news = rollout.plan, _is_news(rollout.memory["back"])
    rollout.close_open_steps("not-run", message, spare=_notices(rollout))
    rollout.set(phase=phase, reason=reason, message=message, finished_at=rollout.moment())
    if phase == "RolledBack" and rollout.previous:
        rollout.events.append(
            events.service_event(
                "rolledback",
                run=rollout.run,
                environment=plan.environment,
                service=plan.service,
                version=rollout.previous,
                change=rollout.spec.change,
                cause=f"run/{rollout.run}/started",
                reason=message,
            )
        )
    if phase == "Cancelled":
        rollout.events.append(cancellation.cancelled(rollout.view.object, rollout.stream, message))
    else:
        rollout.events.append(
            events.run_finished(
                rollout.run, rollout.stream, rollout.spec.change, "failure", message
            )
        )
    if news:
        tell(rollout)


def _notices(rollout: Rollout) -> set[str]:
    return {name for name in rollout.rows() if name.startswith("notify-")}
