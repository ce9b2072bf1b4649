"""The parts of a worker: controllers, and which port carries out what they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.agentclient import AgentClient, ensure_agent
from andon.adapters.container import ByImage, ContainerRunner, find_socket
from andon.adapters.container import Engine as ContainerEngine
from andon.adapters.filetree import making, settle, work_tree
from andon.adapters.git import GitDesiredState, GitSource
from andon.adapters.local import LocalExecutor, LocalTarget
from andon.adapters.local.leavings import Leavings
from andon.adapters.oci import OciArtifactStore
from andon.adapters.process.layout import Layout
from andon.adapters.remote import RemoteExecutor, RoutedExecutor
from andon.adapters.webhook import WebhookNotifier
from andon.api.v1 import actions
from andon.api.v1.control import Controller
from andon.api.v1.installation import ContainersSpec
from andon.app.events.sinks import guard_of
from andon.app.secrets.safe import Reader, Safe, open_safe
from andon.app.settings import Settings
from andon.app.suites.handing import handing
from andon.app.telemetry.business import BusinessPlane
from andon.app.typed import plan_build
from andon.app.work.queueing import TURNS_AHEAD_SECONDS, limits, place_of
from andon.app.workers.desk import Desk
from andon.domains.delivery.change import ChangeController
from andon.domains.delivery.controller import RolloutController
from andon.domains.delivery.environment import EnvironmentController
from andon.domains.pipelines.controller import BuildController
from andon.domains.pipelines.schedule import ScheduleController
from andon.domains.response.controller import IncidentController
from andon.kernel.clock import Clock
from andon.ports import ArtifactStore, Executor, Source
from andon.ports.store import Store
from andon.runtime.engine import Engine
from andon.runtime.performing import Perform
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.turns import Turns
from andon.runtime.worker import Pace


def controllers() -> list[Controller]:
    """Return every controller of the line."""
    return [
        ChangeController(plan_build),
        BuildController(),
        ScheduleController(plan_build),
        RolloutController("rollout"),
        RolloutController("rollback"),
        EnvironmentController(),
        IncidentController(),
    ]


def performers(
    *,
    executor: Executor,
    artifacts: OciArtifactStore,
    desired: GitDesiredState,
    target: LocalTarget,
    dataplane: AgentClient,
    business: BusinessPlane,
    notifier: WebhookNotifier,
) -> Mapping[type[actions.Action], Perform]:
    """Say which port carries out which action."""
    return {
        actions.RunJob: executor.run_job,
        actions.CancelJob: executor.cancel_job,
        actions.PackArtifact: artifacts.pack_artifact,
        actions.WriteDesired: desired.write_desired,
        actions.DeployReplicas: target.deploy_replicas,
        actions.ObserveReplicas: target.observe_replicas,
        actions.RetireReplicas: target.retire_replicas,
        actions.AddBackend: dataplane.add_backend,
        actions.SetWeights: dataplane.set_weights,
        actions.RemoveBackend: dataplane.remove_backend,
        actions.ObserveTraffic: business.observe_traffic,
        actions.Notify: notifier.notify,
    }


class Parts(Struct, frozen=True, kw_only=True):
    """A worker, and what others need of it."""

    engine: Engine
    turns: Turns
    source: GitSource
    executor: LocalExecutor
    agent: AgentClient
    business: BusinessPlane
    desired: GitDesiredState
    clock: SystemClock
    safe: Safe
    desk: Desk


def containers(told: ContainersSpec, state: Path, clock: Clock) -> ContainerRunner:
    """Return what runs jobs in containers of this machine's engine."""
    engine = ContainerEngine(Path(told.socket) if told.socket else find_socket(os.environ))
    return ContainerRunner(Layout(state), clock, engine, allow_tags=told.allow_tags)


def filling(source: Source, artifacts: ArtifactStore) -> Callable[[actions.RunJob, Path], None]:
    """Return what writes the work tree of a job that runs elsewhere."""

    def fill(action: actions.RunJob, into: Path) -> None:
        if action.digest:
            artifacts.unpack(action.digest, into)
        else:
            source.checkout(action.repository, action.sha, into)

    return fill


def arriving(
    source: Source, artifacts: ArtifactStore, leavings: Leavings, work: Path
) -> Callable[[actions.RunJob, str, actions.JobDone], None]:
    """Return what makes the work tree of a job that left files elsewhere."""
    fill = filling(source, artifacts)

    def arrive(action: actions.RunJob, key: str, done: actions.JobDone) -> None:
        tree = work_tree(work, key)
        if not done.artifact or tree.is_dir():
            return
        with making(tree) as made:
            fill(action, made)
            left = replace(action, takes=(done.artifact,), job=replace(action.job, caches=()))
            leavings.bring(left, key, made)
            settle(made, tree)

    return arrive


def assemble(settings: Settings, state: Path, store: Store, worker: str) -> Parts:
    """Put a worker together; nothing is started."""
    clock = SystemClock()
    agent = AgentClient(state / "agent" / "agent.sock", clock, revive=lambda: ensure_agent(state))
    business = BusinessPlane(agent)
    source = GitSource(state / "repositories")
    artifacts = OciArtifactStore(state / "oci", source, state / "work")
    safe = open_safe(settings.installation.secrets_key, state, SystemRandomness())
    secrets = Reader(store, safe)
    leavings = Leavings(state, settings.cache_bytes)
    executor = LocalExecutor(
        ByImage(agent, containers(settings.installation.containers, state, clock)),
        source,
        artifacts,
        state / "work",
        secrets=secrets,
        leavings=leavings,
    )
    desk = Desk(store, state, filling(source, artifacts), secrets, clock)
    desired = GitDesiredState(state / "desired.git", clock)
    notifier = WebhookNotifier(guard=guard_of(settings.allow_internal, settings.installation))
    turns = Turns(controllers(), SystemRandomness(), place_of, TURNS_AHEAD_SECONDS)
    arrive = arriving(source, artifacts, leavings, state / "work")
    routed = RoutedExecutor(executor, RemoteExecutor(desk, clock, arrive))
    here: Mapping[type[actions.Action], Perform] = {actions.Notify: notifier.notify}
    if not settings.agentless:
        here = performers(
            executor=handing(routed, store, state, clock),
            artifacts=artifacts,
            desired=desired,
            target=LocalTarget(agent, artifacts, state / "artifacts", secrets=secrets),
            dataplane=agent,
            business=business,
            notifier=notifier,
        )
    pace, most = Pace(settings.lease_seconds), limits(settings.jobs_at_once)
    return Parts(
        engine=Engine(store, turns, here, worker, pace, most),
        turns=turns,
        source=source,
        executor=executor,
        agent=agent,
        business=business,
        desired=desired,
        clock=clock,
        safe=safe,
        desk=desk,
    )
