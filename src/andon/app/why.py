"""``andon why``: what holds a subject, what is missing, and what would open it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.records import BUILD_ONLY, TERMINAL, EvidenceSpec, Object, RolloutPlan, Subject
from andon.app import queries
from andon.app.shapes import event_json, hold_json
from andon.domains.delivery.entering import last_brought
from andon.domains.delivery.rotation import (
    awaited_secrets,
    is_rotation,
    opens_missing,
    tell_missing,
)
from andon.domains.line import events, promises
from andon.domains.line.approvals import CHECK
from andon.domains.line.gate import DEPLOY, LATCH, Gate, effect_of, is_active, judge_gate
from andon.domains.pipelines import consent as job_consent
from andon.domains.pipelines.layout import layout_of
from andon.kernel.errors import NotFound
from andon.ports.news import Sees
from andon.ports.store import Tx

RECENT = 20
STORY_LENGTH = 40


class Asked(Struct, frozen=True):
    """A subject, found."""

    kind: Literal["run", "change", "environment", "service", "digest"]
    name: str
    scope: Subject
    runs: tuple[Object, ...]


def find_subject(tx: Tx, subject: str, environment: str) -> Asked:
    """Find out what a word names: a Run, a Change, an environment, a service or a digest.

    Raises:
        NotFound: None of them.
    """
    for look in (_as_run, _as_change, _as_environment, _as_service, _as_digest):
        found = look(tx, subject, environment)
        if found is not None:
            return found
    raise NotFound(
        f"nothing is called {subject!r}: no change, run, service, environment or digest",
        hint="`andon status` shows what there is",
    )


def _runs(tx: Tx, **labels: str) -> tuple[Object, ...]:
    wanted = {key: value for key, value in labels.items() if value}
    return tuple(tx.list(Selector(kind="Run", labels=wanted), limit=RECENT, newest_first=True))


def _as_run(tx: Tx, subject: str, environment: str) -> Asked | None:
    run = tx.get("Run", subject)
    if run is None:
        return None
    return Asked("run", subject, scope_of(run), (run,))


def scope_of(run: Object) -> Subject:
    """Say what a Hold must match to stop a Run."""
    plan: RolloutPlan | None = run.spec.rollout
    if plan is None:
        return Subject(change=run.spec.change)
    return Subject(
        service=plan.service,
        environment=plan.environment,
        digest=plan.version.digest,
        config_hash=plan.version.config_hash,
        change=run.spec.change,
    )


def find_change(tx: Tx, name: str) -> Object | None:
    """Find a Change by name or by (abbreviated) sha; the newest if several match."""
    found = tx.get("Change", name)
    if found is not None or len(name) < 6:
        return found
    changes = tx.list(Selector(kind="Change"), limit=1000, newest_first=True)
    return next((one for one in changes if one.spec.sha.startswith(name)), None)


def _as_change(tx: Tx, subject: str, environment: str) -> Asked | None:
    change = find_change(tx, subject)
    if change is None:
        return None
    runs = _runs(tx, change=change.name, environment=environment)
    return Asked("change", change.name, Subject(change=change.name, environment=environment), runs)


def _as_environment(tx: Tx, subject: str, environment: str) -> Asked | None:
    if tx.get("Environment", subject) is None:
        return None
    runs = _latest_by_service(_runs(tx, environment=subject))
    return Asked("environment", subject, Subject(environment=subject), runs)


def _as_service(tx: Tx, subject: str, environment: str) -> Asked | None:
    runs = _runs(tx, service=subject, environment=environment)
    if not runs:
        return None
    scope = Subject(service=subject, environment=environment)
    return Asked("service", subject, scope, _latest_by_place(runs))


def _as_digest(tx: Tx, subject: str, environment: str) -> Asked | None:
    wanted = subject.removeprefix("sha256:")
    if len(wanted) < 6:
        return None
    artifacts = tx.list(Selector(kind="Artifact"), limit=1000, newest_first=True)
    digests = {one.spec.digest for one in artifacts}
    match = next((one for one in digests if one.removeprefix("sha256:").startswith(wanted)), None)
    if match is None:
        return None
    runs = _runs(tx, digest=match, environment=environment)
    return Asked("digest", match, Subject(digest=match, environment=environment), runs)


def _latest_by_service(runs: tuple[Object, ...]) -> tuple[Object, ...]:
    latest: dict[str, Object] = {}
    for run in runs:
        latest.setdefault(run.labels.get("service", ""), run)
    return tuple(latest.values())


def _latest_by_place(runs: tuple[Object, ...]) -> tuple[Object, ...]:
    latest: dict[str, Object] = {}
    for run in runs:
        latest.setdefault(run.labels.get("environment", ""), run)
    return tuple(latest.values())


def explain(
    tx: Tx, subject: str, environment: str, now: float, sees: Sees | None = None
) -> answers.Why:
    """Answer ``andon why``.

    What may not be seen is left out before anything is made of it: sentences do not tell where they are
    from.

    Args:
        tx: A snapshot.
        subject: What is asked about.
        environment: Only there; empty: everywhere.
        now: Seconds since the Unix epoch.
        sees: Whether something of an environment may be told; None: all of it.
    """
    shown = _also_nowhere(sees)
    asked = find_subject(tx, subject, environment)
    asked = replace(asked, runs=tuple(run for run in asked.runs if shown(_place_of(run))))
    holds = [hold for hold in _holds(tx, asked, now) if shown(hold.spec.scope.environment)]
    closing = [
        hold
        for hold in holds
        if (hold.spec.source != LATCH or _touches(asked, hold)) and _closes(tx, asked, hold, now)
    ]
    missing = [lack for run in asked.runs for lack in _missing(tx, run, now)]
    missing += [lack for lack in secrets_missing(tx, asked) if shown(lack["environment"])]
    chains = list(dict.fromkeys(run.spec.change for run in asked.runs))
    return {
        "subject": asked.name,
        "kind": asked.kind,
        "open": not closing and not missing,
        "summary": _summary(tx, asked, closing, missing),
        "missing": missing,
        "holds": [hold_json(hold) for hold in holds],
        "approvals": [
            one
            for change in chains
            for one in queries.approvals(tx, change, environment)
            if shown(one["environment"])
        ],
        "story": _story(tx, chains[:3], shown),
        "evidence": _evidence(tx, asked, shown),
    }


def _also_nowhere(sees: Sees | None) -> Sees:
    """Let through what belongs to no environment, besides."""
    return lambda place: not place or sees is None or sees(place)


def _place_of(run: Object) -> str:
    return run.labels.get("environment", "")


def _holds(tx: Tx, asked: Asked, now: float) -> list[Object]:
    active = [
        hold
        for hold in tx.list(Selector(kind="Hold", labels={"state": "active"}))
        if is_active(hold, now)
    ]
    return [hold for hold in active if _touches(asked, hold) or _covers(asked, hold)]


def _touches(asked: Asked, hold: Object) -> bool:
    """Say whether a Hold stops the subject itself, or what it last tried."""
    scopes = [asked.scope, *(scope_of(run) for run in asked.runs)]
    return any(hold.spec.scope.matches(scope) for scope in scopes)


def _covers(asked: Asked, hold: Object) -> bool:
    """Say whether a Hold lies within what was asked about (a latched version of a service)."""
    return asked.kind in {"service", "environment", "digest"} and asked.scope.matches(
        hold.spec.scope
    )


def _closes(tx: Tx, asked: Asked, hold: Object, now: float) -> bool:
    """Say whether a Hold that stops some deeds only stops those who want to pass now, or would."""
    if not hold.spec.effects:
        return True
    wanting = [
        run for run in asked.runs if run.spec.rollout and run.status.phase in ("Pending", "Waiting")
    ]
    if not wanting:
        return effect_of(hold.spec, DEPLOY) != "allow"
    return any(hold.name in {one.name for one in gate_of(tx, run, now).holds} for run in wanting)


def gate_of(tx: Tx, run: Object, now: float) -> Gate:
    """Judge a rollout's gate as its controller would."""
    plan: RolloutPlan = run.spec.rollout
    labels = {"service": plan.service, "digest": plan.version.digest}
    claims = tx.list(Selector(kind="Evidence", labels=labels))
    place = {"service": plan.service, "environment": plan.environment}
    claims += tx.list(Selector(kind="Evidence", labels={"check": promises.CHECK, **place}))
    claims += tx.list(Selector(kind="Approval", labels={"change": run.spec.change}))
    environment = tx.get("Environment", plan.environment)
    runs = environment is not None and plan.service in environment.status.services
    holds = tx.list(Selector(kind="Hold", labels={"state": "active"}))
    return judge_gate(
        scope_of(run),
        promises.applicable(plan.requires, runs=runs),
        claims,
        holds,
        now,
        plan.max_age_seconds,
        plan.approvals,
        plan.skippable,
        _last_brought(tx, run),
    )


