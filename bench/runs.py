"""A step of a Run of 5,000 against one of a Run of 50: a turn must not cost what the whole Run is.

Real BuildController, engine and SQLite store, with all it does for a job: two step rows, the intent,
the outcome, the event in the ledger. Jobs end at once. Two shapes: a chain, in which each job needs the
one before; and a wide Run, whose jobs need nothing, so that as many as may are under way. Small and
large Runs alternate; each side counts its median. The ratio is of processor time, of all threads: the
wait for the disk is the same for both, and what else the machine does is not the Run's cost. Times by
the clock are told beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from andon.api.v1.actions import Intent, JobDone, RunJob
from andon.api.v1.control import NewObject
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import RunSpec, RunStatus
from andon.domains.pipelines.controller import BuildController
from bench.line import Cost, Line
from bench.ratio import Ratio

SMALL, LARGE = 50, 5_000
ROUNDS = 2
SMALL_RUNS = 10
BAR = 1.3


async def pass_at_once(action: RunJob, intent: Intent) -> JobDone:
    return JobDone(state="passed", exit_code=0)


def build(name: str, steps: int, *, chain: bool) -> NewObject:
    jobs = tuple(
        JobPlan(
            name=f"job-{n}",
            run="make",
            needs=(f"job-{n - 1}",) if chain and n else (),
            evidence=f"job-{n}",
        )
        for n in range(steps)
    )
    plan = BuildPlan(repository="/repositories/shop", sha="0" * 40, jobs=jobs, packs=())
    return NewObject(
        kind="Run",
        name=name,
        spec=RunSpec(type="build", change="shop-1", build=plan),
        status=RunStatus(),
        labels={"type": "build"},
    )


async def _measure(folder: Path, *, chain: bool) -> tuple[Cost, Cost]:
    """Return what a step costs in a small and in a large Run."""
    small, large = [], []
    async with Line(folder / "a.db", [BuildController()], {RunJob: pass_at_once}) as line:
        await line.run(build("warm", SMALL, chain=chain))
        for n in range(ROUNDS):
            for m in range(SMALL_RUNS):
                small.append(await line.run(build(f"small-{n}-{m}", SMALL, chain=chain)))
            large.append(await line.run(build(f"large-{n}", LARGE, chain=chain)))
    return _of_a_step(small, SMALL), _of_a_step(large, LARGE)


def _of_a_step(costs: list[Cost], steps: int) -> Cost:
    wall, processor = (statistics.median(kind) / steps for kind in zip(*costs, strict=True))
    return Cost(wall, processor)


def measure() -> Iterator[Ratio]:
    for chain, shape in ((True, "chain"), (False, "wide")):
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            small, large = asyncio.run(_measure(Path(folder), chain=chain))
        yield Ratio(f"{shape}, a step of {SMALL}, by the clock", small.wall * 1000, 0, "ms")
        yield Ratio(f"{shape}, a step of {LARGE}, by the clock", large.wall * 1000, 0, "ms")
        ratio = large.processor / small.processor
        yield Ratio(f"{shape}, a step of {LARGE} / of {SMALL}, processor", ratio, BAR, most=True)
