"""Stops a rollout and takes it back.

Order: latch, weight to zero, desired state, then the version's backend and replicas leave. Only a
version's own fault latches. Without a version to go back to, or past an irreversible job, everything
is left as it is and a person is called.
"""

from __future__ import annotations

from typing import Any

from andon.api.v1.actions import (
    ActionFailed,
    AnyAction,
    Notify,
    RemoveBackend,
    RetireReplicas,
    SetWeights,
    WriteDesired,
)
from andon.api.v1.control import Decision, Link, NewObject
from andon.api.v1.records import (
    Fault,
    HoldSpec,
    HoldStatus,
    IncidentSpec,
    IncidentStatus,
    Subject,
)
from andon.domains.delivery.rollout import Rollout
from andon.domains.line import events
from andon.domains.line.gate import LATCH, is_latched
from andon.kernel.digest import short

NOTIFY_ATTEMPTS = 8


def stop(
    rollout: Rollout,
    fault: Fault | None,
    reason: str,
    message: str,
) -> None:
    """Turn a Run around.

    Args:
        rollout: The turn.
        fault: Whose doing; None when a person asked.
        reason: One CamelCase word.
        message: One sentence for people.
    """
    stuck = _no_way_back(rollout)
    rollout.close_open_steps("interrupted" if fault == "machine" else "cancelled", message)
    rollout.memory["back"] = {
        "fault": fault,
        "reason": reason,
        "message": message,
        "stuck": stuck,
        "had_traffic": bool(rollout.memory.get("took_traffic")),
    }
    rollout.set(reason=reason, message=message, verdict_at=rollout.status.verdict_at or rollout.now)
    if fault == "change":
        _latch(rollout, message)
    elif fault is None:
        _hold_for_person(rollout, message)
    if fault != "machine" and rollout.memory.get("took_traffic"):
        _open_incident(rollout, message)
    go_back(rollout)


def fail(rollout: Rollout, step: str, message: str, fault: str, log: str = "") -> None:
    """End a step as failed and turn the Run around."""
    by_change = fault == "change"
    rollout.end(
        step,
        "failed" if by_change else "interrupted",
        message,
        "change" if by_change else "machine",
        log,
    )
    stop(rollout, "change" if by_change else "machine", "StepFailed", f"{step}: {message}")


def _no_way_back(rollout: Rollout) -> str:
    """Say why an automatic rollback is not possible; empty if it is."""
    if rollout.status.past_irreversible:
        return "an irreversible job has run"
    if not rollout.memory.get("took_traffic"):
        return ""
    previous = rollout.previous
    if previous is None:
        return "there is no earlier version to go back to"
    subject = Subject(
        service=rollout.plan.service,
        environment=rollout.plan.environment,
        digest=previous.digest,
        config_hash=previous.config_hash,
    )
    if is_latched(subject, rollout.view.related.get("holds", ()), rollout.now):
        return "the earlier version is latched too"
    return ""


def version_scope(rollout: Rollout) -> Subject:
    """The narrow thing that failed: digest, configuration, environment."""
    version = rollout.plan.version
    return Subject(
        service=rollout.plan.service,
        environment=rollout.plan.environment,
        digest=version.digest,
        config_hash=version.config_hash,
    )


def _latch(rollout: Rollout, message: str) -> None:
    _pull(rollout, f"latch-{rollout.run}", LATCH, message)


def _hold_for_person(rollout: Rollout, message: str) -> None:
    _pull(rollout, f"hold-{rollout.run}", "rollback", message)


def _pull(rollout: Rollout, name: str, source: str, reason: str) -> None:
    scope = version_scope(rollout)
    rollout.create.append(
        NewObject(
            kind="Hold",
            name=name,
            spec=HoldSpec(
                scope=scope,
                reason=reason,
                source=source,
                created_at=rollout.now,
                run=rollout.run,
            ),
            status=HoldStatus(),
            labels={
                "state": "active",
                "environment": scope.environment,
                "service": scope.service,
                "digest": scope.digest,
            },
        )
    )
    rollout.events.append(
        events.extension(
            "hold",
            "pulled",
            id=f"hold/{name}/pulled",
            stream=rollout.stream,
            about=name,
            chain=rollout.spec.change,
            links=(Link(target=f"run/{rollout.run}/started"),),
            content={"source": source, "scope": str(scope), "reason": reason},
        )
    )


