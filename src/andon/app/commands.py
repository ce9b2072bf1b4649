"""What people ask the line to do, each in one transaction with its ledger events."""

from __future__ import annotations

from msgspec import convert, to_builtins
from msgspec.structs import replace

from andon.api.v1.control import Decision, Link, NewObject, Selector
from andon.api.v1.records import (
    TERMINAL,
    CancellationSpec,
    HoldSpec,
    HoldStatus,
    Object,
    RolloutPlan,
    RunSpec,
    RunStatus,
    Subject,
)
from andon.app import queries
from andon.app.consent import approve as approve
from andon.app.consent import withdraw as withdraw
from andon.app.numbers import next_name
from andon.domains.delivery.cancelling import foresee, too_late
from andon.domains.delivery.environment import note_finished
from andon.domains.delivery.plan import rollout_labels
from andon.domains.line import cancellation, events
from andon.domains.line.approvals import as_actor
from andon.domains.line.evidence import subject_labels
from andon.domains.line.gate import LATCH, is_active, is_latched
from andon.domains.line.restraint import BUDGET, override_command
from andon.kernel.errors import Conflict, Denied, Held, NotFound, UsageError
from andon.ports.store import Tx
from andon.runtime.turns import Turns


def _stream(scope: Subject) -> str:
    return events.environment_stream(scope.environment) if scope.environment else "org"


def pull(
    tx: Tx, turns: Turns, scope: Subject, *, reason: str, by: str, expires_at: float, now: float
) -> Object:
    """Pull the cord; the same person pulling it for the same scope again changes nothing.

    Raises:
        UsageError: The scope is empty or no reason is given.
    """
    if scope == Subject() or not reason.strip():
        raise UsageError(
            "a Hold needs a scope and a reason",
            hint='andon hold --environment prod -m "why"',
        )
    source = as_actor(by)
    for hold in tx.list(Selector(kind="Hold", labels={"state": "active"})):
        if is_active(hold, now) and (hold.spec.source, hold.spec.scope) == (source, scope):
            return hold
    spec = HoldSpec(
        scope=scope, reason=reason, source=source, created_at=now, expires_at=expires_at
    )
    return place_hold(tx, turns, spec, now)


def place_hold(tx: Tx, turns: Turns, spec: HoldSpec, now: float) -> Object:
    """Write a Hold with its event, and have whoever it stops look at it."""
    name, scope = next_name(tx, "hold"), spec.scope
    pulled = NewObject(
        kind="Hold",
        name=name,
        spec=spec,
        status=HoldStatus(),
        labels={"state": "active", **subject_labels(scope)},
    )
    event = events.extension(
        "hold",
        "pulled",
        id=f"hold/{name}/pulled",
        stream=_stream(scope),
        about=name,
        chain=scope.change,
        content={"source": spec.source, "scope": str(scope), "reason": spec.reason},
    )
    turns.create(tx, Decision(create=(pulled,), events=(event,)), now)
    return tx.require("Hold", name)


def lift(tx: Tx, turns: Turns, name: str, *, by: str, reason: str, now: float) -> Object:
    """Lift a person's Hold.

    Raises:
        NotFound: No such Hold.
        Denied: It is a latch, which only ``unlatch`` opens, or a budget's, which a person overrides.
    """
    hold = tx.require("Hold", name)
    if hold.spec.source == LATCH:
        scope: Subject = hold.spec.scope
        raise Denied(
            f"{name} latches a version that failed by its own fault",
            hint=f"andon unlatch {scope.environment} {scope.service} -m REASON",
        )
    if hold.spec.source.startswith(BUDGET):
        raise Denied(
            f"{name} holds what the budget no longer allows, and is lifted when it has recovered",
            hint=override_command(hold.spec),
        )
    return open_hold(tx, turns, hold, by=by, reason=reason, now=now)


