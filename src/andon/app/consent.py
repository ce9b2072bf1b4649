"""People consent to a Change in an environment, or to a job of its Pipeline, or take that back.

Whether somebody's consent counts is judged when it is given, by the rules that the Change is judged
by; the gate counts what was recorded.
"""

from __future__ import annotations

from msgspec import Struct

from andon.api.v1.approvals import ApprovalSpec, ApprovalStatus
from andon.api.v1.control import Decision, Event, Link, NewObject, Selector
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import ENDED_STEP, TERMINAL, ChangeSpec, Object, Subject
from andon.app.numbers import next_name
from andon.app.why import find_change
from andon.domains.access.own import refuse_consent
from andon.domains.delivery.watching import unjudged_since
from andon.domains.line import events
from andon.domains.line.approvals import CHECK, as_actor, is_given
from andon.domains.line.evidence import subject_labels
from andon.domains.line.gate import ONE, is_active
from andon.domains.pipelines.layout import layout_of
from andon.kernel.errors import Conflict, Denied, NotFound
from andon.ports.asking import Asked
from andon.ports.store import Tx
from andon.runtime.turns import Turns


def approve(
    tx: Tx,
    turns: Turns,
    change: str,
    environment: str,
    *,
    asked: Asked,
    reason: str,
    now: float,
    job: str = "",
    fix: str = "",
) -> Object:
    """Record a person's consent; the same person consenting again changes nothing.

    Args:
        tx: A transaction.
        turns: The controllers.
        change: The Change.
        environment: Where it may go; empty with ``job``.
        asked: Who consents.
        reason: What they looked at.
        now: Seconds since the Unix epoch.
        job: The job that waits for it, instead of an environment.
        fix: What they call the Change besides: ``security`` or ``incident``.

    Raises:
        NotFound: No such Change, environment or job.
        Denied: It is their own Change, or their consent does not count there.
        Conflict: The job no longer waits.
    """
    if job:
        return _approve_job(tx, turns, _job(tx, change, job), asked, reason, now)
    found, spec = _change(tx, change, environment)
    rules = spec.environments[environment]
    held_since = _asked_by_holds(tx, environment, now)
    asks = CHECK in rules.requires or bool(fix) or held_since > 0
    rule = rules.approvals or (ONE if asks else None)
    refusal = refuse_consent(
        found, environment, rule, by=asked.by, teams=asked.teams, emails=asked.emails
    )
    if refusal is not None:
        raise Denied(refusal.reason, hint=refusal.hint)
    oldest = now - rules.max_age_seconds
    steps = [unjudged_since(run) for run in _rollouts(tx, found, environment)]
    since = max((oldest, held_since, *steps))
    subject = Subject(change=found.name, environment=environment)
    for earlier in _given(tx, subject, asked.by):
        if earlier.spec.approved_at >= since and earlier.spec.fix == fix:
            return earlier
    stream = events.environment_stream(environment)
    return _record(tx, turns, subject, stream, asked, reason, now, fix=fix)


def _asked_by_holds(tx: Tx, environment: str, now: float) -> float:
    """When the newest Hold was pulled there that consent opens; 0: there is none."""
    active = tx.list(Selector(kind="Hold", labels={"state": "active"}))
    asking = [
        hold.spec.created_at
        for hold in active
        if "approval" in hold.spec.effects.values() and is_active(hold, now)
        if hold.spec.scope.environment in ("", environment)
    ]
    return max(asking, default=0.0)


def withdraw(
    tx: Tx,
    turns: Turns,
    change: str,
    environment: str,
    *,
    asked: Asked,
    reason: str,
    now: float,
    job: str = "",
) -> Object:
    """Take one's consent back, while the rollout has not begun, or the job waits for others.

    Raises:
        NotFound: No such Change, environment or job, or nothing was given.
        Conflict: The gate has opened.
    """
    if job:
        return _withdraw_from_job(tx, turns, _job(tx, change, job), asked, reason, now)
    found, _ = _change(tx, change, environment)
    given = _given(tx, Subject(change=found.name, environment=environment), asked.by)
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


def _found(tx: Tx, change: str) -> Object:
    found = find_change(tx, change)
    if found is None:
        raise NotFound(f"there is no change {change}", hint="`andon status` lists changes")
    return found


def _change(tx: Tx, change: str, environment: str) -> tuple[Object, ChangeSpec]:
    found = _found(tx, change)
    spec: ChangeSpec = found.spec
    if environment not in spec.environments:
        known = ", ".join(sorted(spec.environments)) or "none"
        raise NotFound(
            f"{found.name} goes to no environment {environment}",
            hint=f"known environments: {known}",
        )
    return found, spec


class _Waiting(Struct, frozen=True):
    """A job of a Change that waits, or waited, for people."""

    change: Object
    job: JobPlan
    run: Object
    over: bool

    @property
    def subject(self) -> Subject:
        return Subject(change=self.change.name)

    @property
    def stream(self) -> str:
        return events.repository_stream(self.change.spec.repository)