def _last_brought(tx: Tx, run: Object) -> float:
    place = {key: run.labels[key] for key in ("environment", "service")}
    rivals = tx.list(Selector(kind="Run", labels=place), limit=RECENT, newest_first=True)
    others = [one for one in rivals if one.name != run.name]
    return last_brought(others, tx.get("Environment", place["environment"]), place["service"])


def _missing(tx: Tx, run: Object, now: float) -> list[answers.Missing]:
    if run.status.phase in TERMINAL:
        return []
    if run.spec.rollout is None:
        return _people_missing(tx, run)
    approve = f"andon approve {run.spec.change} --environment {run.labels['environment']} -m REASON"
    if run.status.reason in {"NoVerdict", "NoTraffic"}:
        reason = str(run.status.message)
        return [_lack(run, "judge", reason, approve, person=run.status.reason == "NoVerdict")]
    if run.status.phase == "Running":
        return []
    return [
        _lack(run, one.check, one.reason, approve, person=True)
        if one.check == CHECK
        else _lack(run, one.check, one.reason, one.opens, person=False)
        for one in gate_of(tx, run, now).missing
    ]


def _people_missing(tx: Tx, run: Object) -> list[answers.Missing]:
    """Say which jobs of a build wait for people, and for whom."""
    if not run.status.started_at:
        return []
    states = {row.name: row for row in tx.steps(run.uid)}
    approvals = tuple(tx.list(Selector(kind="Approval", labels={"change": run.spec.change})))
    return [
        _lack(
            *(run, CHECK, f"job {job.name}: {lack}"),
            f"andon approve {run.spec.change} --job {job.name} -m REASON",
            person=True,
        )
        for job in layout_of(run.spec.build).consents
        if states[job.name].state == "waiting" and states[job.name].started_at
        if (lack := job_consent.lack(run, job, approvals))
    ]