def open_hold(tx: Tx, turns: Turns, hold: Object, *, by: str, reason: str, now: float) -> Object:
    """Lift a Hold with its event; one that is lifted stays as it is."""
    if hold.status.lifted_at:
        return hold
    lifted = tx.put_status(hold, HoldStatus(lifted_at=now, lifted_by=by, lift_reason=reason))
    lifted = tx.put_spec(lifted, lifted.spec, {**lifted.labels, "state": "lifted"})
    event = events.extension(
        "hold",
        "lifted",
        id=f"hold/{hold.name}/lifted",
        stream=_stream(hold.spec.scope),
        about=hold.name,
        chain=hold.spec.scope.change,
        links=(Link(target=f"hold/{hold.name}/pulled"),),
        content={"by": by, "reason": reason, "scope": str(hold.spec.scope)},
    )
    turns.create(tx, Decision(events=(event,)), now)
    turns.announce(tx, lifted, now)
    return lifted


def unlatch(
    tx: Tx, turns: Turns, environment: str, subject: str, *, by: str, reason: str, now: float
) -> list[Object]:
    """Let what failed in an environment be tried again.

    Raises:
        UsageError: No reason is given.
        NotFound: Nothing of that service or digest is latched there.
    """
    if not reason.strip():
        raise UsageError("unlatching needs a reason", hint="-m 'why it is safe now'")
    wanted = subject.removeprefix("sha256:")
    latched = [
        hold
        for hold in tx.list(
            Selector(kind="Hold", labels={"state": "active", "environment": environment})
        )
        if hold.spec.source == LATCH
        and (
            hold.spec.scope.service == subject
            or (
                len(wanted) >= 6
                and hold.spec.scope.digest.removeprefix("sha256:").startswith(wanted)
            )
        )
    ]
    if not latched:
        raise NotFound(
            f"nothing called {subject} is latched in {environment}",
            hint=f"`andon why {environment}` shows what is",
        )
    return [open_hold(tx, turns, hold, by=by, reason=reason, now=now) for hold in latched]


def roll_back(
    tx: Tx, turns: Turns, environment: str, service: str, *, by: str, reason: str, now: float
) -> Object:
    """Go back: abort the rollout under way, or bring back the version before.

    Raises:
        NotFound: No such environment, or that service never ran there.
        Conflict: There is no earlier version.
        Held: It is latched.
    """
    record = tx.require("Environment", environment)
    place = {"environment": environment, "service": service}
    recent = tx.list(Selector(kind="Run", labels=place), limit=50, newest_first=True)
    if not recent:
        raise NotFound(
            f"{service} never ran in {environment}", hint="`andon status` shows what did"
        )
    # What has just succeeded runs there, though the Environment may not have had its turn since.
    status = note_finished(record.status, recent)
    source = status.runs if _unsettled(recent) else status.previous
    if service not in source:
        raise Conflict(
            f"there is no earlier version of {service} in {environment} to go back to",
            hint=f"ship a version that works, or `andon why {service}`",
        )
    plan: RolloutPlan = tx.require("Run", source[service]).spec.rollout
    _refuse_latched(tx, plan, now)
    name = f"{next_name(tx, 'rollback')}-{environment}-{service}"
    sequence = int(tx.get_setting("sequence") or "0")
    run = NewObject(
        kind="Run",
        name=name,
        spec=RunSpec(
            type="rollback",
            change=plan.version.change,
            rollout=_immediate(plan, f"{reason} ({by})"),
            sequence=sequence,
        ),
        status=RunStatus(),
        labels=rollout_labels(plan, plan.version.change, "rollback"),
    )
    turns.create(tx, Decision(create=(run,)), now)
    return tx.require("Run", name)


