"""Carries a Change: build it once, then promote the same artifacts from environment to environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from andon.api.v1.control import Decision, NewObject, Selector, View
from andon.api.v1.jobs import PIPELINES, BuildPlan
from andon.api.v1.records import (
    BUILD_ONLY,
    TERMINAL,
    ChangeSpec,
    ChangeStatus,
    Object,
    Phase,
    RolloutPlan,
    RunSpec,
    RunStatus,
)
from andon.domains.delivery.plan import (
    environments_in_order,
    plan_rollout,
    rollout_labels,
    rollout_name,
    services_in_order,
)
from andon.domains.delivery.rotation import (
    build_secrets,
    names_secrets,
    service_secrets,
    tell_missing,
    versions,
)
from andon.domains.line import events

RIVALS = 100
WAITING = 500
"""So many of the newest Changes are looked at when a secret is set."""
BuildPlanner = Callable[[ChangeSpec], BuildPlan]


class ChangeController:
    """Reconciles Changes.

    Args:
        plan_build: Plans the build Run (the pipelines domain's; domains do not know each other).
    """

    kind = "Change"

    def __init__(self, plan_build: BuildPlanner) -> None:
        self._plan_build = plan_build

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the Change's own Runs and artifacts, its environments and what rolls out there."""
        spec: ChangeSpec = obj.spec
        mine = {"change": obj.name}
        selectors = {
            "runs": Selector(kind="Run", labels=mine),
            "artifacts": Selector(kind="Artifact", labels=mine),
        }
        for name in spec.environments:
            selectors[f"environment:{name}"] = Selector(kind="Environment", name=name)
            selectors[f"rivals:{name}"] = Selector(
                kind="Run", labels={"environment": name}, newest=RIVALS
            )
        for name in (PIPELINES, *spec.environments) if names_secrets(spec) else ():
            selectors[f"secrets:{name}"] = Selector(kind="Secret", labels={"environment": name})
        return selectors

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake the Change of a Run that changed, and all that may wait for a secret that was set."""
        if changed.kind == "Run" and changed.spec.change:
            return (Selector(kind="Change", name=changed.spec.change),)
        if changed.kind == "Secret":
            return (Selector(kind="Change", newest=WAITING),)
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        """Create the next Runs, or end."""
        if view.object.status.phase in TERMINAL:
            return Decision()
        return _Promotion(view, now, self._plan_build).decide()


class _Promotion:
    def __init__(self, view: View, now: float, plan_build: BuildPlanner) -> None:
        self.view = view
        self.now = now
        self.plan_build = plan_build
        self.name = view.object.name
        self.spec: ChangeSpec = view.object.spec
        self.status: ChangeStatus = view.object.status
        self.runs = {run.name: run for run in view.related.get("runs", ())}
        self.create: list[NewObject] = []

    def decide(self) -> Decision:
        build = self.runs.get(f"build-{self.name}")
        lacking = build_secrets(self.spec) - self._set(PIPELINES).keys()
        if build is None and lacking:
            return self._answer("Waiting", {}, tell_missing(lacking, PIPELINES))
        if build is None:
            self.create.append(self._build_run())
            return self._answer("Running", {}, "building")
        phase = build.status.phase
        if phase == "Succeeded" and self.spec.until == BUILD_ONLY:
            return self._answer("Succeeded", {}, "built; deployed nowhere, as was asked")
        if phase == "Succeeded":
            return self._promote()
        if phase in TERMINAL:
            return self._answer(phase, {}, f"build: {build.status.message}")
        if phase == "Waiting":
            return self._answer("Waiting", {}, f"build: {build.status.message}")
        return self._answer("Running", {}, "building")

    def _build_run(self) -> NewObject:
        plan = self.plan_build(self.spec)
        return NewObject(
            kind="Run",
            name=f"build-{self.name}",
            spec=RunSpec(
                type="build",
                change=self.name,
                build=plan,
                sequence=self.spec.sequence,
            ),
            status=RunStatus(),
            labels={"type": "build", "change": self.name, **plan.labels},
        )

    def _promote(self) -> Decision:
        phases: dict[str, Phase] = {}
        for environment in environments_in_order(self.spec.environments):
            phase, message = self._promote_to(environment)
            phases[environment] = phase
            if phase != "Succeeded":
                ended = phase in TERMINAL
                return self._answer(phase if ended else "Running", phases, message)
            if environment == self.spec.until:
                break
        return self._answer("Succeeded", phases, self._left_out())

    def _left_out(self) -> str:
        """Say which services stay as they are, as a rule skipped the job that builds them."""
        packed = {one.spec.service for one in self.view.related.get("artifacts", ())}
        stay = sorted(self.spec.services.keys() - packed)
        return f"not built, by rule: {', '.join(stay)}; what runs of it stays" if stay else ""

    def _promote_to(self, environment: str) -> tuple[Phase, str]:
        digests = {
            artifact.spec.service: artifact.spec.digest
            for artifact in self.view.related.get("artifacts", ())
        }
        done: set[str] = set()
        waiting: list[Object] = []
        lacking: set[str] = set()
        secrets = self._set(environment)
        for service in services_in_order(self.spec.services):
            if service not in digests:
                done.add(service)  # a rule skipped its job: what runs stays
                continue
            plan = plan_rollout(
                self.name, self.spec, service, environment, digests[service], secrets
            )
            run = self.runs.get(rollout_name(self.name, service, environment))
            if run is None and self._runs_already(plan):
                done.add(service)
            elif run is None and (missing := self._lacking(service, secrets)):
                lacking |= missing
            elif run is None:
                if done.issuperset(self._known_needs(service)):
                    self.create.append(self._rollout_run(plan))
            elif run.status.phase == "Succeeded":
                done.add(service)
            elif run.status.phase in TERMINAL:
                return run.status.phase, f"{service} in {environment}: {run.status.message}"
            else:
                waiting.append(run)
        if len(done) == len(self.spec.services):
            return "Succeeded", ""
        if lacking:
            return "Waiting", tell_missing(lacking, environment)
        held = [run for run in waiting if run.status.phase == "Waiting"]
        if held:
            run = held[0]
            return "Waiting", f"{run.spec.rollout.service} in {environment}: {run.status.message}"
        return "Running", f"rolling out in {environment}"

    def _set(self, environment: str) -> dict[str, int]:
        """Return the versions of the secrets that are set there."""
        return versions(self.view.related.get(f"secrets:{environment}", ()))

    def _lacking(self, service: str, secrets: Mapping[str, int]) -> frozenset[str]:
        return service_secrets(self.spec.services[service]) - secrets.keys()

    def _known_needs(self, service: str) -> set[str]:
        return {need for need in self.spec.services[service].needs if need in self.spec.services}

    def _runs_already(self, plan: RolloutPlan) -> bool:
        """Say whether exactly this version runs there and nothing else is on its way."""
        environments = self.view.related.get(f"environment:{plan.environment}", ())
        if not environments:
            return False
        status = environments[0].status
        current = status.services.get(plan.service)
        seen = status.since.get(plan.service, 0.0)
        under_way = any(
            run.spec.rollout.service == plan.service and _may_move(run, seen)
            for run in self.view.related.get(f"rivals:{plan.environment}", ())
            if run.spec.rollout is not None
        )
        return current is not None and current.key == plan.version.key and not under_way

    def _rollout_run(self, plan: RolloutPlan) -> NewObject:
        return NewObject(
            kind="Run",
            name=rollout_name(self.name, plan.service, plan.environment),
            spec=RunSpec(
                type="rollout", change=self.name, rollout=plan, sequence=self.spec.sequence
            ),
            status=RunStatus(),
            labels=rollout_labels(plan, self.name, "rollout"),
        )

    def _answer(self, phase: Phase, phases: dict[str, Phase], message: str) -> Decision:
        ended = phase in TERMINAL
        shown = "Waiting" if "Waiting" in phases.values() and not ended else phase
        status = ChangeStatus(
            phase=shown,
            environments=phases,
            message=message,
            started_at=self.status.started_at or self.now,
            finished_at=self.now if ended else 0,
        )
        told = [] if self.status.started_at else [events.change_merged(self.name, self.spec)]
        if ended:
            told.append(events.change_finished(self.name, self.spec, phase, message))
        return Decision(
            status=status if status != self.status else None,
            create=tuple(self.create),
            events=tuple(told),
        )


def _may_move(run: Object, seen: float) -> bool:
    """Say whether a rollout is under way, has changed what the environment noted, or is stuck there."""
    if run.status.phase not in TERMINAL:
        return True
    changed = run.status.phase == "Succeeded" or run.status.reason == "NoWayBack"
    return changed and bool(run.status.finished_at > seen)
