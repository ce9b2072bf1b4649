"""The room of all telemetry: its stores, who fills them, and what goes on round the clock.

Nothing in here can harm what controls: it has files of its own (``telemetry/`` of the state folder), and
a loop that fails is told, and tried again, without ending anything else.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct, structs

from andon.adapters.agentclient import AgentClient
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.tallies import Tallies
from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.telemetry import TelemetrySpec
from andon.app.events.sinks import guard_of
from andon.app.parts import Parts
from andon.app.settings import Settings
from andon.app.telemetry.asking import Asked, open_asked
from andon.app.telemetry.beacon import Beacon
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.checks import Checks, open_checks
from andon.app.telemetry.failures import Failures
from andon.app.telemetry.indicators import asking_values
from andon.app.telemetry.intake import Intake
from andon.app.telemetry.logs import Logs
from andon.app.telemetry.metrics import Collectors, metrics_upkeep
from andon.app.telemetry.objectives import Objectives
from andon.app.telemetry.questions import Questions
from andon.app.telemetry.runs import telling_requests, telling_runs
from andon.app.telemetry.security import Security, Together
from andon.app.telemetry.settling import settling
from andon.app.telemetry.watch import Watch
from andon.domains.reliability.routing import check_settings
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable
from andon.ports.store import Store
from andon.runtime.singleton import Guard, Singleton
from andon.runtime.worker import Pace

FOLDER = "telemetry"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

Loop = Callable[[], Awaitable[None]]
Pause = Callable[[float], Awaitable[None]]

_log = logging.getLogger("andon.telemetry")


class Telemetry(Struct, frozen=True, kw_only=True):
    """Everything that sees.

    Args:
        folder: Where it keeps its files.
        spec: What it was told.
        metrics: Samples.
        asked: Who answers questions about metrics.
        checks: What is asked of running systems.
        logs: Log lines.
        traces: Spans.
        objectives: What was promised, and how it stands.
        watch: Alerts of objectives.
        budgets: What services may still do.
        intake: What services tell of themselves.
        beacon: What browsers of real users tell; None: nobody is asked.
        clock: The time.
        loops: What goes on round the clock, by name, on one worker.
        here: What goes on at each worker: with what was told to it, in files of its own.
        close: Called at the end.
    """

    folder: Path
    spec: TelemetrySpec
    metrics: MetricChunks
    asked: Asked
    checks: Checks
    logs: Logs
    traces: SpanStore
    objectives: Objectives
    watch: Watch
    budgets: Budgets
    intake: Intake
    beacon: Beacon | None = None
    clock: Clock
    loops: dict[str, Loop] = {}
    here: dict[str, Loop] = {}
    close: tuple[Callable[[], None], ...] = ()


def open_telemetry(settings: Settings, state: Path, store: Store, parts: Parts) -> Telemetry:
    """Open the stores; nothing goes on yet.

    Where their folder cannot be used, its disk being full, they lie in a temporary one until the next start:
    control does not wait for telemetry, and what is not known reads as unknown.
    """
    folder = state / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return _open(settings, state, folder, store, parts)
    except (Unavailable, OSError) as error:
        aside = tempfile.TemporaryDirectory(prefix="andon-telemetry-", ignore_cleanup_errors=True)
        _log.error(
            "telemetry cannot be opened, and lies in %s until the next start; what was seen before is "
            "unknown until then: %s",
            aside.name,
            error,
        )
    found = _open(settings, state, Path(aside.name), store, parts)
    return structs.replace(found, close=(*found.close, aside.cleanup))


def _open(settings: Settings, state: Path, folder: Path, store: Store, parts: Parts) -> Telemetry:
    spec = settings.installation.telemetry
    now_ms = int(parts.clock.now() * 1000)
    metrics = MetricChunks(folder, spec.metrics.max_series, now_ms)
    collectors = Collectors(metrics, store, parts.agent, spec.metrics, parts.clock, state)
    parts.business.metrics = metrics
    guard = guard_of(settings.allow_internal, settings.installation)
    asked = open_asked(metrics, spec.metrics, guard, parts.clock)
    checks, results = open_checks(folder, store, metrics, parts.agent, guard, parts.clock)
    logs = Logs(folder, state, spec.logs, store, metrics, parts.clock)
    rules = Path(spec.logs.sigma) if spec.logs.sigma else None
    security = Security(store, parts.turns, parts.clock, rules)
    logs.lines.listeners.append(security)
    traces = SpanStore(
        folder / "traces.db",
        keep_days=spec.traces.keep_days,
        max_bytes=spec.traces.max_bytes,
    )
    tallies = Tallies(folder / "objectives.db")
    objectives = Objectives(
        *(store, parts.turns, metrics, tallies, parts.clock),
        asking_values(asked.store),
        spec.metrics.interval_seconds,
        logs.counts.split,
    )
    beacon = Beacon(spec.beacon, metrics, logs.lines, spec.metrics.interval_seconds, parts.clock)
    check_settings(spec.alerts, mail=settings.installation.mail is not None)
    budgets = Budgets(store, parts.turns, parts.clock)
    watch = Watch(
        *(store, parts.turns, parts.clock, objectives, budgets, spec.alerts),
        asker=Together(security, *([Questions(asked.store)] if spec.alerts.questions else [])),
    )
    found = Telemetry(
        folder=folder,
        spec=spec,
        clock=parts.clock,
        metrics=metrics,
        asked=asked,
        checks=checks,
        logs=logs,
        traces=traces,
        objectives=objectives,
        watch=watch,
        budgets=budgets,
        intake=Intake(metrics, logs.lines, traces, parts.clock),
        beacon=beacon if spec.beacon.origins else None,
        close=tuple(one.close for one in (collectors, tallies, metrics, results, logs, traces)),
    )
    shared = {**collectors.loops(), "own traces": telling_runs(store, traces)}
    loops = {**shared, **_loops(found, security, parts.agent)}
    return structs.replace(found, loops=loops, here=_here(found, parts.agent))


def _loops(found: Telemetry, security: Security, agent: AgentClient) -> dict[str, Loop]:
    """Return what goes on at one worker for all."""
    told = Failures(agent.recent_requests, found.logs.lines, security.hear_requests)
    return {
        "metrics upkeep": metrics_upkeep(found.metrics, found.spec.metrics, found.clock),
        **({"recording rules": found.asked.recorder.run} if found.asked.recorder.progress else {}),
        "checks": found.checks.run,
        **found.logs.loops,
        "gateway log": told.run,
        "objectives": found.objectives.run,
        "alerts": found.watch.run,
    }


def _here(found: Telemetry, agent: AgentClient) -> dict[str, Loop]:
    """Return what goes on at each worker."""
    spec, traces, clock = found.spec, found.traces, found.clock
    each = spec.metrics.interval_seconds
    return {
        "traces": settling(traces, found.metrics, spec.traces, each, clock),
        "traces of the gateway": telling_requests(agent, traces, clock),
        **({"beacon": found.beacon.run} if found.beacon else {}),
    }


async def keep_going(name: str, loop: Loop, pause: Pause = asyncio.sleep) -> None:
    """Run a loop again and again, whatever becomes of it, until cancelled.

    Args:
        name: What the log calls it.
        loop: It should go on until cancelled.
        pause: Waits so many seconds.
    """
    seconds = FIRST_PAUSE_SECONDS
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await loop()
        except Exception as error:
            if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_SECONDS:
                seconds = FIRST_PAUSE_SECONDS
            _log.error(
                "%s failed, again in %g s: %s", name, seconds, error, exc_info=not str(error)
            )
        await pause(seconds)
        seconds = min(2 * seconds, LONGEST_PAUSE_SECONDS)


async def watching(telemetry: Telemetry, settings: Settings, store: Store, worker: str) -> None:
    """Have everything go on, most of it on the one worker that holds the lease, until cancelled."""

    async def work(guard: Guard) -> None:
        async with asyncio.TaskGroup() as group:
            for name, loop in telemetry.loops.items():
                group.create_task(keep_going(name, loop))
            await asyncio.Event().wait()

    try:
        async with asyncio.TaskGroup() as group:
            for name, loop in telemetry.here.items():
                group.create_task(keep_going(name, loop))
            await Singleton(store, "telemetry", worker, Pace(settings.lease_seconds), work).run()
    finally:
        for close in telemetry.close:
            close()