def _job(tx: Tx, change: str, job: str) -> _Waiting:
    """Find a job that asks for consent, in the newest Run that has it."""
    found = _found(tx, change)
    labels = {"type": "build", "change": found.name}
    known: list[str] = []
    for run in tx.list(Selector(kind="Run", labels=labels), newest_first=True):
        for one in layout_of(run.spec.build).consents:
            if one.name == job:
                ended = (row.name for row in tx.steps(run.uid) if row.state in ENDED_STEP)
                return _Waiting(found, one, run, run.status.phase in TERMINAL or job in ended)
            known.append(one.name)
    raise NotFound(
        f"no job {job} of {found.name} waits for people",
        hint=f"those that do: {', '.join(known)}" if known else f"andon why {found.name}",
    )


def _approve_job(
    tx: Tx, turns: Turns, one: _Waiting, asked: Asked, reason: str, now: float
) -> Object:
    job = one.job.name
    refusal = refuse_consent(
        *(one.change, "", one.job.approval),
        by=asked.by,
        teams=asked.teams,
        emails=asked.emails,
        job=job,
    )
    if refusal is not None:
        raise Denied(refusal.reason, hint=refusal.hint)
    for earlier in _given(tx, one.subject, asked.by, job):
        if earlier.spec.approved_at >= one.run.created_at:
            return earlier
    _refuse_over(one)
    return _record(tx, turns, one.subject, one.stream, asked, reason, now, job)


def _withdraw_from_job(
    tx: Tx, turns: Turns, one: _Waiting, asked: Asked, reason: str, now: float
) -> Object:
    given = _given(tx, one.subject, asked.by, one.job.name)
    if not given:
        raise NotFound(
            f"{as_actor(asked.by)} has not approved {one.job.name} of {one.change.name}",
            hint=f"andon why {one.change.name}",
        )
    _refuse_over(one)
    return [_take_back(tx, turns, each, reason, now) for each in given][-1]


def _refuse_over(one: _Waiting) -> None:
    if one.over:
        raise Conflict(
            f"it is too late: {one.job.name} of {one.run.name} no longer waits for people",
            hint=f"andon runs show {one.run.name}",
        )


def _given(tx: Tx, subject: Subject, by: str, job: str = "") -> list[Object]:
    found = tx.list(Selector(kind="Approval", labels=_labels(subject, job)))
    return [
        one
        for one in found
        if is_given(one) and one.spec.job == job and as_actor(one.spec.by) == as_actor(by)
    ]


def _labels(subject: Subject, job: str) -> dict[str, str]:
    return subject_labels(subject) | ({"job": job} if job else {})


def _rollouts(tx: Tx, change: Object, environment: str) -> list[Object]:
    labels = {"type": "rollout", "change": change.name, "environment": environment}
    return tx.list(Selector(kind="Run", labels=labels))


def _record(
    tx: Tx,
    turns: Turns,
    subject: Subject,
    stream: str,
    asked: Asked,
    reason: str,
    now: float,
    job: str = "",
    fix: str = "",
) -> Object:
    name = next_name(tx, "approval")
    by = as_actor(asked.by)
    approval = NewObject(
        kind="Approval",
        name=name,
        spec=ApprovalSpec(
            subject=subject,
            by=by,
            reason=reason,
            approved_at=now,
            teams=asked.teams,
            job=job,
            fix=fix,
        ),
        status=ApprovalStatus(),
        labels=_labels(subject, job),
    )
    cause = events.merged_id(subject.change)
    event = _event("given", name, approval.spec, stream, reason, cause)
    turns.create(tx, Decision(create=(approval,), events=(event,)), now)
    return tx.require("Approval", name)


def _take_back(tx: Tx, turns: Turns, approval: Object, reason: str, now: float) -> Object:
    spec: ApprovalSpec = approval.spec
    given = f"approval/{approval.name}/given"
    place = spec.subject.environment
    stream = events.environment_stream(place) if place else _stream_of(tx, spec.subject.change)
    event = _event("withdrawn", approval.name, spec, stream, reason, given)
    turns.create(tx, Decision(events=(event,)), now)
    withdrawn = tx.put_status(approval, ApprovalStatus(withdrawn_at=now, withdraw_reason=reason))
    turns.announce(tx, withdrawn, now)
    return withdrawn


def _stream_of(tx: Tx, change: str) -> str:
    return events.repository_stream(tx.require("Change", change).spec.repository)


def _event(
    predicate: str, name: str, spec: ApprovalSpec, stream: str, reason: str, cause: str
) -> Event:
    said = {"by": as_actor(spec.by), "reason": reason, "scope": str(spec.subject)}
    return events.extension(
        "approval",
        predicate,
        id=f"approval/{name}/{predicate}",
        stream=stream,
        about=name,
        chain=spec.subject.change,
        links=(Link(target=cause),),
        content=said
        | ({"job": spec.job} if spec.job else {})
        | ({"fix": spec.fix} if spec.fix else {}),
    )
