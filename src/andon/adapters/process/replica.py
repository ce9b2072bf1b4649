"""One replica: started, watched until ready, started again when it ends, stopped gracefully."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from andon.adapters.process import environment, health, ports, telling
from andon.adapters.process.cgroups import Cgroup, Cgroups, Limits
from andon.adapters.process.layout import Layout
from andon.adapters.process.logs import last_lines
from andon.adapters.process.masked import Masking, spawn_masked
from andon.adapters.process.spawn import Group, Watched
from andon.adapters.process.verdicts import signal_name
from andon.api.v1.actions import DeployReplicas
from andon.kernel.errors import AndonError

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0

State = Literal["starting", "ready", "waiting", "stopped"]

_log = logging.getLogger("andon.replicas")


class ReplicaRecord(Struct, frozen=True, kw_only=True):
    """What is written down of a replica.

    Args:
        index: Its number among its version's.
        port: Where it listens, over all restarts.
        group: Its processes, the last time it was started.
        restarts: How often it ended without being asked to.
    """

    index: int
    port: int
    group: Group
    restarts: int = 0


class Replica:
    """Keeps one replica running until it is stopped.

    Args:
        spec: What to run.
        record: What is known of it.
        layout: The state folder.
        cgroups: Groups this machine allows.
        port_of: Gateway ports for ``ANDON_URL_<NAME>``.
        tell: Where it may tell what it sees.
        secrets: Returns the values of its secrets, by environment variable.
        on_change: Called with a changed record, to write it down; must not raise.
    """

    def __init__(
        self,
        spec: DeployReplicas,
        record: ReplicaRecord,
        *,
        layout: Layout,
        cgroups: Cgroups,
        port_of: environment.PortOf,
        tell: telling.AddressNow,
        secrets: Callable[[], Mapping[str, str]],
        on_change: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.record = record
        self.state: State = "starting"
        self.message = ""
        self.failure = ""
        """Why the first start failed, or the last; empty once ready."""
        self._layout = layout
        self._cgroups = cgroups
        self._port_of = port_of
        self._tell = tell
        self._secrets = secrets
        self._on_change = on_change
        self._watched: Watched | None = None
        self._masking: Masking | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def log(self) -> str:
        """Name of its log."""
        spec = self.spec
        return self._layout.replica_log(
            spec.environment, spec.service, spec.version.key, self.record.index
        )

    @property
    def log_file(self) -> Path:
        """Its log."""
        return self._layout.logs / self.log

    @property
    def pid(self) -> int | None:
        """Its main process, while it runs."""
        running = self._watched is not None and self._watched.alive
        return self._watched.identity.pid if running and self._watched else None

    def start(self) -> None:
        """Begin to keep it running; a process left by an earlier agent is taken over."""
        leader = self.record.group.find_leader()
        if self.spec.secrets:
            self._masking = Masking.found(self.record.group)
        if leader is not None:
            self._own(Watched(leader))
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self, drain_seconds: float) -> None:
        """End it: asked first, killed after the drain."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.state = "stopped"
        await self.record.group.stop(drain_seconds)
        if self._watched is not None:
            await self._watched.wait()
        await self._end_masking()

    async def _end_masking(self) -> None:
        if self._masking is not None:
            await self._masking.end()
            self._masking = None

    async def probe(self) -> bool:
        """Say whether it answers as ready just now."""
        return self.state == "ready" and await self._answers() and self.state == "ready"

    async def _keep_running(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            started = asyncio.get_running_loop().time()
            try:
                if self._watched is None:
                    await self._start_process()
                await self._until_end()
            except AndonError as error:
                self._wait_because(str(error))
            if asyncio.get_running_loop().time() - started > _STEADY_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _wait_because(self, message: str) -> None:
        self.state, self.message = "waiting", message
        _log.warning("%s: %s", self.log, message)

    async def _start_process(self) -> None:
        await self.record.group.kill()  # A killed leader may have left children on the port.
        await self._end_masking()
        if not ports.is_free(self.record.port):
            taken = f"port {self.record.port} is taken by another program; waiting for it"
            self._wait_because(taken)
            while not ports.is_free(self.record.port):
                await asyncio.sleep(1)
        self.state, self.message = "starting", ""
        group = structs.replace(self.record.group, leader=None, cgroup=self._cgroup())
        self._own(self._spawn(group), group)

    def _own(self, watched: Watched, group: Group | None = None) -> None:
        self._watched = watched
        group = structs.replace(group or self.record.group, leader=watched.identity)
        self.record = structs.replace(self.record, group=group)
        self._on_change()

    def _cgroup(self) -> Cgroup:
        limits = self.spec.resources
        name = Path(self.log).stem.replace("/", "_")
        try:
            return self._cgroups.create(
                f"replica-{name}",
                Limits(
                    memory_bytes=limits.memory_bytes, cpu=limits.cpu, processes=limits.processes
                ),
            )
        except OSError as error:
            _log.warning("%s runs without cgroup: %s", self.log, error)
            return Cgroup()

    def _spawn(self, group: Group) -> Watched:
        limited = "memory" in self._cgroups.controllers and group.cgroup.folders
        watched, self._masking = spawn_masked(
            'exec "$@"',
            self.spec.command,
            group=group,
            folder=self._layout.artifact(self.spec.version.digest),
            log=self.log_file,
            env=self._environment(),
            secrets=self._secrets(),
            memory_bytes=None if limited else self.spec.resources.memory_bytes,
        )
        return watched

    def _environment(self) -> dict[str, str]:
        spec = self.spec
        return {
            **environment.base(),
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONDONTWRITEBYTECODE": "1",  # The artifact is shared and stays as it was packed.
            **spec.config,
            **telling.of_replica(spec, self.record.index, self._tell()),
            **environment.addresses(spec.environment, spec.needs, self._port_of),
            "PORT": str(self.record.port),
            "ANDON_SERVICE": spec.service,
            "ANDON_ENVIRONMENT": spec.environment,
            "ANDON_VERSION": spec.version.key,
        }

    async def _until_end(self) -> None:
        assert self._watched is not None
        readiness = asyncio.create_task(self._until_ready())
        try:
            code = await self._watched.wait()
        finally:
            readiness.cancel()
        oom = self.record.group.cgroup.oom_kills() > 0
        self._watched = None
        if self._masking is not None:
            await self.record.group.kill()
            await self._end_masking()
        self.failure = self._ended_how(code, out_of_memory=oom)
        self._wait_because(self.failure)
        self.record = structs.replace(self.record, restarts=self.record.restarts + 1)
        self._on_change()

    async def _until_ready(self) -> None:
        while not await self._answers():
            await asyncio.sleep(self.spec.health.interval_seconds)
        self.state, self.message, self.failure = "ready", "", ""

    async def _answers(self) -> bool:
        answer = await health.probe(self.record.port, self.spec.health)
        if not answer.ready:
            self.message = f"GET {self.spec.health.path}: {answer.text}"
        return answer.ready

    def _ended_how(self, code: int | None, *, out_of_memory: bool) -> str:
        how = _how(code, self.spec.command[0])
        if out_of_memory:
            how = f"killed because its memory limit of {self.spec.resources.memory_bytes} bytes was used up"
        tail = last_lines(self.log_file, lines=5, max_bytes=1000)
        return f"{how}\n{tail}".rstrip()


def _how(code: int | None, program: str) -> str:
    if code is None:
        return "ended (exit code not seen: the agent had been restarted)"
    if code == 127:
        return f"command not found: {program}"
    if code == 126:
        return f"command cannot be executed: {program}"
    return f"killed by {signal_name(-code)}" if code < 0 else f"exited with code {code}"
