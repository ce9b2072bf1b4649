"""Everything the agent owns on this host, put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from andon import __version__
from andon.adapters.agentclient import wire
from andon.adapters.process import procfs
from andon.adapters.process.capabilities import Capabilities, describe
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.process.logs import read_chunk
from andon.adapters.process.replicas import Replicas
from andon.agent.gateway import Gateway, PatientGateway
from andon.agent.telling import TellingDoor
from andon.agent.tokens import Tokens
from andon.api.v1.actions import Done, Intent
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound

Method = Callable[[Any, Intent], Awaitable[Any]]
_SHUTDOWN_DRAIN_SECONDS = 5.0


class Host:
    """Replicas, jobs and the gateway of one state folder.

    Args:
        layout: The state folder.
        clock: The time.
        gateway: The data plane.
        cgroups: Groups this machine allows.
        sandboxed: Whether bubblewrap works here.
    """

    def __init__(
        self,
        layout: Layout,
        clock: Clock,
        gateway: Gateway,
        cgroups: Cgroups,
        *,
        sandboxed: bool,
    ) -> None:
        self._layout = layout
        self._started_at = clock.now()
        self._cgroups = cgroups
        self._gateway = PatientGateway(gateway)
        self._capabilities: Capabilities = describe(cgroups, bubblewrap=sandboxed)
        port_of = self._gateway.port_of
        self._telling = TellingDoor(layout)
        tell = self._telling.address
        self._jobs = JobRunner(
            layout, clock, cgroups, sandboxed=sandboxed, port_of=port_of, tell=tell
        )
        self._replicas = Replicas(layout, cgroups, port_of, tell)
        self.tokens = Tokens(layout.agent / "tokens.json")
        self.ended = asyncio.Event()

    async def open(self) -> None:
        """Take over what runs."""
        await self._gateway.open()
        await self._telling.open()
        await self._replicas.open()
        await self._jobs.open()

    async def detach(self) -> None:
        """Leave everything running for the next agent."""
        self._telling.close()
        await self._gateway.close(stop=False)

    def method(self, name: str) -> Method:
        """Return what carries out a method.

        Raises:
            NotFound: There is no such method.
        """
        for owner in (self, self._jobs, self._replicas, self._gateway):
            found: Method | None = getattr(owner, name, None)
            if name in wire.METHODS and found is not None:
                return found
        raise NotFound(
            f"the agent knows no method {name!r}", hint=f"it knows {', '.join(wire.METHODS)}"
        )

    async def hello(self, _: wire.Nothing, intent: Intent) -> wire.Hello:
        """Say who answers."""
        return wire.Hello(
            version=__version__,
            pid=os.getpid(),
            epoch=self.tokens.highest,
            capabilities=self._capabilities,
        )

    async def status(self, _: wire.Nothing, intent: Intent) -> wire.AgentStatus:
        """Say everything."""
        return wire.AgentStatus(
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            epoch=self.tokens.highest,
            rss_bytes=procfs.rss_bytes(os.getpid()),
            capabilities=self._capabilities,
            replicas=self._replica_rows(),
            jobs=self._job_rows(),
            gateway=self._gateway.status(),
        )

    def _replica_rows(self) -> tuple[wire.ReplicaStatus, ...]:
        return tuple(
            wire.ReplicaStatus(
                environment=replica.spec.environment,
                service=replica.spec.service,
                version=replica.spec.version.key,
                index=replica.record.index,
                state=replica.state,
                port=replica.record.port,
                pid=replica.pid,
                restarts=replica.record.restarts,
                log=replica.log,
                message=replica.message,
                metrics=replica.spec.metrics,
            )
            for replica in self._replicas.all()
        )

    def _job_rows(self) -> tuple[wire.JobStatus, ...]:
        return tuple(
            wire.JobStatus(
                key=job.key,
                run=job.run,
                name=job.name,
                pid=job.group.leader.pid if job.group.leader else None,
                started_at=job.started_at,
                log=job.log,
            )
            for job in self._jobs.running()
        )

    async def tail_log(self, request: wire.TailLog, intent: Intent) -> wire.LogChunk:
        """Read a log.

        Raises:
            NotFound: There is no such log.
        """
        running = self._is_written(request.name)  # Asked first: nothing follows what is read then.
        file = (self._layout.logs / request.name).resolve()
        try:
            if not file.is_relative_to(self._layout.logs.resolve()):
                raise FileNotFoundError
            data, following = read_chunk(file, request.offset, request.max_bytes)
        except OSError:
            raise NotFound(f"there is no log {request.name}", hint="`andon runs list`") from None
        ended = not running and len(data) < request.max_bytes
        return wire.LogChunk(data=data, next_offset=following, ended=ended)

    def _is_written(self, log: str) -> bool:
        logs = [job.log for job in self._jobs.running()]
        return log in logs or log in [replica.log for replica in self._replicas.all()]

    async def shutdown(self, _: wire.Nothing, intent: Intent) -> Done:
        """End everything: first what lets traffic in, then services and jobs, then the agent."""
        await self._gateway.close(stop=True)
        await asyncio.gather(self._replicas.close(_SHUTDOWN_DRAIN_SECONDS), self._jobs.close())
        self._telling.close()
        self._cgroups.close()
        self.ended.set()
        return Done()
