"""Calls to the agent, repeated with the same key when it was restarted meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from andon.adapters import unixsocket
from andon.adapters.agentclient import wire
from andon.api.v1 import actions
from andon.api.v1.actions import Done, Intent
from andon.api.v1.requests import RecentRequests, RequestsSeen
from andon.kernel.clock import Clock
from andon.kernel.errors import InternalError, Unavailable, from_code

Result = TypeVar("Result")

_PATIENCE_SECONDS = 10.0
_FIRST_BACKOFF_SECONDS = 0.05
_LONGEST_BACKOFF_SECONDS = 1.0
_NO_SECRETS: Mapping[str, str] = {}


class AgentClient:
    """Executor, Target and DataPlane, carried out by the agent of this host.

    Args:
        socket_path: The agent's socket, ``agent/agent.sock`` in the state folder.
        clock: Tells when to stop waiting for an agent that does not answer.
        revive: Called in a thread when nobody listens, to start the agent again, such as
            ``ensure_agent`` with the state folder.
    """

    def __init__(
        self, socket_path: Path, clock: Clock, revive: Callable[[], None] | None = None
    ) -> None:
        self._socket = socket_path.absolute()
        self._clock = clock
        self._revive = revive
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[wire.Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.Task[None] | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def run_job(
        self, action: actions.RunJob, intent: Intent, secrets: Mapping[str, str] = _NO_SECRETS
    ) -> actions.JobDone:
        """Run a job to its end.

        Args:
            action: The job.
            intent: Who asks.
            secrets: Values of the secrets that the job names, by environment variable.
        """
        return await self._act("run_job", action, intent, actions.JobDone, secrets)

    async def cancel_job(self, action: actions.CancelJob, intent: Intent) -> Done:
        """End a job."""
        return await self._act("cancel_job", action, intent, Done)

    async def deploy_replicas(
        self,
        action: actions.DeployReplicas,
        intent: Intent,
        secrets: Mapping[str, str] = _NO_SECRETS,
    ) -> actions.ReplicasReady:
        """Have replicas ready.

        Args:
            action: What to run.
            intent: Who asks.
            secrets: Values of the secrets that the action names, by environment variable.
        """
        return await self._act("deploy_replicas", action, intent, actions.ReplicasReady, secrets)

    async def observe_replicas(
        self, action: actions.ObserveReplicas, intent: Intent
    ) -> actions.ReplicasObserved:
        """Look at replicas."""
        return await self._act("observe_replicas", action, intent, actions.ReplicasObserved)

    async def retire_replicas(self, action: actions.RetireReplicas, intent: Intent) -> Done:
        """Stop replicas."""
        return await self._act("retire_replicas", action, intent, Done)

    async def add_backend(self, action: actions.AddBackend, intent: Intent) -> actions.BackendAdded:
        """Make a version reachable."""
        return await self._act("add_backend", action, intent, actions.BackendAdded)

    async def set_weights(self, action: actions.SetWeights, intent: Intent) -> Done:
        """Share the traffic."""
        return await self._act("set_weights", action, intent, Done)

    async def remove_backend(self, action: actions.RemoveBackend, intent: Intent) -> Done:
        """Drain and forget a version."""
        return await self._act("remove_backend", action, intent, Done)

    async def observe_traffic(
        self, action: actions.ObserveTraffic, intent: Intent
    ) -> actions.TrafficObserved:
        """Read the counts."""
        return await self._act("observe_traffic", action, intent, actions.TrafficObserved)

    async def recent_requests(self, asked: RecentRequests) -> RequestsSeen:
        """Ask for single requests of the gateway that came lately."""
        return await self._call("recent_requests", asked, RequestsSeen)

    async def hello(self) -> wire.Hello:
        """Ask who answers."""
        return await self._call("hello", wire.Nothing(), wire.Hello)

    async def status(self) -> wire.AgentStatus:
        """Ask for everything the agent owns."""
        return await self._call("status", wire.Nothing(), wire.AgentStatus)

    async def tail_log(self, name: str, offset: int = 0, max_bytes: int = 65536) -> wire.LogChunk:
        """Read a log.

        Args:
            name: As in ``JobDone.log`` or ``ReplicaStatus.log``.
            offset: Where to begin, in bytes.
            max_bytes: Read no more than this.

        Raises:
            NotFound: There is no such log.
        """
        params = wire.TailLog(name=name, offset=offset, max_bytes=max_bytes)
        return await self._call("tail_log", params, wire.LogChunk)

    async def shutdown(self) -> None:
        """Have the agent end everything it owns, and itself."""
        await self._call("shutdown", wire.Nothing(), Done)

    async def close(self) -> None:
        """Hang up; the agent goes on."""
        self._revive = None
        self._hang_up(ConnectionResetError())
        tasks = [task for task in (self._reader, self._reviving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _act(
        self,
        method: str,
        action: actions.Action,
        intent: Intent,
        result: type[Result],
        secrets: Mapping[str, str] = _NO_SECRETS,
    ) -> Result:
        return await self._call(method, action, result, intent, secrets)

    async def _call(
        self,
        method: str,
        params: msgspec.Struct,
        result: type[Result],
        intent: Intent | None = None,
        secrets: Mapping[str, str] = _NO_SECRETS,
    ) -> Result:
        """Call until answered, or until nobody has answered for long."""
        encoded = msgspec.Raw(msgspec.json.encode(params))
        while True:
            await self._connect()
            try:
                answer = await self._ask(method, encoded, intent, secrets)
            except ConnectionError:  # Restarted: the same key finds what the lost call began.
                await asyncio.sleep(_FIRST_BACKOFF_SECONDS)
                continue
            if answer.error is not None:
                raise from_code(answer.error.code, answer.error.message, answer.error.hint)
            return msgspec.json.decode(answer.result, type=result)

    async def _ask(
        self,
        method: str,
        params: msgspec.Raw,
        intent: Intent | None,
        secrets: Mapping[str, str],
    ) -> wire.Answer:
        request = wire.Request(
            id=next(self._ids),
            method=method,
            epoch=intent.epoch if intent else None,
            key=intent.key if intent else "",
            params=params,
            secrets=dict(secrets),
        )
        if self._writer is None:
            raise ConnectionResetError
        future: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        try:
            self._writer.write(msgspec.json.encode(request) + b"\n")
            await self._writer.drain()
            return await future
        finally:
            self._pending.pop(request.id, None)

    async def _connect(self) -> None:
        async with self._connecting:
            give_up = self._clock.now() + _PATIENCE_SECONDS
            backoff = _FIRST_BACKOFF_SECONDS
            while self._writer is None and not await self._try_connect():
                if self._clock.now() >= give_up:
                    raise self._silent()
                await self._try_revive()
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _silent(self) -> Unavailable:
        return Unavailable(
            f"the agent does not answer at {self._socket}",
            hint=f"`andon up` starts it; its log: {self._socket.parent / 'agent.log'}",
        )

    async def _try_connect(self) -> bool:
        try:
            with unixsocket.address(self._socket) as where:
                reader, writer = await asyncio.open_unix_connection(
                    where, limit=wire.LINE_LIMIT_BYTES
                )
        except OSError:
            return False
        self._writer = writer
        self._reader = asyncio.create_task(self._read(reader))
        return True

    async def _try_revive(self) -> None:
        if self._revive is not None:
            try:
                await asyncio.to_thread(self._revive)
            except Unavailable:
                pass  # Said by the caller once its patience is over.

    async def _read(self, reader: asyncio.StreamReader) -> None:
        why: Exception = ConnectionResetError()
        try:
            while line := await reader.readline():
                answer = msgspec.json.decode(line, type=wire.Answer)
                future = self._pending.get(answer.id)
                if future is not None and not future.done():
                    future.set_result(answer)
        except OSError:
            pass
        except ValueError as error:  # Asking again would not help.
            why = InternalError(f"the agent's answer cannot be read: {error}")
        finally:
            self._hang_up(why)
        if self._revive is not None:  # At once: nobody may ask for a while.
            self._reviving = asyncio.create_task(self._have_it_back())

    async def _have_it_back(self) -> None:
        try:
            await self._connect()
        except Unavailable:
            pass  # Tried again, and said, by the next call.

    def _hang_up(self, why: Exception) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(why)
