"""Runs the embedded default: SQLite, local processes, HAProxy, one process; and workers beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from andon.adapters.agentclient import ensure_agent
from andon.adapters.local import LocalExecutor
from andon.app.control_plane import ControlPlane
from andon.app.events.addresses import Addresses
from andon.app.events.couriers import Deliverer
from andon.app.events.sinks import InnerSinks, guard_of, sinks
from andon.app.home import Home, expect_home, this_home, worker_slot
from andon.app.hooks.notices import ensure_notices
from andon.app.hooks.parts import inner_sinks
from andon.app.hooks.places import Places
from andon.app.installation import Installation
from andon.app.ledger.book import Book
from andon.app.ledger.bookkeeping import keeping, ledger_book
from andon.app.lock import hold_state, prepare_state
from andon.app.offices import open_offices, outward_of
from andon.app.parts import Parts, assemble
from andon.app.place import database_of
from andon.app.secrets.safe import Vault
from andon.app.settings import Settings
from andon.app.telemetry.room import open_telemetry, watching
from andon.app.upkeep.admin import Admin
from andon.app.upkeep.moving import settle_in
from andon.app.work.sweeping import keep_clearing, keep_sweeping
from andon.kernel.errors import AndonError, UsageError
from andon.ports.offices import Offices
from andon.ports.store import Store
from andon.runtime.engine import Engine
from andon.runtime.singleton import Singleton
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.together import until_one_ends
from andon.runtime.worker import Pace
from andon.store import open_store

LEAVE_SECONDS = 2.0

Serve = Callable[[Offices], Awaitable[None]]


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
            # The key of the tokens lies with the agent, in the state folder.
            inner = {} if settings.agentless else inner_sinks(outward_of(settings, store, parts))
            addresses = Addresses(Vault(parts.safe))
            try:
                await until_one_ends(
                    parts.engine.run(),
                    sweeping(settings, store, worker),
                    telling(settings, store, addresses, worker, inner),
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
        async with asyncio.timeout(LEAVE_SECONDS):
            await asyncio.shield(engine.leave())


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
    inner = inner_sinks(outward_of(settings, store, parts))
    vault = Vault(parts.safe)
    addresses = Addresses(vault)
    plane = control_plane(settings, state, store, parts, book, vault, inner)
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
    telemetry = open_telemetry(settings, state, store, parts)
    outside = open_offices(settings, state, store, parts, plane, admin, telemetry)
    await outside.door.open()
    await prepare(settings, store, parts, vault)
    await parts.engine.start()
    installation.settled()
    try:
        await until_one_ends(
            parts.engine.run(),
            sweeping(settings, store, worker),
            telling(settings, store, addresses, worker, inner),
            *housekeeping(settings, book, store, worker, parts.executor),
            watching(telemetry, settings, store, worker),
            serve(outside.offices),
            outside.door.run(),
            installation.end_of_generation(),
            _watch(plane, settings),
        )
    finally:
        await leave(parts.engine)
        await parts.agent.close()


def control_plane(
    settings: Settings,
    state: Path,
    store: Store,
    parts: Parts,
    book: Book,
    vault: Vault,
    inner: InnerSinks,
) -> ControlPlane:
    """Return what answers for the line."""
    return ControlPlane(
        state=state,
        store=store,
        book=book,
        turns=parts.turns,
        engine=parts.engine,
        source=parts.source,
        agent=parts.agent,
        clock=parts.clock,
        vault=vault,
        notify=settings.notify,
        policy_branch=settings.policy_branch,
        guard=guard_of(settings.allow_internal, settings.installation),
        inner=inner,
    )


async def prepare(settings: Settings, store: Store, parts: Parts, vault: Vault) -> None:
    """Make ready what the first turn needs: tokens, keys, addresses, and who is told of holds."""
    await outrank(store, parts)
    await parts.safe.warm(store)
    await Addresses(vault).settle(store)
    await Places(vault).settle(store)
    mail = settings.installation.mail is not None
    await store.transact(lambda tx: ensure_notices(tx, mail, tx.now()))


async def telling(
    settings: Settings, store: Store, addresses: Addresses, worker: str, inner: InnerSinks
) -> None:
    """Tell subscribers what the ledger says, until cancelled."""
    pace = Pace(settings.lease_seconds)
    guard = guard_of(settings.allow_internal, settings.installation)
    open_sink = sinks(SystemClock(), guard, inner)
    elsewhere = settings.agentless
    await Deliverer(store, addresses, open_sink, worker, pace, elsewhere=elsewhere).run()


async def _watch(plane: ControlPlane, settings: Settings) -> None:
    for repository, branch in settings.watch:
        await plane.watch(repository=repository, branch=branch, interval_seconds=5)
    await plane.watching.run()
