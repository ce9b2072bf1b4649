"""What one step costs: ours against a DBOS step, on the same SQLite settings, in the same run.

Both run flows of ``STEPS`` steps, one after another, whose work is to return at once; one worker,
nothing else to do. Both write to files in the same folder, in WAL mode at synchronous FULL. Rounds
alternate; the medians by the clock are compared.

DBOS: a workflow calls a step; DBOS looks whether it was done before, calls it and commits its output.
What starting and ending the workflow costs is measured with an empty one and taken off.

Ours: the real engine over the real store. An intent is committed before it is performed (DBOS keeps
none), performed in a task of its own, and its outcome is committed with the turn it leads to: the
task is claimed under a new token, the controller reads its view and decides, the step's row, the Run's
status and the next intent are written. What starting and ending the Run costs is left in.

DBOS does not start on Debian 12's SQLite, which lacks ``unixepoch('subsec')``: its engine here is
given that function.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy
from dbos import DBOS

from andon.api.v1.actions import Done, Intent, Notify
from andon.api.v1.control import Ask, Decision, NewObject, Selector, View
from andon.api.v1.records import Object, RunSpec, RunStatus, StepRow
from bench.line import Line
from bench.ratio import Ratio

STEPS = 300
ROUNDS = 9
BAR = 0.5


class Chain:
    """Takes the steps of a Run one after another."""

    kind = "Run"

    def select(self, obj: Object) -> dict[str, Selector]:
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        done = [row for row in view.actions if row.outcome is not None]
        if view.actions and not done:
            return Decision()
        at = int(view.object.status.weight) + len(done)
        over = at >= view.object.spec.sequence
        status = RunStatus(weight=at, phase="Succeeded", finished_at=now)
        return Decision(
            status=status if over else RunStatus(weight=at, phase="Running"),
            steps=tuple(StepRow(name=row.step, position=at, state="passed") for row in done),
            consumed=tuple(row.key for row in done),
            ask=() if over else (Ask(step=f"step-{at}", action=Notify(url="", body={"n": at})),),
        )


async def do_nothing(action: Notify, intent: Intent) -> Done:
    return Done()


def chain(name: str) -> NewObject:
    spec = RunSpec(type="build", change="c", sequence=STEPS)
    return NewObject(kind="Run", name=name, spec=spec, status=RunStatus())


def _engine(path: Path) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")

    @sqlalchemy.event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")
        connection.create_function("unixepoch", -1, lambda *_: time.time())

    return engine


def _dbos(path: Path) -> Callable[[int], None]:
    """Start DBOS; what runs a workflow of so many steps."""
    DBOS(
        config={
            "name": "bench",
            "system_database_engine": _engine(path),
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def flow(steps: int) -> None:
        for number in range(steps):
            step(number)

    DBOS.launch()
    return flow


def _seconds(flow: Callable[[int], None], steps: int) -> float:
    started = time.perf_counter()
    flow(steps)
    return time.perf_counter() - started


async def _measure(folder: Path) -> tuple[float, float]:
    """Return the seconds of a step of ours and of DBOS."""
    ours, theirs = [], []
    flow = _dbos(folder / "dbos.db")
    async with Line(folder / "ours.db", [Chain()], {Notify: do_nothing}) as line:
        for number in range(ROUNDS):
            cost = await line.run(chain(f"run-{number}"))
            ours.append(cost.wall / STEPS)
            empty = await asyncio.to_thread(_seconds, flow, 0)
            full = await asyncio.to_thread(_seconds, flow, STEPS)
            theirs.append((full - empty) / STEPS)
    DBOS.destroy()
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def measure() -> Iterator[Ratio]:
    # In the work folder, not in /tmp, which may be memory: both sides on the same disk.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        ours, theirs = asyncio.run(_measure(Path(folder)))
    yield Ratio("a step of ours", ours * 1000, 0, "ms")
    yield Ratio("a step of DBOS", theirs * 1000, 0, "ms")
    yield Ratio("ours / DBOS", ours / theirs, BAR, most=True)
