"""1,000 Environments in sync, and a change in one of them while all are looked at.

Real controllers (Environment, rollout) over the real engine and SQLite store; each Environment has a
service that a finished rollout brought there. Performers answer at once from memory: every replica is
there. *Checked*: from the start of the engine, which wakes all, until every Environment has had its look
(turn, intent, observation, turn). *Acted on*: in the middle of another such round, a rollout is created
in one Environment; until the first effect it asks for, writing the desired state, is performed.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from andon.api.v1.actions import (
    AnyOutcome,
    DesiredWritten,
    Intent,
    ObserveReplicas,
    ReplicasObserved,
    WriteDesired,
)
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.definitions import EnvironmentSpec, Health, Resources, RolloutPolicy, RouteSpec
from andon.api.v1.records import EnvironmentRecordStatus, RolloutPlan, RunSpec, RunStatus, Version
from andon.domains.delivery.controller import RolloutController
from andon.domains.delivery.environment import EnvironmentController
from andon.ports.store import Tx
from bench.line import Line
from bench.ratio import Ratio

ENVIRONMENTS = 1_000
CHECK_SECONDS, ACT_SECONDS = 10.0, 2.0
SERVICE = "shop"
OLD = Version(digest="sha256:" + "a" * 64, config_hash="0" * 12, change="c1")
NEW = Version(digest="sha256:" + "b" * 64, config_hash="0" * 12, change="c2")


class Outside:
    """What performers found and did."""

    def __init__(self) -> None:
        self.looked: set[str] = set()
        self.acted = asyncio.Event()

    async def observe(self, action: ObserveReplicas, intent: Intent) -> AnyOutcome:
        self.looked.add(action.environment)
        return ReplicasObserved(wanted=1, ready=1, restarts=0)

    async def write(self, action: WriteDesired, intent: Intent) -> AnyOutcome:
        self.acted.set()
        return DesiredWritten(commit="0" * 40)

    async def all_looked_at(self) -> None:
        while len(self.looked) < ENVIRONMENTS:
            await asyncio.sleep(0.01)


def rollout(environment: str, version: Version, status: RunStatus) -> NewObject:
    plan = RolloutPlan(
        service=SERVICE,
        environment=environment,
        repository="/repositories/shop",
        sha="0" * 40,
        version=version,
        command=("shop",),
        config={},
        replicas=1,
        health=Health(),
        resources=Resources(),
        drain_seconds=1,
        needs=(),
        requires=(),
        max_age_seconds=3600,
        rollout=RolloutPolicy(),
        route=RouteSpec(service=SERVICE),
    )
    return NewObject(
        kind="Run",
        name=f"{environment}-{version.change}",
        spec=RunSpec(type="rollout", change=version.change, rollout=plan, sequence=1),
        status=status,
        labels={"type": "rollout", "environment": environment, "service": SERVICE},
    )


def in_sync(name: str) -> list[NewObject]:
    done = RunStatus(phase="Succeeded", finished_at=1)
    status = EnvironmentRecordStatus(
        services={SERVICE: OLD}, runs={SERVICE: f"{name}-c1"}, since={SERVICE: 1.0}
    )
    environment = NewObject(
        kind="Environment", name=name, spec=EnvironmentSpec(), status=status, labels={}
    )
    return [rollout(name, OLD, done), environment]


def _wake_all(tx: Tx) -> None:
    for environment in tx.list(Selector(kind="Environment"), limit=ENVIRONMENTS):
        tx.wake("Environment", environment.name, tx.now())


async def _measure(folder: Path) -> tuple[float, float]:
    outside = Outside()
    performers = {ObserveReplicas: outside.observe, WriteDesired: outside.write}
    controllers = [EnvironmentController(), RolloutController()]
    line = Line(folder / "a.db", controllers, performers)
    names = [f"env-{number}" for number in range(ENVIRONMENTS)]
    await line.create(*(new for name in names for new in in_sync(name)))
    started = time.perf_counter()
    async with line:
        await outside.all_looked_at()
        checked = time.perf_counter() - started
        outside.looked.clear()
        await line.store.transact(_wake_all)
        started = time.perf_counter()
        await line.create(rollout("env-500", NEW, RunStatus()))
        await outside.acted.wait()
        acted = time.perf_counter() - started
    return checked, acted


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        checked, acted = asyncio.run(_measure(Path(folder)))
    yield Ratio(f"{ENVIRONMENTS:,} checked", checked, CHECK_SECONDS, "s", most=True)
    yield Ratio("a change among them acted on", acted, ACT_SECONDS, "s", most=True)
