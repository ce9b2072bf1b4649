"""Puts the embedded default together: SQLite, local processes, HAProxy, one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from andon.adapters.agentclient import AgentClient, ensure_agent
from andon.adapters.git import GitDesiredState, GitSource
from andon.adapters.local import LocalExecutor, LocalTarget
from andon.adapters.oci import OciArtifactStore
from andon.adapters.webhook import WebhookNotifier
from andon.api.v1 import actions
from andon.api.v1.control import Controller
from andon.api.v1.installation import InstallationSpec
from andon.app.access.door import Door
from andon.app.control_plane import ControlPlane
from andon.app.events.couriers import Deliverer
from andon.app.events.sinks import guard_of, sinks
from andon.app.home import Home, expect_home, this_home, worker_slot
from andon.app.installation import Installation
from andon.app.ledger.book import Book
from andon.app.ledger.bookkeeping import keeping, ledger_book
from andon.app.lock import hold_state, prepare_state
from andon.app.place import database_of
from andon.app.provider import provider_of
from andon.app.secrets.keeper import Secrets
from andon.app.secrets.safe import Reader, Safe, open_safe
from andon.app.upkeep.admin import Admin
from andon.app.upkeep.moving import settle_in
from andon.app.work.queueing import TURNS_AHEAD_SECONDS, limits, place_of
from andon.app.work.sweeping import KEEP_DAYS, keep_clearing, keep_sweeping
from andon.domains.delivery.change import ChangeController
from andon.domains.delivery.controller import RolloutController
from andon.domains.delivery.environment import EnvironmentController
from andon.domains.pipelines.controller import BuildController
from andon.domains.pipelines.plan import plan_build
from andon.domains.pipelines.schedule import ScheduleController
from andon.domains.response.controller import IncidentController
from andon.kernel.errors import AndonError, UsageError
from andon.ports.offices import Offices
from andon.ports.store import Store
from andon.runtime.engine import Engine
from andon.runtime.performing import Perform
from andon.runtime.singleton import Singleton
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.together import until_one_ends
from andon.runtime.turns import Turns
from andon.runtime.worker import LEASE_SECONDS, Pace
from andon.store import open_store

JOBS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))
LEAVE_SECONDS = 2.0


class Settings(Struct, frozen=True, kw_only=True):
    """What an installation is told from outside.

    Args:
        state: Folder of everything.
        database_url: ``sqlite:///...`` or ``postgresql://...``; empty: a file in the state folder.
        watch: Branches to ship by themselves: (repository, branch).
        notify: Webhooks told whenever the line stops.
        allow_internal: Internal networks and names that webhooks and subscribers may be at.
        policy_branch: Branch that rules are read from.
        lease_seconds: Within this time a dead worker's work goes on elsewhere.
        jobs_at_once: Jobs that go on at the same time, over all workers; 0: any number.
        keep_days: How long ended Changes and what belongs to them are kept; 0: for ever.
        archive_after_days: When events move from the database into the archive; 0: never.
        agentless: Take turns and tell people only, as the agent is on another machine.
        take_over: Become the database's home, because the former one is lost.
        installation: How Andon itself is reached, and what it relies on.
    """

    state: Path
    database_url: str = ""
    watch: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()
    allow_internal: tuple[str, ...] = ()
    policy_branch: str = "main"
    lease_seconds: float = LEASE_SECONDS
    jobs_at_once: int = JOBS_AT_ONCE
    keep_days: float = KEEP_DAYS
    archive_after_days: float = 0.0
    agentless: bool = False
    take_over: bool = False
    installation: InstallationSpec = InstallationSpec()


Serve = Callable[[Offices], Awaitable[None]]


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
    executor: LocalExecutor,
    artifacts: OciArtifactStore,
    desired: GitDesiredState,
    target: LocalTarget,
    dataplane: AgentClient,
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
        actions.ObserveTraffic: dataplane.observe_traffic,
        actions.Notify: notifier.notify,
    }


async def run_control_plane(settings: Settings, serve: Serve) -> None:
    """Run the control plane until cancelled; services and gateway go on without it.

    Args:
        settings: What to run.
        serve: Serves the control plane to people and programs, until cancelled.

    Raises:
        Conflict: Another process holds the state folder.
        Unavailable: The folder cannot be written or the agent cannot be started.
    """
    state = settings.state.resolve()
    prepare_state(state)
    here = this_home(state, SystemRandomness())
    with (
        hold_state(state, {"startedAt": SystemClock().now()}),
        worker_slot(state, here) as worker,
    ):
        installation = Installation()
        try:
            await _live(settings, state, here, worker, serve, installation)
            while installation.switching:
                await _live(settings, state, here, worker, serve, installation)
        finally:
            await installation.close()


async def _live(
    settings: Settings,
    state: Path,
    here: Home,
    worker: str,
    serve: Serve,
    installation: Installation,
) -> None:
    """Live one generation, on one database."""
    installation.new_generation()
    store = open_database(settings, state)
    try:
        await expect_home(store, here, take_over=settings.take_over)
        await settle_in(store, state, here, database_of(state, settings.database_url))
        await asyncio.to_thread(ensure_agent, state)
        await _run(settings, state, here, store, worker, serve, installation)
    finally:
        store.close()


async def run_worker(settings: Settings, ready: Callable[[str], None]) -> None:
    """Share the work of an installation until cancelled.

    Args:
        settings: The same as of its control plane; without an agent it only takes turns and tells
            people, from whichever machine.
        ready: Told the worker's name once it works.

    Raises:
        UsageError: The installation is on SQLite, which one process owns.
        Conflict: The database belongs to another state folder.
    """
    if not is_shared(database_of(settings.state.resolve(), settings.database_url)):
        raise UsageError(
            "several workers need Postgres: SQLite belongs to one process",
            hint="`andon admin migrate --to postgresql://…` takes a running installation there",
        )
    state = settings.state.resolve()
    prepare_state(state)
    here = this_home(state, SystemRandomness())
    with worker_slot(state, here) as worker:
        store = open_database(settings, state)
        try:
            if not settings.agentless:
                await expect_home(store, here, take_over=False)
                await asyncio.to_thread(ensure_agent, state)
            parts = assemble(settings, state, store, worker)
            if not settings.agentless:
                await outrank(store, parts)
            await parts.engine.start()
            ready(worker)
            beside_the_agent: list[Awaitable[None]] = []
            if not settings.agentless:
                book = ledger_book(state, store)
                beside_the_agent = housekeeping(settings, book, store, worker, parts.executor)
            try:
                await until_one_ends(
                    parts.engine.run(),
                    sweeping(settings, store, worker),
                    telling(settings, store, worker),
                    *beside_the_agent,
                )
            finally:
                await leave(parts.engine)
        finally:
            store.close()


def open_database(settings: Settings, state: Path) -> Store:
    """Open the database of an installation."""
    return open_store(
        database_of(state, settings.database_url),
        source=f"/andon/{socket.gethostname()}",
        idle_seconds=Pace(settings.lease_seconds).idle_seconds,
    )


def is_shared(database_url: str) -> bool:
    """Say whether several processes may use a database."""
    return database_url.startswith(("postgresql://", "postgres://"))


class Parts(Struct, frozen=True, kw_only=True):
    """A worker, and what others need of it."""

    engine: Engine
    turns: Turns
    source: GitSource
    executor: LocalExecutor
    agent: AgentClient
    desired: GitDesiredState
    clock: SystemClock
    safe: Safe


def assemble(settings: Settings, state: Path, store: Store, worker: str) -> Parts:
    """Put a worker together; nothing is started."""
    clock = SystemClock()
    agent = AgentClient(state / "agent" / "agent.sock", clock, revive=lambda: ensure_agent(state))
    source = GitSource(state / "repositories")
    artifacts = OciArtifactStore(state / "oci", source, state / "work")
    safe = open_safe(settings.installation.secrets_key, state, SystemRandomness())
    secrets = Reader(store, safe)
    executor = LocalExecutor(agent, source, artifacts, state / "work", secrets=secrets)
    desired = GitDesiredState(state / "desired.git", clock)
    notifier = WebhookNotifier(guard=guard_of(settings.allow_internal, settings.installation))
    turns = Turns(controllers(), SystemRandomness(), place_of, TURNS_AHEAD_SECONDS)
    here: Mapping[type[actions.Action], Perform] = {actions.Notify: notifier.notify}
    if not settings.agentless:
        here = performers(
            executor=executor,
            artifacts=artifacts,
            desired=desired,
            target=LocalTarget(agent, artifacts, state / "artifacts", secrets=secrets),
            dataplane=agent,
            notifier=notifier,
        )
    engine = Engine(
        store,
        turns,
        here,
        worker,
        Pace(settings.lease_seconds),
        limits(settings.jobs_at_once),
    )
    return Parts(
        engine=engine,
        turns=turns,
        source=source,
        executor=executor,
        agent=agent,
        desired=desired,
        clock=clock,
        safe=safe,
    )


async def outrank(store: Store, parts: Parts) -> None:
    """Draw tokens above all that the world has seen: a restored or new database begins low."""
    hello = await parts.agent.hello()
    written = await asyncio.to_thread(parts.desired.highest_token)
    seen = max(hello.epoch, written)
    await store.transact(lambda tx: tx.draw_above(seen))


async def sweeping(settings: Settings, store: Store, worker: str) -> None:
    """Forget what ended long ago, on one of the workers."""
    work = partial(keep_sweeping, store, settings.keep_days)
    await Singleton(store, "sweeper", worker, Pace(settings.lease_seconds), work).run()


def housekeeping(
    settings: Settings, book: Book, store: Store, worker: str, executor: LocalExecutor
) -> list[Awaitable[None]]:
    """Return what needs the state folder: sign and archive the ledger, remove old work trees."""
    pace = Pace(settings.lease_seconds)
    clear = partial(keep_clearing, store, executor.sweep_work)
    return [
        keeping(book, store, worker, pace, settings.archive_after_days),
        Singleton(store, "work-trees", worker, pace, clear).run(),
    ]


async def leave(engine: Engine) -> None:
    """Give back what a worker has; where the database is away, its lease will end by itself."""
    with contextlib.suppress(AndonError, TimeoutError):
        await asyncio.wait_for(asyncio.shield(engine.leave()), LEAVE_SECONDS)


async def _run(
    settings: Settings,
    state: Path,
    here: Home,
    store: Store,
    worker: str,
    serve: Serve,
    installation: Installation,
) -> None:
    parts = assemble(settings, state, store, worker)
    book = ledger_book(state, store)
    plane = ControlPlane(
        state=state,
        store=store,
        book=book,
        turns=parts.turns,
        engine=parts.engine,
        source=parts.source,
        agent=parts.agent,
        clock=parts.clock,
        notify=settings.notify,
        policy_branch=settings.policy_branch,
        guard=guard_of(settings.allow_internal, settings.installation),
    )
    admin = Admin(
        installation=installation,
        state=state,
        here=here,
        given=settings.database_url,
        store=store,
        turns=parts.turns,
        agent=parts.agent,
        desired=parts.desired,
        clock=parts.clock,
    )
    secrets = Secrets(store, parts.turns, parts.safe, parts.clock)
    door = door_of(settings, state, store, parts.clock)
    await door.open()
    await outrank(store, parts)
    await parts.safe.warm(store)
    await parts.engine.start()
    installation.settled()
    try:
        await until_one_ends(
            parts.engine.run(),
            sweeping(settings, store, worker),
            telling(settings, store, worker),
            *housekeeping(settings, book, store, worker, parts.executor),
            serve(offices_of(settings, plane, door, admin, secrets)),
            door.run(),
            installation.end_of_generation(),
            _watch(plane, settings),
        )
    finally:
        await leave(parts.engine)
        await parts.agent.close()


def door_of(settings: Settings, state: Path, store: Store, clock: SystemClock) -> Door:
    """Return who lets people in."""
    oidc = settings.installation.oidc
    return Door(
        state,
        store,
        clock,
        SystemRandomness(),
        logins=("token", "password", *(("oidc",) if oidc else ())),
        teams_by_group=oidc.teams if oidc else {},
    )


def offices_of(
    settings: Settings, plane: ControlPlane, door: Door, admin: Admin, secrets: Secrets
) -> Offices:
    """Return everybody who answers."""
    return Offices(
        line=plane,
        access=door,
        admin=admin,
        secrets=secrets,
        provider=provider_of(settings.installation),
        url=settings.installation.url or "",
    )


async def telling(settings: Settings, store: Store, worker: str) -> None:
    """Tell subscribers what the ledger says, until cancelled."""
    pace = Pace(settings.lease_seconds)
    await Deliverer(
        store,
        sinks(SystemClock(), guard_of(settings.allow_internal, settings.installation)),
        worker,
        pace,
    ).run()


async def _watch(plane: ControlPlane, settings: Settings) -> None:
    for repository, branch in settings.watch:
        await plane.watch(repository=repository, branch=branch, interval_seconds=5)
    await plane.watching.run()
