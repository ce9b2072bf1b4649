"""What alerts cost: those of 1,000 Objectives judged anew with their budgets, and what is odd in a series."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.control import NewObject
from andon.api.v1.objectives import ObjectiveSpec, RuleStatus
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.watch import Watch
from andon.calc.anomaly import Detector
from andon.calc.shifts import find_shifts
from andon.ports.store import Tx
from andon.testing.promises import PromiseWorld
from bench.ratio import Ratio

OBJECTIVES = 1000
TURNS = 5
POINTS = 200_000
SERIES = 200
SHIFT_POINTS = 300


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory() as name:
        yield from _watch(Path(name))
    yield from _odd()


def _watch(folder: Path) -> Iterator[Ratio]:
    world = PromiseWorld(folder)
    world.transact(_promised)
    world.live(1800)
    parts = (world.store, world.turns, world.clock)
    watch = Watch(*parts, world.objectives, Budgets(*parts), AlertsSpec())
    asyncio.run(watch.turn())
    if len(watch.judged) < OBJECTIVES:
        raise AssertionError(f"{len(watch.judged)} objectives were judged")
    before = world.store.commits
    began = time.process_time()
    for _ in range(TURNS):
        asyncio.run(watch.turn())
    took = (time.process_time() - began) / TURNS
    if world.store.commits != before:
        raise AssertionError("something was written although nothing changed")
    world.close()
    what = f"alerts and budgets of {len(watch.judged)} objectives, CPU"
    yield Ratio(what, took, 1.0, "s", most=True)


def _promised(tx: Tx) -> None:
    for number in range(OBJECTIVES):
        spec = ObjectiveSpec(service="shop", availability=0.99 + number * 1e-6)
        name = f"objective-{number}"
        new = NewObject(kind="Objective", name=name, spec=spec, status=RuleStatus())
        tx.create(new, f"o-{number:05}", 0.0)
    policy = NewObject(
        kind="BudgetPolicy", name="all", spec=BudgetPolicySpec(), status=RuleStatus()
    )
    tx.create(policy, "policy", 0.0)


def _odd() -> Iterator[Ratio]:
    chance = random.Random(1)
    values = [chance.gauss(100, 5) for _ in range(POINTS)]
    watch = Detector()
    began = time.process_time()
    for value in values:
        watch.see(value)
    seconds = time.process_time() - began
    yield Ratio("values seen by the detector", POINTS / seconds, 50_000, "/s")
    began = time.process_time()
    for start in range(0, SERIES * SHIFT_POINTS, SHIFT_POINTS):
        find_shifts(values[start : start + SHIFT_POINTS])
    each = (time.process_time() - began) / SERIES
    yield Ratio(f"shifts looked for in {SHIFT_POINTS} values", 1000 * each, 5, "ms", most=True)
