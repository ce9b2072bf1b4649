"""What people see: status, Runs, changes, differences. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.jobs import SecretRef
from andon.api.v1.pipelines import ScheduleEntry
from andon.api.v1.records import (
    TERMINAL,
    ChangeSpec,
    EnvironmentRecordStatus,
    Object,
    RolloutPlan,
    StepRow,
    Subject,
    Version,
)
from andon.api.v1.schedules import EntryStatus, ScheduleSpec
from andon.app.shapes import (
    Json,
    approval_json,
    change_json,
    hold_json,
    run_json,
    step_json,
    version_json,
)
from andon.app.workers import leases
from andon.domains.delivery.plan import environments_in_order, plan_rollout
from andon.domains.delivery.rotation import versions
from andon.domains.line.evidence import subject_labels
from andon.domains.line.gate import is_active
from andon.domains.line.restraint import stops_deploys
from andon.domains.pipelines.schedule import entry_key
from andon.kernel.cron import time_zone
from andon.kernel.errors import NotFound, UsageError
from andon.ports.store import Tx

RECENT_CHANGES = 10
ACTIVE_LOOKBACK = 200
PAGE = 1000
RUN_FILTERS = frozenset({"type", "phase", "change", "service", "environment"})


def active_holds(tx: Tx, now: float) -> list[Object]:
    """Return the Holds that hold now."""
    holds = tx.list(Selector(kind="Hold", labels={"state": "active"}))
    return [hold for hold in holds if is_active(hold, now)]


def active_runs(tx: Tx) -> list[Object]:
    """Return the Runs that have not ended, oldest first."""
    recent = tx.list(Selector(kind="Run"), limit=ACTIVE_LOOKBACK, newest_first=True)
    return [run for run in recent[::-1] if run.status.phase not in TERMINAL]


def environments(tx: Tx) -> list[Object]:
    """Return the environments in order of promotion."""
    found = {one.name: one for one in tx.list(Selector(kind="Environment"))}
    order = environments_in_order({name: one.spec for name, one in found.items()})
    return [found[name] for name in order]


def status(
    tx: Tx, environment: str, agent: Json, problems: dict[str, str], now: float
) -> answers.Status:
    """Answer ``andon status``."""
    places = [one for one in environments(tx) if environment in {"", one.name}]
    if environment and not places:
        raise NotFound(f"there is no environment {environment}", hint="`andon status` lists them")
    holds = [hold for hold in active_holds(tx, now) if stops_deploys(hold.spec)]
    runs = active_runs(tx)
    changes = tx.list(Selector(kind="Change"), limit=RECENT_CHANGES, newest_first=True)
    return {
        "environments": [one.name for one in places],
        "services": [row for one in places for row in _services(tx, one, runs, holds, agent)],
        "changes": [change_json(change) for change in changes],
        "runs": [run_json(run) for run in runs],
        "holds": [hold_json(hold) for hold in holds],
        "paused": tx.paused(),
        "problems": problems,
        "agent": agent.get("agent", {}),
        "gateway": agent.get("gateway", {}),
    }


def _services(
    tx: Tx, place: Object, runs: list[Object], holds: list[Object], agent: Json
) -> list[answers.ServiceRow]:
    record: EnvironmentRecordStatus = place.status
    moving = {
        run.labels["service"]: run
        for run in runs
        if run.labels.get("environment") == place.name and "service" in run.labels
    }
    names = sorted({*record.services, *moving, *_running(agent, place.name)})
    return [_service(tx, place, name, moving.get(name), holds, agent) for name in names]


def _running(agent: Json, environment: str) -> set[str]:
    """Services that have replicas, whatever the record says of them."""
    replicas = agent.get("replicas", [])
    return {one["service"] for one in replicas if one["environment"] == environment}


def _service(
    tx: Tx,
    place: Object,
    service: str,
    moving: Object | None,
    holds: list[Object],
    agent: Json,
) -> answers.ServiceRow:
    record: EnvironmentRecordStatus = place.status
    current = record.services.get(service)
    newest = moving or _newest_run(tx, place.name, service)
    if newest is not None and newest.status.reason == "NoWayBack":
        moving = newest  # left where it stood
    weight = 100.0 - moving.status.weight if moving else 100.0
    canary: answers.Canary | None = None
    if moving is not None and moving.status.phase != "Pending":
        plan: RolloutPlan = moving.spec.rollout
        canary = {"version": version_json(plan.version, plan.sha), "run": run_json(moving)}
    subject = _subject(newest, place, service)
    here = [hold for hold in holds if hold.spec.scope.matches(subject)]
    return {
        "environment": place.name,
        "service": service,
        "address": agent.get("addresses", {}).get(f"{place.name}/{service}", ""),
        "version": version_json(current, _sha_of(tx, record, service)),
        "phase": newest.status.phase if newest else "",
        "weight": weight if current else 0.0,
        "canary": canary,
        "replicas": _replicas(agent, place.name, service, current),
        "holds": [hold_json(hold) for hold in here],
        "message": record.synced.get(service, ""),
    }


def _subject(newest: Object | None, place: Object, service: str) -> Subject:
    """What is asked to be here now: an earlier version that is latched holds nobody up."""
    if newest is None:
        return Subject(environment=place.name, service=service)
    plan: RolloutPlan = newest.spec.rollout
    return Subject(
        service=service,
        environment=place.name,
        digest=plan.version.digest,
        config_hash=plan.version.config_hash,
        change=newest.spec.change,
    )


def _sha_of(tx: Tx, record: EnvironmentRecordStatus, service: str) -> str:
    run = tx.get("Run", record.runs.get(service, ""))
    return run.spec.rollout.sha if run and run.spec.rollout else ""


def _newest_run(tx: Tx, environment: str, service: str) -> Object | None:
    labels = {"environment": environment, "service": service}
    found = tx.list(Selector(kind="Run", labels=labels), limit=1, newest_first=True)
    return found[0] if found else None


def _replicas(
    agent: Json, environment: str, service: str, version: Version | None
) -> answers.Replicas:
    mine = [
        one
        for one in agent.get("replicas", [])
        if one.get("environment") == environment
        and one.get("service") == service
        and (version is None or one.get("version") == version.key)
    ]
    return {"ready": sum(one.get("state") == "ready" for one in mine), "wanted": len(mine)}


def run(tx: Tx, name: str) -> Object:
    """Find a Run by name or an unambiguous beginning of it.

    Raises:
        NotFound: None.
        UsageError: Several.
    """
    found = tx.get("Run", name)
    if found is not None:
        return found
    recent = tx.list(Selector(kind="Run"), limit=1000, newest_first=True)
    matches = [one for one in recent if one.name.startswith(name) or name in one.name]
    if not name or not matches:
        raise NotFound(f"there is no run {name}", hint="`andon runs list` lists them")
    if len(matches) > 1:
        names = ", ".join(one.name for one in matches[:5])
        raise UsageError(f"{name} could be several runs", hint=f"one of: {names}")
    return matches[0]


def run_with_steps(tx: Tx, name: str) -> answers.RunWithSteps:
    """Show a Run and its steps."""
    found = run(tx, name)
    return {**run_json(found), "steps": steps_of(tx, found)}


def steps_of(tx: Tx, run: Object) -> list[answers.Step]:
    """Show the steps of a Run; what waits for a worker elsewhere says so."""
    rows = tx.steps(run.uid)
    waits = waits_of(tx, run, rows)
    return [
        step_json(replace(row, message=waits[row.name]) if row.name in waits else row)
        for row in rows
    ]


def waits_of(tx: Tx, run: Object, rows: Iterable[StepRow]) -> dict[str, str]:
    """Say, by step, what running steps wait for that no worker elsewhere has taken."""
    if run.status.phase in TERMINAL or not any(row.state == "running" for row in rows):
        return {}
    return leases.waits(tx, run.name, tx.now())


def runs(tx: Tx, filters: Mapping[str, str], limit: int, after: str) -> list[answers.Run]:
    """List Runs, newest first."""
    unknown = set(filters) - RUN_FILTERS
    if unknown:
        raise UsageError(
            f"unknown filter {', '.join(sorted(unknown))}",
            hint=f"known: {', '.join(sorted(RUN_FILTERS))}",
        )
    labels = {key: value for key, value in filters.items() if value and key != "phase"}
    wanted = filters.get("phase", "")
    last = tx.require("Run", after).uid if after else ""
    size = PAGE if wanted else limit
    found: list[Object] = []
    while len(found) < limit:
        page = tx.list(
            Selector(kind="Run", labels=labels), limit=size, after=last, newest_first=True
        )
        found += [one for one in page if wanted in ("", one.status.phase)]
        if len(page) < size:
            break
        last = page[-1].uid
    return [run_json(one) for one in found[:limit]]


def changes(tx: Tx, limit: int, after: str) -> list[answers.Change]:
    """List Changes, newest first, behind the one named ``after``."""
    last = tx.require("Change", after).uid if after else ""
    found = tx.list(Selector(kind="Change"), limit=limit, after=last, newest_first=True)
    return [change_json(one) for one in found]


def schedules(tx: Tx) -> list[answers.ScheduleRow]:
    """List what is scheduled, the next one first."""
    found = [
        _entry(tx, one, entry)
        for one in tx.list(Selector(kind="Schedule"))
        for entry in one.spec.entries
    ]
    return sorted(found, key=lambda row: float(row["nextAt"]))


def _entry(tx: Tx, schedule: Object, entry: ScheduleEntry) -> answers.ScheduleRow:
    spec: ScheduleSpec = schedule.spec
    known = schedule.status.entries.get(entry_key(entry)) or EntryStatus(since=0)
    last = tx.get("Run", known.last_run) if known.last_run else None
    return {
        "schedule": schedule.name,
        "repository": spec.repository,
        "pipeline": spec.pipeline,
        "cron": entry.cron,
        "timezone": entry.timezone,
        "missed": entry.missed,
        "nextAt": known.next_at,
        "nextLocal": _local(known.next_at, entry.timezone),
        "lastAt": known.last_at,
        "lastRun": known.last_run,
        "lastPhase": last.status.phase if last else "",
        "lastMessage": last.status.message if last else "",
        "missedCount": known.missed,
    }


def _local(moment: float, zone: str) -> str:
    if not moment:
        return ""
    return datetime.fromtimestamp(moment, time_zone(zone)).isoformat(timespec="minutes")


def change_with_runs(tx: Tx, change: Object) -> answers.ChangeWithRuns:
    """Show a Change and its Runs."""
    found = tx.list(Selector(kind="Run", labels={"change": change.name}))
    shown: list[answers.RunWithSteps] = [
        {**run_json(one), "steps": steps_of(tx, one)} for one in found
    ]
    return {**change_json(change), "runs": shown, "approvals": approvals(tx, change.name)}


def approvals(tx: Tx, change: str, environment: str = "") -> list[answers.Approval]:
    """Show who has approved a Change, oldest first, in one environment or everywhere."""
    labels = subject_labels(Subject(change=change, environment=environment))
    return [approval_json(one) for one in tx.list(Selector(kind="Approval", labels=labels))]


def diff(tx: Tx, spec: ChangeSpec, environment: str, digests: Mapping[str, str]) -> answers.Diff:
    """Say what a ship of a commit would change in an environment.

    Args:
        tx: A snapshot.
        spec: The Change that would be made.
        environment: Where.
        digests: Known artifacts of that commit by service; a service without one is not built yet.
    """
    if environment not in spec.environments:
        known = ", ".join(sorted(spec.environments))
        raise NotFound(f"there is no environment {environment}", hint=f"known: {known}")
    record = tx.get("Environment", environment)
    status: EnvironmentRecordStatus = record.status if record else EnvironmentRecordStatus()
    secrets = versions(tx.list(Selector(kind="Secret", labels={"environment": environment})))
    rows = []
    for service in sorted(spec.services):
        plan = plan_rollout("", spec, service, environment, digests.get(service, ""), secrets)
        before = tx.get("Run", status.runs.get(service, ""))
        rows.append(_difference(service, before.spec.rollout if before else None, plan))
    return {"environment": environment, "services": rows}


def _difference(
    service: str, before: RolloutPlan | None, after: RolloutPlan
) -> answers.ServiceChange:
    old = _facts(before) if before else {}
    new = _facts(after)
    changes: list[answers.FieldChange] = [
        {"field": field, "from": old.get(field), "to": new.get(field)}
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]
    return {
        "service": service,
        "from": version_json(before.version, before.sha) if before else None,
        "to": version_json(after.version, after.sha),
        "changes": changes,
        "judged": _judged(after) if before and will_be_judged(before, after) else None,
    }


def will_be_judged(before: RolloutPlan, after: RolloutPlan) -> bool:
    """Say whether a rollout has a version to be compared with, and is."""
    one, other = before.version, after.version
    changed = (one.digest, one.config_hash) != (other.digest, other.config_hash)
    return changed and after.rollout.strategy == "canary"


def _judged(plan: RolloutPlan) -> answers.JudgedPlan:
    return {
        "rollout": msgspec.to_builtins(plan.rollout),
        "objective": msgspec.to_builtins(plan.objective),
    }


def _facts(plan: RolloutPlan) -> dict[str, Any]:
    config = {f"config.{key}": value for key, value in sorted(plan.config.items())}
    secrets = {f"secrets.{key}": _told(ref) for key, ref in sorted(plan.secrets.items())}
    irreversible = [job.name for job in plan.pre_deploy if job.irreversible]
    return {
        "artifact": plan.version.digest or f"not built yet ({plan.sha[:12]})",
        "command": " ".join(plan.command),
        "replicas": plan.replicas,
        "resources": msgspec.to_builtins(plan.resources),
        **config,
        **secrets,
        "irreversible jobs": irreversible,
    }


def _told(ref: SecretRef) -> str:
    return f"{ref.name}, version {ref.version}" if ref.version else f"{ref.name}, not set"
