"""What keeps metrics going: who is asked for them, how often, and upkeep of what they said."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from andon.adapters.agentclient import AgentClient
from andon.adapters.agentclient.wire import AgentStatus, ReplicaStatus
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.metrics.upkeep import Upkeep
from andon.adapters.telemetry.scrape import host
from andon.adapters.telemetry.scrape.fetch import fetch
from andon.adapters.telemetry.scrape.target import Target
from andon.api.v1.actions import Intent, ObserveTraffic
from andon.api.v1.telemetry import MetricsSpec, ScrapeTarget
from andon.app.telemetry.gateway import FAMILIES, GatewayCounters
from andon.app.work.metrics import exposition
from andon.calc.relabel import rules_of
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, Unavailable
from andon.ports.store import Store
from andon.ports.telemetry import Labels

UPKEEP_SECONDS = 300
SERVICE_TIMEOUT_SECONDS = 10.0
SERVICE_SAMPLES = 20_000
AT_ONCE = 8
GATEWAY_NOTE = "gateway"
NOBODY = Intent(key="", epoch=0)
"""Who only looks needs no epoch."""

Loop = Callable[[], Awaitable[None]]
_log = logging.getLogger("andon.telemetry")


async def ticks(clock: Clock, seconds: float) -> AsyncIterator[int]:
    """Yield moments, in milliseconds, that are whole intervals apart; those that pass meanwhile are left out.

    Samples of regular times cost next to nothing to keep, and what is asked at the same moment compares.
    """
    last, told = 0, False
    while True:
        due = (clock.now() // seconds + 1) * seconds
        await asyncio.sleep(due - clock.now())
        moment = round(clock.now() // seconds * seconds * 1000)
        if moment > last:
            last, told = moment, False
            yield moment
        elif not told and moment < last - 1000 * seconds:
            told = True
            _log.warning("the clock went back: nothing is told until it has caught up")


def metrics_upkeep(store: MetricChunks, spec: MetricsSpec, clock: Clock) -> Loop:
    """Return the loop that seals, thins and forgets samples."""
    upkeep = Upkeep(store, keep_days=spec.keep_days, max_bytes=spec.max_bytes)

    async def loop() -> None:
        while True:
            await asyncio.to_thread(upkeep.run, int(clock.now() * 1000))
            await asyncio.sleep(UPKEEP_SECONDS)

    return loop


class Endpoint(Struct, frozen=True):
    """Where somebody tells metrics.

    Args:
        url: The address.
        labels: What every series of it has.
    """

    url: str
    labels: tuple[tuple[str, str], ...]


class Collectors:
    """Everything that is asked for metrics.

    Args:
        metrics: Where samples go.
        store: The control plane's: what Andon tells of itself.
        agent: Tells of replicas and of the gateway.
        spec: How often, and who else.
        clock: The time.
        folder: Its file system is told.
    """

    def __init__(
        self,
        metrics: MetricChunks,
        store: Store,
        agent: AgentClient,
        spec: MetricsSpec,
        clock: Clock,
        folder: Path,
    ) -> None:
        self._metrics, self._store, self._agent = metrics, store, agent
        self._spec, self._clock, self._folder = spec, clock, folder
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="scrape")
        self._replicas: dict[Endpoint, Target] = {}
        self._told: dict[str, str] = {}

    def loops(self) -> dict[str, Loop]:
        """Return what goes on, by name."""
        found: dict[str, Loop] = {
            "metrics of the gateway": self.watch_gateway,
            "metrics of services": self.watch_services,
            "metrics of this machine": self.watch_machine,
        }
        for number, target in enumerate(self._spec.targets):
            found[f"metrics of {target.job} ({number})"] = self._target_loop(target)
        return found

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- gateway --------------------------------------------------------------------------------------

    async def watch_gateway(self) -> None:
        """Write the gateway's counts, again and again."""
        interval = self._spec.interval_seconds
        memory = await asyncio.to_thread(self._metrics.noted, GATEWAY_NOTE)
        counters = GatewayCounters(self._metrics, round(interval * 1000), memory)
        await asyncio.to_thread(self._metrics.describe, FAMILIES)
        async for at_ms in ticks(self._clock, interval):
            if await self._looked("the gateway", self._look_at_gateway(counters, at_ms)):
                await asyncio.to_thread(self._metrics.note, GATEWAY_NOTE, counters.remembered())

    async def _look_at_gateway(self, counters: GatewayCounters, at_ms: int) -> None:
        status = await self._agent.status()
        for front in status.gateway.get("services", ()):
            action = ObserveTraffic(environment=front["environment"], service=front["service"])
            seen = await self._agent.observe_traffic(action, NOBODY)
            await asyncio.to_thread(counters.take, action.environment, action.service, seen, at_ms)
        counters.looked(at_ms)

    # --- services -------------------------------------------------------------------------------------

    async def watch_services(self) -> None:
        """Scrape every replica of services that tell metrics, again and again."""
        async for at_ms in ticks(self._clock, self._spec.interval_seconds):
            await self._looked("the services", self._scrape_replicas(at_ms))

    async def _scrape_replicas(self, at_ms: int) -> None:
        status = await self._agent.status()
        await self._in_thread(self._note_replicas, status, at_ms)
        there = endpoints_of(status)
        for gone in set(self._replicas) - set(there):
            await self._in_thread(self._replicas.pop(gone).leave, at_ms)
        for one in there:
            if one not in self._replicas:
                self._replicas[one] = Target(
                    self._metrics, dict(one.labels), sample_limit=SERVICE_SAMPLES
                )
        await asyncio.gather(
            *(
                self._scrape(target, one.url, SERVICE_TIMEOUT_SECONDS, at_ms)
                for one, target in self._replicas.items()
            )
        )

    def _note_replicas(self, status: AgentStatus, at_ms: int) -> None:
        rows = [
            row
            for replica in status.replicas
            if replica.pid is not None
            for row in host.process(replica.pid, {"job": "replicas", **place_of(replica)})
        ]
        self._metrics.append(at_ms, rows)

    # --- targets --------------------------------------------------------------------------------------

    def _target_loop(self, told: ScrapeTarget) -> Loop:
        instance = told.url.partition("://")[2].partition("/")[0]
        labels = {"job": told.job, "instance": instance, **told.labels}
        target = Target(self._metrics, labels, rules_of(told.relabel), told.sample_limit)
        timeout = min(told.timeout_seconds, told.interval_seconds)

        async def loop() -> None:
            async for at_ms in ticks(self._clock, told.interval_seconds):
                await self._scrape(target, told.url, timeout, at_ms)

        return loop

    async def _scrape(self, target: Target, url: str, timeout: float, at_ms: int) -> None:
        await self._looked(url, self._in_thread(self._take, target, url, timeout, at_ms))

    def _take(self, target: Target, url: str, timeout: float, at_ms: int) -> None:
        try:
            answer = fetch(url, timeout)
        except AndonError:
            target.fail(at_ms, timeout)
            raise
        kept = target.take(answer.text, at_ms, answer.seconds, open_metrics=answer.open_metrics)
        if kept.refused:
            raise Unavailable(
                f"{kept.refused} series are too many and not kept",
                hint="telemetry.metrics.maxSeries, or relabel rules that drop some",
            )
        if kept.late:
            raise Unavailable(
                f"{kept.late} samples are older than what is known: the clock was ahead before",
                hint="it mends itself once the time is past that",
            )

    # --- this machine ---------------------------------------------------------------------------------

    async def watch_machine(self) -> None:
        """Write what this machine and Andon itself do, again and again."""
        await asyncio.to_thread(self._metrics.describe, host.FAMILIES)
        instance = platform.node() or "localhost"
        own = Target(self._metrics, {"job": "andon", "instance": instance})
        async for at_ms in ticks(self._clock, self._spec.interval_seconds):
            await self._looked("this machine", self._note_machine(own, instance, at_ms))

    async def _note_machine(self, own: Target, instance: str, at_ms: int) -> None:
        began = self._clock.now()
        text = await self._store.read(exposition)
        await self._in_thread(own.take, text, at_ms, self._clock.now() - began)
        await self._in_thread(self._append_machine, instance, at_ms)

    def _append_machine(self, instance: str, at_ms: int) -> None:
        place = {"instance": instance}
        rows = host.machine({"job": "node", **place}, [self._folder])
        own = {"job": "andon", **place}
        rows += host.process(os.getpid(), own)
        kept = {
            "andon_metrics_series": len(self._metrics.live),
            "andon_metrics_file_bytes": self._metrics.database.used_bytes(),
            "andon_metrics_damaged_rows": self._metrics.damaged,
        }
        rows += [(_named(name, own), float(value)) for name, value in kept.items()]
        self._metrics.append(at_ms, rows)

    # --- within ---------------------------------------------------------------------------------------

    async def _in_thread(self, do: Callable[..., object], *told: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, do, *told)

    async def _looked(self, what: str, look: Awaitable[None]) -> bool:
        """Say whether a look went well; why not is told once, until it goes well again."""
        try:
            await look
        except AndonError as error:
            if self._told.get(what) != error.message:
                self._told[what] = error.message
                _log.warning("metrics of %s are unknown: %s", what, error)
            return False
        if self._told.pop(what, None):
            _log.info("metrics of %s are told again", what)
        return True


def _named(name: str, labels: Mapping[str, str]) -> Labels:
    return tuple(sorted({**labels, "__name__": name}.items()))


def place_of(replica: ReplicaStatus) -> Mapping[str, str]:
    """Return the labels that say which replica is meant."""
    return {
        "environment": replica.environment,
        "service": replica.service,
        "version": replica.version,
        "replica": str(replica.index),
    }


def endpoints_of(status: AgentStatus) -> list[Endpoint]:
    """Return where replicas that run tell metrics."""
    return list(_endpoints(status.replicas))


def _endpoints(replicas: Iterable[ReplicaStatus]) -> Iterable[Endpoint]:
    for one in replicas:
        if one.metrics is not None and one.pid is not None:
            where = f"127.0.0.1:{one.metrics.port or one.port}"
            labels = {"job": one.service, "instance": where, **place_of(one)}
            yield Endpoint(f"http://{where}{one.metrics.path}", tuple(sorted(labels.items())))
