"""What 10,000 waiting Runs cost a control plane at rest: processor time over the time it rests.

A real engine over a real SQLite store with 10,000 Runs, all of which have had their turn and wait: each
task is due between one hour and ten days ahead. All threads count, the worker's heartbeat too.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from andon.api.v1.control import Decision, NewObject, Selector, View
from andon.api.v1.records import Object, RunSpec, RunStatus
from bench.line import Line
from bench.ratio import Ratio

RUNS = 10_000
REST_SECONDS = 20.0
BAR_PERCENT = 1.0


class Patient:
    """Has every Run wait, each for a time of its own."""

    kind = "Run"

    def select(self, obj: Object) -> dict[str, Selector]:
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        return Decision(wake=now + 3600 + view.object.spec.sequence * 86)


def waiting(number: int) -> NewObject:
    spec = RunSpec(type="rollout", change="c", sequence=number)
    return NewObject(kind="Run", name=f"run-{number}", spec=spec, status=RunStatus(phase="Waiting"))


async def _measure(folder: Path) -> float:
    async with Line(folder / "a.db", [Patient()], {}) as line:
        await line.create(*(waiting(number) for number in range(RUNS)))
        await line.until(lambda tx: (tx.next_due() or 0) > tx.now() + 60)
        spent = time.process_time()
        await asyncio.sleep(REST_SECONDS)
        return (time.process_time() - spent) / REST_SECONDS


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        share = asyncio.run(_measure(Path(folder)))
    yield Ratio(f"{RUNS:,} waiting Runs, of a core", share * 100, BAR_PERCENT, "%", most=True)
