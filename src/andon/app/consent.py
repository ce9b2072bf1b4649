"""People consent to a Change in an environment, or take that back.

Whether somebody's consent counts is judged when it is given, by the rules that the Change is judged
by; the gate counts what was recorded.
"""

from __future__ import annotations

from andon.api.v1.control import Decision, Event, Link, NewObject, Selector
from andon.api.v1.records import (
    ApprovalSpec,
    ApprovalStatus,
    ChangeSpec,
    Object,
    Subject,
)
from andon.app.numbers import next_name
from andon.app.why import find_change
from andon.domains.access.own import refuse_consent
from andon.domains.delivery.watching import unjudged_since
from andon.domains.line import events
from andon.domains.line.approvals import CHECK, as_actor, is_given
from andon.domains.line.evidence import subject_labels
from andon.domains.line.gate import ONE
from andon.kernel.errors import Conflict, Denied, NotFound
from andon.ports.asking import Asked
from andon.ports.store import Tx
from andon.runtime.turns import Turns


def approve(
    tx: Tx, turns: Turns, change: str, environment: str, *, asked: Asked, reason: str, now: float
) -> Object:
    """Record a person's consent; the same person consenting again changes nothing.

    Raises:
        NotFound: No such Change or environment.
        Denied: It is their own Change, or their consent does not count there.
    """
    found, spec = _change(tx, change, environment)
    rules = spec.environments[environment]
    rule = rules.approvals or (ONE if CHECK in rules.requires else None)
    refusal = refuse_consent(
        found, environment, rule, by=asked.by, teams=asked.teams, emails=asked.emails
    )
    if refusal is not None:
        raise Denied(refusal.reason, hint=refusal.hint)
    oldest = now - rules.max_age_seconds
    steps = [unjudged_since(run) for run in _rollouts(tx, found, environment)]
    since = max((oldest, *steps))
    for earlier in _given(tx, found, environment, asked.by):
        if earlier.spec.approved_at >= since:
            return earlier
    return _record(tx, turns, found, environment, asked, reason, now)


def withdraw(
    tx: Tx, turns: Turns, change: str, environment: str, *, asked: Asked, reason: str, now: float
) -> Object:
    """Take one's consent back, while the rollout has not begun.

    Raises:
        NotFound: No such Change or environment, or nothing was given.
        Conflict: The gate has opened.
    """
    found, _ = _change(tx, change, environment)
    given = _given(tx, found, environment, asked.by)
    if not given:
        raise NotFound(
            f"{as_actor(asked.by)} has not approved {found.name} for {environment}",
            hint=f"andon why {found.name}",
        )
    begun = [run for run in _rollouts(tx, found, environment) if run.status.started_at]
    if begun:
        raise Conflict(
            f"it is too late: {begun[0].name} has begun",
            hint=f"andon rollback {environment} {begun[0].labels['service']} -m REASON",
        )
    return [_take_back(tx, turns, one, reason, now) for one in given][-1]


def _change(tx: Tx, change: str, environment: str) -> tuple[Object, ChangeSpec]:
    found = find_change(tx, change)
    if found is None:
        raise NotFound(f"there is no change {change}", hint="`andon status` lists changes")
    spec: ChangeSpec = found.spec
    if environment not in spec.environments:
        known = ", ".join(sorted(spec.environments)) or "none"
        raise NotFound(
            f"{found.name} goes to no environment {environment}",
            hint=f"known environments: {known}",
        )
    return found, spec


def _given(tx: Tx, change: Object, environment: str, by: str) -> list[Object]:
    labels = subject_labels(Subject(change=change.name, environment=environment))
    found = tx.list(Selector(kind="Approval", labels=labels))
    return [one for one in found if is_given(one) and as_actor(one.spec.by) == as_actor(by)]


def _rollouts(tx: Tx, change: Object, environment: str) -> list[Object]:
    labels = {"type": "rollout", "change": change.name, "environment": environment}
    return tx.list(Selector(kind="Run", labels=labels))


def _record(
    tx: Tx, turns: Turns, change: Object, environment: str, asked: Asked, reason: str, now: float
) -> Object:
    subject = Subject(change=change.name, environment=environment)
    name = next_name(tx, "approval")
    by = as_actor(asked.by)
    approval = NewObject(
        kind="Approval",
        name=name,
        spec=ApprovalSpec(
            subject=subject, by=by, reason=reason, approved_at=now, teams=asked.teams
        ),
        status=ApprovalStatus(),
        labels=subject_labels(subject),
    )
    event = _event("given", name, subject, by, reason, events.merged_id(change.name))
    turns.create(tx, Decision(create=(approval,), events=(event,)), now)
    return tx.require("Approval", name)


def _take_back(tx: Tx, turns: Turns, approval: Object, reason: str, now: float) -> Object:
    spec: ApprovalSpec = approval.spec
    cause = f"approval/{approval.name}/given"
    event = _event("withdrawn", approval.name, spec.subject, as_actor(spec.by), reason, cause)
    turns.create(tx, Decision(events=(event,)), now)
    withdrawn = tx.put_status(approval, ApprovalStatus(withdrawn_at=now, withdraw_reason=reason))
    turns.announce(tx, withdrawn, now)
    return withdrawn


def _event(predicate: str, name: str, subject: Subject, by: str, reason: str, cause: str) -> Event:
    return events.extension(
        "approval",
        predicate,
        id=f"approval/{name}/{predicate}",
        stream=events.environment_stream(subject.environment),
        about=name,
        chain=subject.change,
        links=(Link(target=cause),),
        content={"by": by, "reason": reason, "scope": str(subject)},
    )
