"""Keeps an environment's record, and what runs there, as the finished rollouts left it.

Level-triggered: after an agent lost everything, or a machine rebooted, the desired versions are
deployed again. A latched version is never brought back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from andon.api.v1.actions import (
    ActionFailed,
    AnyAction,
    BackendAdded,
    Done,
    ObserveReplicas,
    ReplicasObserved,
    ReplicasReady,
    SetWeights,
)
from andon.api.v1.control import ActionRow, Ask, Decision, NewObject, Selector, View
from andon.api.v1.records import TERMINAL, EnvironmentRecordStatus, Object, RolloutPlan, Subject
from andon.domains.delivery.plan import backend_action, deploy_action
from andon.domains.delivery.rotation import catch_up, rotation_asked
from andon.domains.line.gate import is_latched

RECENT_RUNS = 50
LOOK_EVERY_SECONDS = 10.0
NOTED_SECONDS, RESTORING_SECONDS = 1.0, 3.0
"""Until the next look when a rollout was just noted, and while something is brought back."""
KEPT_HISTORY = 20
"""Versions of a service that a person may go back through."""


class EnvironmentController:
    """Reconciles Environments."""

    kind = "Environment"

    def select(self, obj: Object) -> dict[str, Selector]:
        """See recent rollouts, the Runs whose versions should be running, and Holds."""
        status: EnvironmentRecordStatus = obj.status
        chosen = {
            f"plan:{service}": Selector(kind="Run", name=run)
            for service, run in status.runs.items()
        }
        recent = Selector(kind="Run", labels={"environment": obj.name}, newest=RECENT_RUNS)
        holds = Selector(kind="Hold", labels={"state": "active", "environment": obj.name})
        secrets = Selector(kind="Secret", labels={"environment": obj.name})
        return {"recent": recent, "holds": holds, "secrets": secrets, **chosen}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake the environment of a rollout that ended."""
        if changed.kind != "Run" or changed.status.phase not in TERMINAL:
            return ()
        name = changed.labels.get("environment", "")
        return (Selector(kind="Environment", name=name),) if name else ()

    def reconcile(self, view: View, now: float) -> Decision:
        """Take note of finished rollouts, then look after each service."""
        status = note_finished(view.object.status, view.related.get("recent", ()))
        sync = _Sync(view, status, now)
        rotations: list[NewObject] = []
        if status is view.object.status:
            sync.look_after_all()
            rotations = _rotations(view, status)
        changed = sync.status if sync.status != view.object.status else None
        return Decision(
            status=changed,
            create=tuple(rotations),
            events=tuple(map(rotation_asked, rotations)),
            ask=tuple(sync.asked),
            consumed=tuple(sync.consumed),
            wake=now + sync.pause_seconds(noted=status is not view.object.status),
        )


def _rotations(view: View, status: EnvironmentRecordStatus) -> list[NewObject]:
    """Plan what follows from secrets that were rotated while a version was on its way in."""
    found = {service: view.related.get(f"plan:{service}", ()) for service in status.services}
    running = {service: runs[0] for service, runs in found.items() if runs}
    known = {run.name for run in view.related.get("recent", ())}
    made = catch_up(view.object, status, running, view.related.get("secrets", ()))
    return [new for new in made if new.name not in known]


def note_finished(
    status: EnvironmentRecordStatus, recent: Iterable[Object]
) -> EnvironmentRecordStatus:
    """Take note of all rollouts that have succeeded since it last did."""
    finished = [
        run
        for run in recent
        if run.status.phase == "Succeeded"
        and run.spec.rollout is not None
        and run.status.finished_at > status.since.get(run.spec.rollout.service, 0.0)
    ]
    for run in sorted(finished, key=lambda run: float(run.status.finished_at)):
        status = note(status, run)
    return status


def note(status: EnvironmentRecordStatus, run: Object) -> EnvironmentRecordStatus:
    """Take note of a rollout that has succeeded."""
    plan: RolloutPlan = run.spec.rollout
    service = plan.service
    since = {**status.since, service: run.status.finished_at}
    if run.status.reason == "AlreadyThere":
        return replace(status, since=since)
    history = _history(status, service, run)
    previous = {**status.previous, service: history[-2][0] if len(history) > 1 else ""}
    memory = {**status.memory, "history": {**status.memory.get("history", {}), service: history}}
    return replace(
        status,
        services={**status.services, service: plan.version},
        runs={**status.runs, service: run.name},
        previous={name: found for name, found in previous.items() if found},
        since=since,
        memory=memory,
    )


