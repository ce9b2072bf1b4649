"""What judging promises costs: 1,000 objectives evaluated anew, and all of them told to a page.

The world is real: two hours of what 500 services counted at their gateway, every 15 seconds of the last five
minutes and every other minute before that, in the metric store's own file; two default promises a service. A
turn is what Andon does every 15 seconds: read what was counted since, evaluate every promise over its 30 days
and the last hour, and remember.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.tallies import Tallies
from andon.api.v1.control import NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.records import EnvironmentRecordStatus, Version
from andon.app.parts import controllers
from andon.app.telemetry.objective_desk import ObjectiveDesk
from andon.app.telemetry.objectives import Objectives
from andon.ports.store import Tx
from andon.ports.telemetry import Labels
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import FakeClock
from andon.testing.promises import Gateway
from bench.ratio import Ratio

SERVICES = 500
PAST_STEPS = 60
LIVE_STEPS = 20
TURNS = 5
BEGAN = 1_780_000_200.0
BAR_SECONDS = 1.0


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory() as name:
        yield from _measure(Path(name))


def _measure(folder: Path) -> Iterator[Ratio]:
    clock = FakeClock(BEGAN)
    metrics = MetricChunks(folder, 1_000_000)
    tallies = Tallies(folder / "objectives.db")
    store = open_store(f"sqlite:///{folder}/andon.db", source="/andon/bench")
    gateways = [Gateway(f"service-{number}") for number in range(SERVICES)]
    asyncio.run(store.transact(_deployed))
    _live(clock, metrics, gateways, PAST_STEPS, 120)
    turns = Turns(controllers(), SystemRandomness())
    objectives = Objectives(store, turns, metrics, tallies, clock)
    first = _took(lambda: asyncio.run(objectives.turn()))
    _live(clock, metrics, gateways, LIVE_STEPS, 15)
    asyncio.run(objectives.turn())
    took, processor = [], []
    for _ in range(TURNS):
        _live(clock, metrics, gateways, 1, 15)
        began = _processor()
        took.append(_took(lambda: asyncio.run(objectives.turn())))
        processor.append(_processor() - began)
    count = len(objectives.view.promises)
    states = {one.standing.state for one in objectives.view.promises.values()}
    if count != 2 * SERVICES or "met" not in states:
        raise AssertionError(f"{count} promises, {states}")
    desk = ObjectiveDesk(objectives, tallies, clock)
    board = _took(
        lambda: asyncio.run(desk.board(service="", environment="", sees=lambda place: True))
    )
    for close in (store.close, tallies.close, metrics.close):
        close()
    yield Ratio(f"{count} objectives, counted from two hours of samples", first, 0, "s")
    yield Ratio(
        f"{count} objectives re-evaluated", statistics.median(took), BAR_SECONDS, "s", most=True
    )
    yield Ratio(f"{count} objectives re-evaluated, CPU", statistics.median(processor), 0, "s")
    yield Ratio(f"board of {count} objectives", board, BAR_SECONDS, "s", most=True)


def _took(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _deployed(tx: Tx) -> None:
    version = Version(digest="sha256:" + "a" * 64, config_hash="c" * 12)
    status = EnvironmentRecordStatus(
        services={f"service-{number}": version for number in range(SERVICES)}
    )
    new = NewObject(kind="Environment", name="prod", spec=EnvironmentSpec(), status=status)
    tx.create(new, "environment-prod", BEGAN)


def _live(
    clock: FakeClock, metrics: MetricChunks, gateways: list[Gateway], steps: int, seconds: float
) -> None:
    for _ in range(steps):
        clock.advance(seconds)
        rows: list[tuple[Labels, float]] = []
        for number, gateway in enumerate(gateways):
            gateway.serve(seconds * 10, number % 3 / 4, number % 5)
            rows += gateway.rows()
        metrics.append(round(clock.now() * 1000), rows)
