"""Stops a rollout and takes it back.

Order: latch, weight to zero, desired state, then the version's backend and replicas leave. Only a
version's own fault latches. Without a version to go back to, or past an irreversible job, everything
is left as it is and a person is called. What a person cancelled, or what goes back with its group, has
failed nobody: it leaves neither latch nor Hold.
"""

from __future__ import annotations

from andon.api.v1.control import Link, NewObject
from andon.api.v1.incidents import IncidentSpec, IncidentStatus
from andon.api.v1.records import Fault, HoldSpec, HoldStatus, Subject
from andon.domains.delivery import together
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.way_back import go_back
from andon.domains.line import cancellation, events
from andon.domains.line.gate import LATCH, is_latched
from andon.kernel.digest import short

IRREVERSIBLE = "an irreversible job has run"


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
    cancelled = reason == cancellation.REASON
    blameless = cancelled or reason == together.REASON
    stuck = _no_way_back(rollout, cancelled=blameless)
    rollout.close_open_steps(
        "interrupted" if fault == "machine" else "cancelled",
        message,
        waiting="cancelled" if cancelled else "not-run",
        spare=rollout.clean_up,
    )
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
    elif fault is None and not blameless:
        _hold_for_person(rollout, message)
    expected = fault == "machine" or (blameless and not stuck)
    if rollout.memory.get("took_traffic") and not expected:
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


def _no_way_back(rollout: Rollout, *, cancelled: bool) -> str:
    """Say why going back is not possible; empty if it is.

    A first version that a person cancels may leave nothing behind: nothing ran there before.
    """
    if rollout.status.past_irreversible:
        return IRREVERSIBLE
    if not rollout.memory.get("took_traffic"):
        return ""
    previous = rollout.previous
    if previous is None:
        return "" if cancelled else "there is no earlier version to go back to"
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
    rollout.create.append(_incident(rollout, name, title, message))
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


def _incident(rollout: Rollout, name: str, title: str, message: str) -> NewObject:
    plan = rollout.plan
    spec = IncidentSpec(
        title=title,
        service=plan.service,
        environment=plan.environment,
        change=rollout.spec.change,
        run=rollout.run,
        digest=plan.version.digest,
        config_hash=plan.version.config_hash,
        detected_at=rollout.now,
        evidence=tuple(new.name for new in rollout.create if new.kind == "Evidence"),
    )
    status = IncidentStatus(timeline=((rollout.now, message),))
    labels = {field: getattr(spec, field) for field in ("environment", "service", "change", "run")}
    return NewObject(kind="Incident", name=name, spec=spec, status=status, labels=labels)