def _history(status: EnvironmentRecordStatus, service: str, run: Object) -> list[list[str]]:
    """List the Runs and versions that came before; a rollback leaves out what it took back."""
    known: list[list[str]] = status.memory.get("history", {}).get(service, [])
    key = run.spec.rollout.version.key
    if run.spec.type == "rollback":
        keys = [version for _, version in known]
        known = known[: keys.index(key)] if key in keys else known
    return [*known[1 - KEPT_HISTORY :], [run.name, key]]


class _Sync:
    """One look at what should be running."""

    def __init__(self, view: View, status: EnvironmentRecordStatus, now: float) -> None:
        self.view = view
        self.status = status
        self.now = now
        self.asked: list[Ask] = []
        self.consumed: list[str] = []

    def look_after_all(self) -> None:
        busy = {
            run.spec.rollout.service
            for run in self.view.related.get("recent", ())
            if run.status.phase not in TERMINAL and run.spec.rollout is not None
        }
        for service in self.status.services:
            found = self.view.related.get(f"plan:{service}", ())
            if found and service not in busy:
                self._look_after(service, found[0].spec.rollout)
        self._consume_rest(busy)

    def pause_seconds(self, *, noted: bool) -> float:
        """Say how long until the next look."""
        if noted:
            return NOTED_SECONDS
        return RESTORING_SECONDS if self._restoring() else LOOK_EVERY_SECONDS

    def _consume_rest(self, busy: set[str]) -> None:
        for row in self.view.actions:
            service = row.step.split("/", 1)[0]
            if row.outcome is not None and service in busy and row.key not in self.consumed:
                self.consumed.append(row.key)

    def _look_after(self, service: str, plan: RolloutPlan) -> None:
        row = next((row for row in self.view.actions if row.step == service), None)
        if row is None:
            self._ask(service, _observe(plan))
        elif row.outcome is not None:
            self.consumed.append(row.key)
            self._follow(service, plan, row)

    def _follow(self, service: str, plan: RolloutPlan, row: ActionRow) -> None:
        match row.outcome:
            case ReplicasObserved(wanted=wanted) if (
                wanted < plan.replicas or service in self._restoring()
            ):
                self._restore(service, plan)
            case ReplicasReady(endpoints=endpoints):
                self._ask(service, backend_action(plan, endpoints))
            case BackendAdded():
                weights = {plan.version.key: 100.0}
                self._ask(
                    service,
                    SetWeights(environment=plan.environment, service=service, weights=weights),
                )
            case ActionFailed(message=message):
                self._say(service, message)
            case ReplicasObserved(ready=ready) if ready < plan.replicas:
                self._say(service, f"{ready} of {plan.replicas} replicas ready")
            case ReplicasObserved():
                self._say(service, "")
            case Done():
                self._remember_restoring(service, under_way=False)
                self._say(service, "")

    def _restore(self, service: str, plan: RolloutPlan) -> None:
        subject = Subject(
            service=service,
            environment=plan.environment,
            digest=plan.version.digest,
            config_hash=plan.version.config_hash,
        )
        if is_latched(subject, self.view.related.get("holds", ()), self.now):
            self._say(service, "not running, and latched: `andon unlatch` or ship another version")
        else:
            self._remember_restoring(service, under_way=True)
            if not self.status.synced.get(service):
                self._say(service, "replicas are missing; deploying them again")
            self._ask(service, deploy_action(plan))

    def _restoring(self) -> list[str]:
        """Services that were lost and do not take their traffic again yet."""
        found: list[str] = self.status.memory.get("restoring", [])
        return found

    def _remember_restoring(self, service: str, *, under_way: bool) -> None:
        others = [name for name in self._restoring() if name != service]
        restoring = [*others, service] if under_way else others
        self.status = replace(self.status, memory={**self.status.memory, "restoring": restoring})

    def _ask(self, service: str, action: AnyAction) -> None:
        attempt = int(self.status.memory.get("attempt", 0)) + 1
        memory: dict[str, Any] = {**self.status.memory, "attempt": attempt}
        self.status = replace(self.status, memory=memory)
        self.asked.append(Ask(step=service, attempt=attempt, action=action))

    def _say(self, service: str, message: str) -> None:
        if self.status.synced.get(service, "") == message:
            return
        synced = {**self.status.synced, service: message}
        self.status = replace(
            self.status, synced={name: text for name, text in synced.items() if text}
        )


def _observe(plan: RolloutPlan) -> ObserveReplicas:
    return ObserveReplicas(environment=plan.environment, service=plan.service, version=plan.version)
