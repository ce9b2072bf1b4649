"""The gate of a rollout: queue, Evidence and Holds, and what runs there now."""

from __future__ import annotations

from collections.abc import Iterable

from andon.api.v1.records import TERMINAL, Object, Version
from andon.domains.delivery.plan import plan_steps
from andon.domains.delivery.rollout import Rollout
from andon.domains.delivery.rotation import is_rotation
from andon.domains.delivery.telling import ask_for_consent
from andon.domains.line import events
from andon.domains.line.gate import Gate, judge_gate
from andon.domains.line.promises import applicable

POLL_SECONDS = 30.0
"""A slow look at what should have woken the Run anyway."""


def pass_gate(rollout: Rollout) -> bool:
    """Let the rollout begin, once nothing is missing, nothing holds and nobody is ahead."""
    rollout.begin("gate")
    if _superseded(rollout) or _queued(rollout):
        return False
    environment = _environment(rollout)
    if environment is None:
        return False
    current = environment.status.services.get(rollout.plan.service)
    if _moved_on(rollout, current):
        return False
    stuck = _stuck(rollout)
    if current is not None and current.key == rollout.plan.version.key and stuck is None:
        _nothing_to_do(rollout)
        return False
    gate = _judge_gate(rollout)
    if not gate.open:
        _wait_at(rollout, gate)
        return False
    _start(rollout, current, stuck)
    return True


def _superseded(rollout: Rollout) -> bool:
    rotation = is_rotation(rollout.view.object)
    newer = [
        run
        for run in rollout.later()
        if run.spec.type == rollout.spec.type and is_rotation(run) == rotation
    ]
    if not newer or rollout.spec.type == "rollback":
        return False
    _give_way(rollout, f"superseded by {newer[-1].name}")
    return True


def _moved_on(rollout: Rollout, current: Version | None) -> bool:
    """End a rotation when what it was made for no longer runs: what does took the secrets along."""
    base, key = rollout.plan.base, current.key if current else ""
    if not base or key in {base, rollout.plan.version.key}:
        return False
    _give_way(rollout, "superseded by the version that runs by now")
    return True


def _give_way(rollout: Rollout, message: str) -> None:
    rollout.close_open_steps("cancelled", message)
    rollout.set(phase="Cancelled", reason="Superseded", message=message, finished_at=rollout.now)


def _queued(rollout: Rollout) -> bool:
    """Wait for who is under way; a person's rollback overtakes whoever waits at the gate."""
    ahead = [
        run
        for run in rollout.rivals()
        if run.status.phase not in TERMINAL and rollout.goes_first(run)
    ]
    if not ahead:
        return False
    message = f"queued behind {ahead[0].name}"
    rollout.say("gate", message)
    rollout.set(phase="Pending", reason="Queued", message=message)
    rollout.wake_at(rollout.now + POLL_SECONDS)
    return True


def _stuck(rollout: Rollout) -> Object | None:
    """The last rollout that was left where it stood, if nothing has succeeded since."""
    ended = [run for run in rollout.rivals() if run.status.finished_at]
    ended = [run for run in ended if run.status.reason in {"NoWayBack", "Promoted"}]
    last = max(ended, key=lambda run: float(run.status.finished_at), default=None)
    return last if last is not None and last.status.reason == "NoWayBack" else None


def _environment(rollout: Rollout) -> Object | None:
    """The environment, once it has taken note of all earlier rollouts here."""
    found = rollout.view.related.get("environment", ())
    if not found:
        rollout.say("gate", f"environment {rollout.plan.environment} is not known yet")
        return None
    seen = found[0].status.since.get(rollout.plan.service, 0.0)
    behind = any(
        run.status.phase == "Succeeded" and run.status.finished_at > seen
        for run in rollout.rivals()
    )
    if behind:
        rollout.wake_at(rollout.now + 1)
    return None if behind else found[0]


def _judge_gate(rollout: Rollout) -> Gate:
    related = rollout.view.related
    claims = tuple(
        claim for name in ("evidence", "promises", "approvals") for claim in related.get(name, ())
    )
    return judge_gate(
        rollout.subject,
        applicable(rollout.plan.requires, runs=_runs(rollout)),
        claims,
        related.get("holds", ()) if rollout.spec.type == "rollout" else (),
        rollout.now,
        rollout.plan.max_age_seconds,
        rollout.plan.approvals,
        rollout.plan.skippable,
        last_brought(
            rollout.rivals(), next(iter(related.get("environment", ())), None), rollout.plan.service
        ),
    )


def last_brought(runs: Iterable[Object], environment: Object | None, service: str) -> float:
    """Return when a version was last brought to a place, or began to be; 0: never.

    Args:
        runs: Rollouts of the service in the environment.
        environment: What the environment has noted.
        service: Which.
    """
    begun: list[float] = [run.status.started_at for run in runs]
    noted: float = environment.status.since.get(service, 0.0) if environment else 0.0
    return max((noted, *begun))


def _runs(rollout: Rollout) -> bool:
    """Say whether a version of the service runs there already."""
    found = rollout.view.related.get("environment", ())
    return bool(found) and rollout.plan.service in found[0].status.services


def _wait_at(rollout: Rollout, gate: Gate) -> None:
    reason = "Held" if gate.holds else "EvidenceMissing"
    rollout.set(phase="Waiting", reason=reason, message=gate.explain())
    if gate.waits_for_people:
        ask_for_consent(rollout)
    rollout.say("gate", gate.explain())
    rollout.wake_at(rollout.now + POLL_SECONDS)


def _nothing_to_do(rollout: Rollout) -> None:
    rollout.end("gate", "skipped-by-rule", "this version already runs here")
    rollout.set(
        phase="Succeeded",
        reason="AlreadyThere",
        message="this version already runs here",
        finished_at=rollout.moment(),
    )


def _start(rollout: Rollout, current: Version | None, stuck: Object | None) -> None:
    rollout.end("gate", "passed")
    if stuck is not None:
        rollout.memory["stuck"] = stuck.name
    if current is not None and current.key == rollout.plan.version.key:
        current = None
    rollout.set(phase="Running", reason="", message="", previous=current, started_at=rollout.now)
    rollout.plan_steps(plan_steps(rollout.plan, first=current is None))
    cause = events.packaged_id(rollout.spec.change, rollout.plan.service)
    rollout.events.append(
        events.run_started(rollout.run, rollout.stream, rollout.spec.change, cause)
    )