def _open_incident(rollout: Rollout, message: str) -> None:
    plan = rollout.plan
    name = f"incident-{rollout.run}"
    title = f"{plan.service} {short(plan.version.digest)} stopped in {plan.environment}: {message}"
    rollout.memory["incident"] = name
    rollout.create.append(
        NewObject(
            kind="Incident",
            name=name,
            spec=IncidentSpec(
                title=title,
                service=plan.service,
                environment=plan.environment,
                change=rollout.spec.change,
                run=rollout.run,
                digest=plan.version.digest,
                config_hash=plan.version.config_hash,
                detected_at=rollout.now,
                evidence=tuple(new.name for new in rollout.create if new.kind == "Evidence"),
            ),
            status=IncidentStatus(timeline=((rollout.now, message),)),
            labels={
                "environment": plan.environment,
                "service": plan.service,
                "change": rollout.spec.change,
                "run": rollout.run,
            },
        )
    )
    rollout.events.append(
        events.incident_detected(
            name,
            environment=plan.environment,
            service=plan.service,
            version=plan.version,
            change=rollout.spec.change,
            title=title,
            cause=f"run/{rollout.run}/started",
        )
    )


# --- the way back -------------------------------------------------------------------------------


def go_back(rollout: Rollout) -> None:
    """Walk the steps back until one has to wait."""
    back = rollout.memory["back"]
    rollout.forget(*{row.step for row in rollout.view.actions if not row.step.startswith("back-")})
    if back["stuck"]:
        _finish(rollout, "Failed", "NoWayBack", f"{back['message']}; {back['stuck']}")
        return
    steps = (_weight_to_zero, _revert_desired, _drain, _retire)
    if all(step(rollout) for step in steps):
        rolled_back = back["fault"] != "machine" or back["had_traffic"]
        phase = "RolledBack" if rolled_back and rollout.previous else "Failed"
        _finish(rollout, phase, back["reason"], back["message"])


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


def _finish(rollout: Rollout, phase: str, reason: str, message: str) -> None:
    plan = rollout.plan
    rollout.close_open_steps("not-run", message)
    rollout.set(
        phase=phase if phase == "RolledBack" else "Failed",
        reason=reason,
        message=message,
        finished_at=rollout.moment(),
    )
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
    rollout.events.append(
        events.run_finished(rollout.run, rollout.stream, rollout.spec.change, "failure", message)
    )
    tell(rollout)


# --- telling people -----------------------------------------------------------------------------


def tell(rollout: Rollout) -> None:
    """Tell every webhook; what cannot be delivered now is tried again after the Run has ended."""
    for number, url in enumerate(rollout.plan.notify):
        step = f"notify-{number}"
        if rollout.ended(step):
            continue
        rollout.begin(step)
        outcome = rollout.do(step, Notify(url=url, body=_notice(rollout, "line.stopped")))
        if isinstance(outcome, ActionFailed):
            if not (outcome.retry and rollout.retry(step, NOTIFY_ATTEMPTS)):
                rollout.end(step, "failed", outcome.message, "machine")
        elif outcome is not None:
            rollout.end(step, "passed")


def call_person(rollout: Rollout, step: str, reason: str) -> None:
    """Tell every webhook, once, that a rollout waits for somebody to look."""
    for number, url in enumerate(rollout.plan.notify):
        name = f"{step}/tell-{reason}-{number}"
        if name in rollout.memory.get("told", ()):
            continue
        if rollout.do_patiently(name, Notify(url=url, body=_notice(rollout, "line.waiting"))):
            rollout.memory["told"] = [*rollout.memory.get("told", ()), name]


def keep_telling(rollout: Rollout) -> Decision:
    """After the end: deliver what was not delivered, and use up late outcomes."""
    if any(name.startswith("notify-") for name in rollout.rows()):
        tell(rollout)
    rollout.forget(*{row.step for row in rollout.view.actions})
    return rollout.decision()


def _notice(rollout: Rollout, event: str) -> dict[str, Any]:
    plan = rollout.plan
    status = rollout.status
    return {
        "event": event,
        "run": rollout.run,
        "change": rollout.spec.change,
        "service": plan.service,
        "environment": plan.environment,
        "digest": plan.version.digest,
        "configHash": plan.version.config_hash,
        "phase": status.phase,
        "reason": status.reason,
        "message": status.message,
        "incident": rollout.memory.get("incident", ""),
        "next": f"andon why {plan.service} --environment {plan.environment}",
    }
