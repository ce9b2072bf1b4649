"""The embedded data plane: one HAProxy, driven at run time, that outlives whoever drives it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from andon.adapters.haproxy.accounts import Accounts
from andon.adapters.haproxy.binary import HAProxyBinary, find_haproxy
from andon.adapters.haproxy.departed import Departed
from andon.adapters.haproxy.model import Front, Model, load_model, save_model, write_durably
from andon.adapters.haproxy.ports import Reservations
from andon.adapters.haproxy.process import CONFIG, MASTER, MasterProcess
from andon.adapters.haproxy.render import (
    backend_name,
    map_path,
    render_config,
    render_map,
    socket_name,
)
from andon.adapters.haproxy.slots import weights_of
from andon.adapters.haproxy.workers import Fleet, SocketFolder, Worker
from andon.api.v1.actions import (
    AddBackend,
    BackendAdded,
    Done,
    Intent,
    ObserveTraffic,
    RemoveBackend,
    SetWeights,
    TrafficObserved,
)
from andon.api.v1.definitions import RouteSpec
from andon.api.v1.requests import RecentRequests, RequestsSeen
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, InternalError, NotFound, Unavailable, UsageError

_READY_SECONDS = 10.0
_POLL_SECONDS = 0.02
_TEND_SECONDS = 0.1
_RETRY_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
_NO_STATES = b"1\n"
_T = TypeVar("_T")


class HAProxyGateway:
    """Shares traffic between versions and counts it, twice.

    Args:
        state: State folder; everything of the gateway is kept in its subfolder ``gateway``.
        clock: Tells the time of observations and the windows of clients.
        find: Chooses the HAProxy to run.
    """

    def __init__(
        self, state: Path, clock: Clock, find: Callable[[], HAProxyBinary] = find_haproxy
    ) -> None:
        self._folder = (state / "gateway").absolute()
        self._clock, self._find = clock, find
        self._fleet, self._reservations = Fleet(), Reservations()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._serving = False
        self._trouble = ""
        self._departed = Departed(clock)
        self._model: Model
        self._master: MasterProcess
        self._sockets: SocketFolder
        self._accounts: Accounts

    async def open(self) -> None:
        """Take over the HAProxy that is running, or start it.

        Raises:
            Unavailable: There is no HAProxy, or it cannot start; the message says why.
        """
        binary = self._find()
        (self._folder / "maps").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sockets = SocketFolder(self._folder)
        self._master = MasterProcess(self._folder, binary, self._died)
        model = load_model(self._folder / "model.json") or Model(token=secrets.token_hex(16))
        self._accounts = Accounts(model.token, self._clock, self._fleet)
        try:
            self._remember(replace(model, log_port=self._accounts.listen(model.log_port)))
            if not (self._master.adopt() and await self._adopted()):
                await self._start()
            await self._accounts.begin_anew()
        except BaseException:
            self._accounts.close()
            self._reservations.release()
            raise
        self._serving = True
        self._spawn(self._tend())

    async def close(self, stop: bool) -> None:
        """Let go of HAProxy.

        Args:
            stop: Also end it; otherwise it goes on serving.
        """
        self._serving = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if stop:
            await self._master.stop()
        self._master.let_go()
        self._accounts.close()
        self._fleet.drop()
        self._reservations.release()
        self._sockets.close()
        await asyncio.sleep(0)  # lets the connections close

    def status(self) -> dict[str, Any]:
        """Describe the gateway for people and programs."""
        return {
            "pid": self._master.pid,
            "version": ".".join(str(part) for part in self._master.binary.version),
            "binary": str(self._master.binary.path),
            "generation": self._model.generation,
            "workersLeaving": len(self._fleet.leaving),
            "source": self._accounts.source,
            "message": self._trouble,
            "services": [_describe(front) for _, front in sorted(self._model.fronts.items())],
        }

    def port_of(self, environment: str, service: str, wanted: int | None = None) -> int:
        """Return a service's port on 127.0.0.1; reserved at the first call, kept for ever.

        Args:
            environment: Name.
            service: Name.
            wanted: A port a person chose; moves the service there if it had another one.

        Raises:
            Unavailable: The wanted port is taken.
        """
        front = self._model.fronts.get(f"{environment}.{service}")
        if front and wanted in (None, front.port):
            return front.port
        purpose = f"service {service} in environment {environment}"
        others = {other.port: other for other in self._model.fronts.values() if other is not front}
        if wanted in others:
            owner = others[wanted]
            raise Unavailable(
                f"Port {wanted} of 127.0.0.1 cannot be used for {purpose}: it belongs to service "
                f"{owner.service} in environment {owner.environment}.",
                hint=f"choose another port for {environment} in the Route's listen",
            )
        if wanted is not None:
            self._reservations.take(wanted, purpose)
        seed = f"{self._folder}/{environment}/{service}"
        port = wanted or self._reservations.take_any(seed, purpose, set(others))
        fresh = front or Front(
            environment=environment, service=service, port=0, route=RouteSpec(service=service)
        )
        self._remember(self._model.with_front(replace(fresh, port=port)))
        return port

    async def add_backend(self, action: AddBackend, intent: Intent) -> BackendAdded:
        """Make a version reachable: at weight 0, or with all traffic if it is the only one."""
        return await self._to_the_end(self._add(action))

    async def _add(self, action: AddBackend) -> BackendAdded:
        async with self._lock:
            wanted = action.route.listen.get(action.environment)
            port = self.port_of(action.environment, action.service, wanted)
            front = self._front(action.environment, action.service).with_backend(action)
            await self._apply(front)
        return BackendAdded(address=f"http://127.0.0.1:{port}")

    async def set_weights(self, action: SetWeights, intent: Intent) -> Done:
        """Share the traffic: on disk first, then in every worker, without a reload."""
        return await self._to_the_end(self._share(action))

    async def _share(self, action: SetWeights) -> Done:
        async with self._lock:
            front = self._front(action.environment, action.service)
            unknown = sorted(set(action.weights) - set(front.backends))
            if unknown:
                raise NotFound(
                    f"Weights for {front.name} name {', '.join(unknown)}, which is not behind the "
                    f"gateway; {', '.join(front.backends) or 'no version'} is.",
                    hint="andon status",
                )
            if len(front.backends) > 1 and not any(
                weight > 0 for weight in action.weights.values()
            ):
                raise UsageError(f"The weights for {front.name} leave no version any traffic.")
            await self._weigh(front.weighted(action.weights))
        return Done()

    async def remove_backend(self, action: RemoveBackend, intent: Intent) -> Done:
        """Send a version nothing more, wait for what it is doing, and forget it."""
        return await self._to_the_end(self._remove(action))

    async def _remove(self, action: RemoveBackend) -> Done:
        key = action.version.key
        name = f"{action.environment}.{action.service}"
        async with self._lock:
            front = self._model.fronts.get(name)
            if front is None or key not in front.backends:
                return Done()
            await self._weigh(front.without(key))
        await self._drained(name, key, action.drain_seconds)
        async with self._lock:
            front = self._model.fronts[name].forgetting(key)
            backend = backend_name(front, key)
            last = await self._accounts.read([backend])
            self._departed.note(front, key, last.source, last.counts[backend])
            await self._apply(front)
            await self._accounts.forget(backend)
        return Done()

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        """Read both counts of a service's versions."""
        front = self._front(action.environment, action.service)
        names = {backend_name(front, key): key for key in front.backends}
        reading = await self._accounts.read(list(names))
        return TrafficObserved(
            at=self._clock.now(),
            source=reading.source,
            versions={
                **self._departed.of(front, reading.source),
                **{names[name]: counts for name, counts in reading.counts.items()},
            },
            consistent=not reading.disputes,
            message="; ".join(reading.disputes),
        )

    async def recent_requests(self, asked: RecentRequests, intent: Intent) -> RequestsSeen:
        """Return requests that came since the last answer."""
        return self._accounts.recent.since(asked.source, asked.after)

    def _front(self, environment: str, service: str) -> Front:
        try:
            return self._model.fronts[f"{environment}.{service}"]
        except KeyError:
            raise NotFound(
                f"The gateway knows no service {service} in environment {environment}.",
                hint="andon status",
            ) from None

    def _remember(self, model: Model) -> None:
        """Make the model durable, and the maps with it."""
        before = getattr(self, "_model", Model(token=""))
        self._model = model
        save_model(self._folder / "model.json", model)
        for name, front in model.fronts.items():
            path = self._folder / map_path(front)
            if not path.exists() or before.fronts.get(name) != front:
                write_durably(path, render_map(front).encode())

    async def _weigh(self, front: Front) -> None:
        self._remember(self._model.with_front(front))
        await self._fleet.set_map(front)

    async def _apply(self, front: Front) -> None:
        """Have HAProxy run with a frontend as it should be; reload it if it does not yet."""
        before, model = self._model, self._model.with_front(front)
        if render_config(model) == (self._folder / CONFIG).read_text():
            await self._weigh(front)
            return
        try:
            await self._reload(model)
        except (AndonError, OSError):
            self._remember(replace(before, generation=self._model.generation))
            raise
        for worker in self._fleet.leaving:
            with contextlib.suppress(Unavailable):
                await worker.set_map(front)

    async def _reload(self, model: Model) -> None:
        """Put new workers in charge; the former ones finish what they have begun."""
        self._remember(replace(model, generation=self._model.generation + 1))
        await self._master.install(render_config(self._model))
        if self._fleet.current:
            states = await self._fleet.current.ask("show servers state")
            (self._folder / "servers.state").write_text(states + "\n")
        self._reservations.release()
        answer = await self._sockets.reload(MASTER)
        if "Success=0" in answer:
            raise InternalError(f"HAProxy refused to reload: {answer}")
        self._fleet.hand_over(await self._worker())

    async def _start(self) -> None:
        for front in self._model.fronts.values():
            purpose = f"service {front.service} in environment {front.environment}"
            self._reservations.take(front.port, purpose)
        for stale in self._folder.glob("*.sock"):
            stale.unlink(missing_ok=True)
        (self._folder / "servers.state").write_bytes(_NO_STATES)
        await self._master.install(render_config(self._model))
        self._reservations.release()
        self._master.start()
        self._fleet.hand_over(await self._worker())

    async def _adopted(self) -> bool:
        """Go on with the HAProxy that an earlier agent left running; end it if it is deaf."""
        try:
            await self._adopt()
        except (AndonError, OSError):
            await self._master.stop()
            self._fleet.drop()
            return False
        return True

    async def _adopt(self) -> None:
        for front in self._model.fronts.values():
            with contextlib.suppress(Unavailable):  # those that HAProxy listens on already
                self._reservations.take(front.port, front.name)
        running = (self._folder / CONFIG).read_text() == render_config(self._model)
        try:
            self._fleet.hand_over(await self._sockets.worker(socket_name(self._model.generation)))
        except (OSError, Unavailable):
            running = False
        if not running:
            await self._reload(self._model)
        if not self._fleet.leaving:
            self._fleet.strangers = await self._sockets.leaving(MASTER)
        for front in self._model.fronts.values():
            await self._fleet.set_map(front)

    async def _worker(self) -> Worker:
        """Wait for the worker that runs the current generation."""
        name = socket_name(self._model.generation)
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while self._master.pid and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(OSError, Unavailable):
                return await self._sockets.worker(name)
            await asyncio.sleep(_POLL_SECONDS)
        raise Unavailable(f"HAProxy did not come up: {self._master.last_words()}")

    async def _drained(self, name: str, version: str, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            front = self._model.fronts[name]
            if await self._fleet.idle(front, backend_name(front, version)):
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _to_the_end(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Carry a change out even if whoever asked for it goes away."""
        return await asyncio.shield(self._spawn(work))

    async def _tend(self) -> None:
        """Look after workers that leave."""
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            if self._fleet.leaving:
                await self._fleet.tend()
            if self._serving and self._fleet.current and self._fleet.current.closed:
                await self._reconnect()

    async def _reconnect(self) -> None:
        """Talk to the worker in charge again, after an answer that took too long."""
        async with self._lock:
            with contextlib.suppress(OSError, Unavailable):
                worker = await self._sockets.worker(socket_name(self._model.generation))
                self._fleet.current = worker

    def _died(self) -> None:
        if self._serving:
            self._serving = False
            self._spawn(self._heal())

    async def _heal(self) -> None:
        """Start HAProxy again with what is on disk, however often it takes."""
        self._trouble = f"HAProxy ended unexpectedly: {self._master.last_words()}"
        async with self._lock:
            attempt = 0
            while not await self._restarted():
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
            self._serving, self._trouble = True, ""

    async def _restarted(self) -> bool:
        self._fleet.drop()
        self._master.kill_remains()
        try:
            await self._start()
            await self._accounts.begin_anew()
        except (AndonError, OSError) as error:
            self._trouble = f"HAProxy cannot be restarted: {error}"
            return False
        return True


def _describe(front: Front) -> dict[str, Any]:
    slots = weights_of(front.spans)
    return {
        "environment": front.environment,
        "service": front.service,
        "address": f"http://127.0.0.1:{front.port}",
        "weights": {key: slots.get(key, 0) / 100 for key in front.backends},
    }