def secrets_missing(tx: Tx, asked: Asked) -> list[answers.Missing]:
    """Say which secrets a Change waits for, in the environment that it has come to."""
    change = tx.get("Change", asked.name) if asked.kind == "change" else None
    if change is None or change.status.phase in TERMINAL:
        return []
    runs = tx.list(Selector(kind="Run", labels={"change": change.name}))
    return [
        {
            "check": tell_missing([name], environment),
            "reason": "it is not set",
            "environment": environment,
            "since": change.created_at,
            "opens": opens_missing(name, environment),
            "person": True,
        }
        for environment, names in awaited_secrets(change, {run.name for run in runs}).items()
        for name in sorted(names)
        if tx.get("Secret", f"{environment}.{name}") is None
    ]


def _lack(run: Object, check: str, reason: str, opens: str, *, person: bool) -> answers.Missing:
    return {
        "check": check,
        "reason": reason,
        "environment": run.labels.get("environment", ""),
        "since": run.created_at,
        "opens": opens,
        "person": person,
    }


def _summary(tx: Tx, asked: Asked, holds: list[Object], missing: list[answers.Missing]) -> str:
    if holds:
        first = holds[-1]
        return f"held by {first.spec.source}: {first.spec.reason}"
    lonely = [run for run in asked.runs if run.status.reason == "NoTraffic"]
    if lonely:
        return f"{lonely[0].name} is under way: {lonely[0].status.message}"
    unset = [lack["check"] for lack in missing if lack["check"].startswith("secret ")]
    if unset:
        return "; ".join(unset)
    if missing:
        wanted = ", ".join(dict.fromkeys(_wanted(lack) for lack in missing))
        return f"waiting for Evidence: {wanted}"
    for run in asked.runs:
        if run.status.phase in {"Failed", "RolledBack", "Cancelled"}:
            return f"{run.name}: {run.status.message}"
    for run in asked.runs:
        if run.status.phase not in TERMINAL:
            doing = "; ".join(filter(None, [_doing(tx, run), _rotated(run)]))
            return f"{run.name} is under way{f': {doing}' if doing else ''}"
    return _built_only(tx, asked) or "nothing holds it"


def _built_only(tx: Tx, asked: Asked) -> str:
    change = tx.get("Change", asked.name) if asked.kind == "change" else None
    if change is None or change.spec.until != BUILD_ONLY:
        return ""
    return f"built, as was asked; `andon ship {change.spec.sha[:12]}` takes it on"


def _wanted(lack: answers.Missing) -> str:
    explained = lack["check"] in (CHECK, promises.CHECK)
    named = "approval" if lack["check"] == CHECK else lack["check"]
    return f"{named} ({lack['reason']})" if explained else str(named)


def _rotated(run: Object) -> str:
    return str(run.spec.rollout.reason) if is_rotation(run) else ""


def _doing(tx: Tx, run: Object) -> str:
    """Say what a Run waits for, does again or is judged by just now."""
    rows = tx.steps(run.uid)
    messages = {row.name: row.message for row in rows if row.state == "running"}
    messages |= queries.waits_of(tx, run, rows)
    said = next((f"{name}: {text}" for name, text in messages.items() if text), "")
    verdict = run.status.verdict and f"judge says {run.status.verdict}"
    return str(run.status.message or said or verdict)


def _story(tx: Tx, changes: list[str], shown: Sees) -> list[answers.Sentence]:
    rows = [
        row
        for change in changes
        for row in tx.events(chain=change, limit=STORY_LENGTH)
        if shown(events.environment_of(row.stream))
    ]
    rows.sort(key=lambda row: row.seq)
    told = (event_json(row) for row in rows[-STORY_LENGTH:])
    return [{"at": event["at"], "text": event["text"], "id": event["id"]} for event in told]


def _evidence(tx: Tx, asked: Asked, shown: Sees) -> list[answers.Evidence]:
    digests = {run.labels.get("digest", "") for run in asked.runs} - {""}
    found: dict[str, Object] = {}
    for digest in digests:
        for item in tx.list(Selector(kind="Evidence", labels={"digest": digest})):
            if shown(item.spec.subject.environment):
                found[item.name] = item
    return [_evidence_json(item) for item in found.values()]


def _evidence_json(item: Object) -> answers.Evidence:
    spec: EvidenceSpec = item.spec
    return {
        "name": item.name,
        "check": spec.check,
        "verdict": spec.verdict,
        "message": spec.message,
        "source": spec.source,
        "observedAt": spec.observed_at,
    }
