"""Takes jobs as long as it may, and carries them, also those that it had before it was restarted."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from andon import __version__
from andon.adapters.container import ByImage
from andon.adapters.outbound import Guard
from andon.adapters.process import cgroups, sandbox
from andon.adapters.process.files import read_all, safe_name, write_json
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.agent import lock
from andon.api.v1.installation import ContainersSpec
from andon.app.elsewhere.carrying import Carrier
from andon.app.elsewhere.checking import Asker
from andon.app.elsewhere.talking import WAIT_SECONDS, ControlPlane, Leased
from andon.app.parts import containers
from andon.client.wire import Client, Server
from andon.kernel.errors import UsageError
from andon.runtime.system import SystemClock
from andon.runtime.together import until_one_ends

DRAINING_SECONDS = 1.0

_log = logging.getLogger("andon.worker")


class Told(Struct, frozen=True, kw_only=True):
    """What a worker elsewhere is told.

    Args:
        server: The control plane, with the token of a worker.
        state: Folder of its own.
        name: What it is called.
        labels: What it has.
        at_once: So many jobs at a time.
        containers: Its container engine.
        allow_internal: Internal networks and names that Checks may ask here.
    """

    server: Server
    state: Path
    name: str
    labels: tuple[str, ...]
    at_once: int
    containers: ContainersSpec = ContainersSpec()
    allow_internal: tuple[str, ...] = ()


async def run_elsewhere(told: Told, ready: Callable[[str], None]) -> None:
    """Take and carry jobs until cancelled; what runs then goes on, and is found by the next start.

    Raises:
        Denied: The token may not work.
        Conflict: The name is another one's.
    """
    layout = Layout(told.state)
    layout.make()
    held = lock.hold(layout.agent / "lock")
    try:
        groups = cgroups.detect(f"andon-{zlib.crc32(bytes(layout.state)):08x}")
        runner = JobRunner(
            layout, SystemClock(), groups, sandboxed=sandbox.works(), port_of=_no_gateway
        )
        await runner.open()
        jobs = ByImage(runner, containers(told.containers, layout.state, SystemClock()))
        plane = ControlPlane(Client(told.server))
        worker = Worker(told, layout, plane, Carrier(layout, jobs, plane))
        asker = Asker(told.name, plane, SystemClock(), Guard(told.allow_internal))
        await until_one_ends(worker.run(ready), asker.run())
    finally:
        held.close()


def _no_gateway(environment: str, service: str) -> int:
    raise UsageError(
        f"the gateway of {service} in {environment} is on another machine",
        hint="jobs around a deployment run beside it",
    )


class Worker:
    """One worker.

    Args:
        told: What it is told.
        layout: Its folder.
        plane: Who has jobs.
        carrier: Runs them.
    """

    def __init__(self, told: Told, layout: Layout, plane: ControlPlane, carrier: Carrier) -> None:
        self._told = told
        self._layout = layout
        self._plane = plane
        self._carrier = carrier
        self._held: dict[str, Leased] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._draining = False

    async def run(self, ready: Callable[[str], None]) -> None:
        """Work until cancelled."""
        for job in read_all(self._folder, Leased):
            self._start(job)
        await self._ask(wait_seconds=0)
        ready(self._told.name)
        try:
            while True:
                await self._have_room()
                await self._ask(WAIT_SECONDS)
                if self._draining:
                    await asyncio.sleep(DRAINING_SECONDS)
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _folder(self) -> Path:
        return self._layout.state / "leased"

    async def _have_room(self) -> None:
        while len(self._held) >= self._told.at_once:
            self._freed.clear()
            await self._freed.wait()

    async def _ask(self, wait_seconds: float) -> None:
        told = self._told
        job, draining = await self._plane.take(
            told.name,
            labels=told.labels,
            at_once=told.at_once,
            version=__version__,
            holding=tuple(self._held),
            wait_seconds=wait_seconds,
        )
        if draining and not self._draining:
            _log.info("draining: nothing new is taken, %d jobs go on", len(self._held))
        self._draining = draining
        if job is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_json(self._file(job), job)
            self._start(job)

    def _start(self, job: Leased) -> None:
        self._held[job.job] = job
        task = asyncio.create_task(self._carry(job), name=job.job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, job: Leased) -> None:
        try:
            await self._carrier.carry(job)
        except Exception:
            _log.exception("%s: was not answered; its lease will end", job.title)
        self._file(job).unlink(missing_ok=True)
        del self._held[job.job]
        self._freed.set()

    def _file(self, job: Leased) -> Path:
        return self._folder / f"{safe_name(job.job)}.json"
