"""What a restored copy says against what the world does, and going on with either."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.agentclient.wire import AgentStatus
from andon.adapters.process.files import read_all
from andon.adapters.process.layout import Layout
from andon.adapters.process.replicas import SetRecord
from andon.api.v1.actions import DeployReplicas
from andon.api.v1.control import Decision, NewObject, Selector
from andon.api.v1.definitions import RolloutPolicy, RouteSpec
from andon.api.v1.records import (
    ENDED_STEP,
    TERMINAL,
    EnvironmentRecordStatus,
    Object,
    RolloutPlan,
    RunSpec,
    RunStatus,
    Version,
)
from andon.app import commands
from andon.app.queries import active_runs
from andon.domains.delivery.environment import note
from andon.domains.delivery.plan import rollout_labels
from andon.domains.line import events
from andon.kernel.errors import Conflict
from andon.ports.store import Tx
from andon.runtime.turns import Turns

Place = tuple[str, str]
"""Environment and service."""


class Seen(Struct, frozen=True, kw_only=True):
    """What the world does at one place.

    Args:
        ready: Ready replicas by version key.
        weights: Percent of traffic by version key, where it is not 0.
        specs: How each version's replicas run, by version key.
        desired: What the desired-state repository says.
    """

    ready: Mapping[str, int] = {}
    weights: Mapping[str, float] = {}
    specs: Mapping[str, DeployReplicas] = {}
    desired: Version | None = None

    @property
    def main(self) -> str:
        """Key of the version that most users have; empty: none runs."""
        most = max(self.weights, key=lambda key: self.weights[key], default="")
        return most or next(iter(sorted(self.ready)), "")


World = Mapping[Place, Seen]


class Difference(Struct, frozen=True, kw_only=True):
    """A place where the world is not as the copy says."""

    environment: str
    service: str
    copy: str
    world: str
    desired: str
    keepable: bool

    @property
    def place(self) -> Place:
        """Where."""
        return (self.environment, self.service)


def look(
    state: Path, status: AgentStatus, desired: Mapping[str, Mapping[str, Version]]
) -> dict[Place, Seen]:
    """Put together what the agent runs, how it runs it, and what is desired."""
    specs: dict[Place, dict[str, DeployReplicas]] = {}
    for record in read_all(Layout(state).replicas, SetRecord):
        one = record.spec
        specs.setdefault((one.environment, one.service), {})[one.version.key] = one
    ready: dict[Place, dict[str, int]] = {}
    for replica in status.replicas:
        known = ready.setdefault((replica.environment, replica.service), {})
        known[replica.version] = known.get(replica.version, 0) + (replica.state == "ready")
    weights = {
        (one["environment"], one["service"]): {
            key: weight for key, weight in one["weights"].items() if weight
        }
        for one in status.gateway.get("services", ())
    }
    wanted = {(env, name): one for env, known in desired.items() for name, one in known.items()}
    return {
        place: Seen(
            ready=ready.get(place, {}),
            weights=weights.get(place, {}) if ready.get(place) else {},
            specs=specs.get(place, {}),
            desired=wanted.get(place),
        )
        for place in {*ready, *weights, *wanted}
    }


def differences(tx: Tx, world: World) -> list[Difference]:
    """Compare; a place where nothing runs differs only if something else is desired there."""
    environments = {one.name: one for one in tx.list(Selector(kind="Environment"))}
    recorded = {
        (name, service): version
        for name, one in environments.items()
        for service, version in one.status.services.items()
    }
    moving = _moving(tx)
    found = []
    for place in sorted({*recorded, *moving, *world}):
        seen = world.get(place, Seen())
        mine, run = recorded.get(place), moving.get(place)
        if not _agrees(seen, mine, run):
            found.append(
                Difference(
                    environment=place[0],
                    service=place[1],
                    copy=_told({mine.key: 100.0} if mine else {}, run),
                    world=_told(seen.weights, None) or _told(dict.fromkeys(seen.ready, 0.0), None),
                    desired=seen.desired.key if seen.desired else "",
                    keepable=place[0] in environments and seen.main in seen.specs,
                )
            )
    return found


def _moving(tx: Tx) -> dict[Place, Object]:
    """Rollouts that had begun, and not ended, when the copy was made."""
    return {
        (run.spec.rollout.environment, run.spec.rollout.service): run
        for run in active_runs(tx)
        if run.spec.rollout is not None and run.status.started_at
    }


def _agrees(seen: Seen, mine: Version | None, run: Object | None) -> bool:
    versions = [version for version in (mine, run and run.spec.rollout.version) if version]
    keys = {version.key for version in versions}
    if seen.desired is not None and seen.desired.key not in keys:
        return False
    if not seen.ready:
        return True
    weight = run.status.weight if run is not None else 0.0
    expected = {mine.key: 100.0 - weight} if mine else {}
    if run is not None:
        expected[run.spec.rollout.version.key] = weight if mine else 100.0
    shares = {key: share for key, share in expected.items() if share}
    return set(seen.ready) <= keys and (not seen.weights or dict(seen.weights) == shares)


def _told(weights: Mapping[str, float], run: Object | None) -> str:
    said = [f"{key} {weight:g} %" for key, weight in sorted(weights.items())]
    if run is not None:
        said.append(f"{run.name} under way at {run.status.weight:g} %")
    return ", ".join(said)


# --- going on -------------------------------------------------------------------------------------


def keep(
    tx: Tx, turns: Turns, world: World, found: list[Difference], by: str, now: float
) -> dict[Place, Version]:
    """Let the environments' records say what the world does, and end what was under way in the copy.

    Returns:
        What the desired state should say.

    Raises:
        Conflict: What runs at a place is not known well enough to look after it.
    """
    lost = [one for one in found if not one.keepable]
    if lost:
        names = ", ".join(f"{one.environment}/{one.service}" for one in lost)
        raise Conflict(
            f"{names}: nothing runs there, or of an environment that the copy does not know",
            hint="--enforce-copy, then `andon ship` the version that is wanted there",
        )
    _cancel(tx, turns, {one.service for one in found}, now)
    return {one.place: _adopt(tx, turns, one, world[one.place], by, now) for one in found}


def enforce(
    tx: Tx, turns: Turns, world: World, found: list[Difference], by: str, now: float
) -> dict[Place, Version]:
    """Take note of what the world does, then go back to what the copy says, as a rollback does.

    Returns:
        What the desired state should say where no rollback will write it.
    """
    recorded = {one.place: _recorded(tx, one) for one in found}
    _cancel(tx, turns, {one.service for one in found}, now)
    wanted = {}
    for one in found:
        mine = recorded[one.place]
        if mine is None:
            continue
        if one.keepable and _adopt(tx, turns, one, world[one.place], by, now).key != mine.key:
            reason = "the restored copy is enforced"
            commands.roll_back(tx, turns, *one.place, by=by, reason=reason, now=now)
        else:
            wanted[one.place] = mine
    return wanted


def _recorded(tx: Tx, one: Difference) -> Version | None:
    environment = tx.get("Environment", one.environment)
    version: Version | None = environment.status.services.get(one.service) if environment else None
    return version


def _cancel(tx: Tx, turns: Turns, services: set[str], now: float) -> None:
    """End what the copy was about to do to some services: the world has gone on without it."""
    message = "under way when the copy was made; the world has gone on without it"
    changes = [
        one
        for one in tx.list(Selector(kind="Change"), newest_first=True)
        if one.status.phase not in TERMINAL and services & set(one.spec.services)
    ]
    names = {one.name for one in changes}
    runs = [
        run
        for run in active_runs(tx)
        if run.spec.change in names or (run.spec.rollout and run.spec.rollout.service in services)
    ]
    for run in runs:
        tx.consume([row.key for row in tx.actions(run.uid)])
        for row in tx.steps(run.uid):
            if row.state not in ENDED_STEP:
                tx.put_step(run.uid, replace(row, state="cancelled", finished_at=now))
        ended = replace(
            run.status, phase="Cancelled", reason="WorldWentOn", message=message, finished_at=now
        )
        turns.announce(tx, tx.put_status(run, ended), now)
    for change in changes:
        over = replace(change.status, phase="Cancelled", message=message, finished_at=now)
        turns.announce(tx, tx.put_status(change, over), now)


def _adopt(tx: Tx, turns: Turns, one: Difference, seen: Seen, by: str, now: float) -> Version:
    """Note a Run that did what the world shows: everything later finds a version and its plan."""
    environment = tx.require("Environment", one.environment)
    tx.consume([row.key for row in tx.actions(environment.uid)])
    spec = seen.specs[seen.main]
    mine: Version | None = environment.status.services.get(one.service)
    if mine is not None and mine.key == spec.version.key:
        if len(seen.weights) > 1:
            tx.put_status(environment, _restoring(environment.status, one.service))
        return mine
    plan = _plan(tx, environment.status.runs.get(one.service, ""), spec)
    name = f"adopted-{one.environment}-{one.service}-{spec.version.key}-{int(now)}"
    run = NewObject(
        kind="Run",
        name=name,
        spec=RunSpec(type="rollout", change=spec.version.change, rollout=plan),
        status=RunStatus(
            phase="Succeeded",
            reason="Adopted",
            message="ran when a copy of Andon was restored",
            weight=100,
            previous=mine,
            started_at=now,
            finished_at=now,
        ),
        labels=rollout_labels(plan, spec.version.change, "rollout"),
    )
    event = events.extension(
        "environment",
        "adopted",
        id=f"run/{name}/adopted",
        stream=events.environment_stream(one.environment),
        about=one.service,
        chain=spec.version.change,
        data={"by": by, "copy": one.copy, "world": one.world, "digest": spec.version.digest},
    )
    turns.create(tx, Decision(create=(run,), events=(event,)), now)
    noted = note(environment.status, tx.require("Run", name))
    tx.put_status(environment, _restoring(noted, one.service) if len(seen.weights) > 1 else noted)
    return spec.version


def _restoring(status: EnvironmentRecordStatus, service: str) -> EnvironmentRecordStatus:
    """Have the version on record given all the traffic: nobody judges the other one any more."""
    known = [name for name in status.memory.get("restoring", []) if name != service]
    return replace(status, memory={**status.memory, "restoring": [*known, service]})


def _plan(tx: Tx, run: str, spec: DeployReplicas) -> RolloutPlan:
    change = tx.get("Change", spec.version.change)
    known = tx.get("Run", run)
    base: RolloutPlan = (
        known.spec.rollout
        if known is not None
        else RolloutPlan(
            **{name: getattr(spec, name) for name in DeployReplicas.__struct_fields__},
            repository="",
            sha="",
            drain_seconds=10.0,
            requires=(),
            max_age_seconds=0.0,
            rollout=RolloutPolicy(),
            route=RouteSpec(service=spec.service),
        )
    )
    return replace(
        base,
        sha=change.spec.sha if change else "",
        version=spec.version,
        command=spec.command,
        config=spec.config,
        replicas=spec.replicas,
        health=spec.health,
        resources=spec.resources,
        needs=spec.needs,
        pre_deploy=(),
        post_deploy=(),
    )