def cancel(
    tx: Tx, turns: Turns, name: str, *, by: str, reason: str, now: float
) -> tuple[Object, CancellationSpec]:
    """Have a Run end, with its clean-up; asking again changes nothing.

    Args:
        tx: A transaction.
        turns: The controllers.
        name: The Run, or an unambiguous beginning of its name.
        by: Who asks.
        reason: Why.
        now: Seconds since the Unix epoch.

    Returns:
        The Run as it is now, and the wish that counts: the first one.

    Raises:
        NotFound: No such Run.
        Conflict: It has ended by itself, or it is too late to take it back.
    """
    run = _run_to_cancel(tx, name)
    earlier = tx.get("Cancellation", run.name)
    over = run.status.phase in TERMINAL
    if earlier is not None and (not over or run.status.reason == cancellation.REASON):
        return run, earlier.spec
    if not reason.strip():
        raise UsageError("cancelling needs a reason", hint=f"andon runs cancel {run.name} -m 'why'")
    if over:
        said = f": {run.status.message}" if run.status.message else ""
        raise Conflict(
            f"{run.name} has ended already, {run.status.phase}{said}",
            hint=_instead(run),
        )
    late = too_late(run, tx.steps(run.uid)) if run.spec.rollout is not None else ""
    if late:
        raise Conflict(f"{run.name} cannot be cancelled any more: {late}", hint=_instead(run))
    wish = CancellationSpec(run=run.name, by=by, reason=reason.strip(), asked_at=now)
    decision = Decision(
        create=(cancellation.record(wish),), events=(cancellation.asked(wish, run),)
    )
    turns.create(tx, decision, now)
    return run, wish


def _run_to_cancel(tx: Tx, name: str) -> Object:
    """Find a Run; a name that only occurs in another one is too little for what cannot be undone."""
    found = queries.run(tx, name)
    if not found.name.startswith(name):
        raise NotFound(f"there is no run {name}", hint=f"did you mean `{found.name}`?")
    return found


def _instead(run: Object) -> str:
    plan: RolloutPlan | None = run.spec.rollout
    if plan is None or run.status.phase in {"Failed", "RolledBack", "Cancelled"}:
        return f"andon runs show {run.name}"
    return f"andon rollback {plan.environment} {plan.service} -m REASON"


def outlook(run: Object) -> str:
    """Say what becomes of a Run that is cancelled, or has become of it."""
    if run.status.phase in TERMINAL:
        return str(run.status.message)
    if run.spec.rollout is not None:
        return foresee(run)
    return "jobs under way are ended and no other begins; clean-up jobs run"


def _unsettled(recent: list[Object]) -> bool:
    """Say whether a version is on its way in, or stuck there: then going back means what runs now."""
    rollouts = [run for run in recent if run.spec.type == "rollout" and run.status.started_at]
    if any(run.status.phase not in TERMINAL for run in rollouts):
        return True
    decided = [run for run in recent if run.status.reason in {"NoWayBack", "Promoted"}]
    last = max(decided, key=lambda run: float(run.status.finished_at), default=None)
    return last is not None and last.status.reason == "NoWayBack"


def _refuse_latched(tx: Tx, plan: RolloutPlan, now: float) -> None:
    subject = Subject(
        service=plan.service,
        environment=plan.environment,
        digest=plan.version.digest,
        config_hash=plan.version.config_hash,
    )
    if is_latched(subject, tx.list(Selector(kind="Hold", labels={"state": "active"})), now):
        raise Held(
            f"the version before of {plan.service} is latched in {plan.environment}: it failed there",
            hint=f"andon unlatch {plan.environment} {plan.service} -m REASON",
        )


def _immediate(plan: RolloutPlan, reason: str) -> RolloutPlan:
    """A rollback switches at once, asks for no Evidence and runs no jobs."""
    return replace(
        plan,
        rollout=replace(plan.rollout, strategy="rolling"),
        requires=(),
        pre_deploy=(),
        post_deploy=(),
        reason=reason,
    )


def scope_from(fields: dict[str, str]) -> Subject:
    """Read a scope.

    Raises:
        UsageError: An unknown field.
    """
    known = set(to_builtins(Subject())) | {
        "service",
        "environment",
        "digest",
        "configHash",
        "change",
    }
    unknown = set(fields) - known
    if unknown:
        raise UsageError(
            f"unknown scope field {', '.join(sorted(unknown))}",
            hint=f"known: {', '.join(sorted(known))}",
        )
    return convert({key: value for key, value in fields.items() if value}, Subject)
