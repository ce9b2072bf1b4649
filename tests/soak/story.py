"""What the soak's Runs do: tell, wait, run a job, tell, wait, tell — by the real engine and real ports."""

from __future__ import annotations

import zlib

from msgspec.structs import replace

from andon.api.v1.actions import ActionFailed, JobDone, Notify, RunJob
from andon.api.v1.control import Ask, Decision, Event, NewObject, Selector, View
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import Object, RunSpec, RunStatus, StepRow

STEPS = ("tell-first", "wait-a-little", "job", "tell-second", "wait-again", "tell-last")
TELLING = tuple(step for step in STEPS if step.startswith("tell"))
LONGEST_WAIT_SECONDS = 4.0
STREAM = "soak"


class SoakController:
    """Takes a Run through its steps, one after another.

    Args:
        receiver: Webhook told at some steps.
        repository: Repository of the jobs.
        sha: Commit they run at.
    """

    kind = "Run:soak"

    def __init__(self, receiver: str, repository: str, sha: str) -> None:
        self._receiver = receiver
        self._repository = repository
        self._sha = sha

    def select(self, obj: Object) -> dict[str, Selector]:
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        done = [row for row in view.steps.values() if row.state == "passed"]
        if len(done) == len(STEPS):
            return Decision(status=replace(view.object.status, phase="Succeeded", finished_at=now))
        step = STEPS[len(done)]
        if step.startswith("wait"):
            return self._wait(view, step, len(done), now)
        return self._act(view, step, len(done), now)

    def _wait(self, view: View, step: str, position: int, now: float) -> Decision:
        begun = view.steps[step].started_at if step in view.steps else now
        due = begun + _chance(view.object.name, step) * LONGEST_WAIT_SECONDS
        if now >= due:
            return self._passed(view, step, position, now)
        row = StepRow(name=step, position=position, state="running", started_at=begun)
        return Decision(steps=(row,), wake=due)

    def _act(self, view: View, step: str, position: int, now: float) -> Decision:
        rows = [row for row in view.actions if row.step == step]
        outcome = rows[-1].outcome if rows else None
        if rows and outcome is None:
            return Decision()
        if rows and not _failed(outcome):
            return self._passed(view, step, position, now, tuple(row.key for row in rows))
        attempt = rows[-1].attempt + 1 if rows else 0
        ask = Ask(step=step, attempt=attempt, action=self._action(view.object, step))
        return Decision(ask=(ask,), consumed=tuple(row.key for row in rows))

    def _action(self, run: Object, step: str) -> Notify | RunJob:
        if step == "job":
            job = JobPlan(name="job", run=f"echo {run.name}")
            return RunJob(run=run.name, repository=self._repository, sha=self._sha, job=job)
        return Notify(url=self._receiver, body={"run": run.name, "step": step})

    def _passed(
        self, view: View, step: str, position: int, now: float, consumed: tuple[str, ...] = ()
    ) -> Decision:
        name = view.object.name
        event = Event(
            id=f"{STREAM}/{name}/{step}",
            stream=STREAM,
            type="dev.cdeventsx.andon-soak.passed.0.1.0",
            subject=name,
        )
        row = StepRow(name=step, position=position, state="passed", finished_at=now)
        return Decision(steps=(row,), consumed=consumed, events=(event,), wake=now)


def _failed(outcome: object) -> bool:
    if isinstance(outcome, JobDone):
        return outcome.state != "passed"
    return isinstance(outcome, ActionFailed)


def _chance(name: str, step: str) -> float:
    return zlib.crc32(f"{name}/{step}".encode()) / 2**32


def new_run(number: int) -> NewObject:
    """Make a Run that has not begun."""
    return NewObject(
        kind="Run",
        name=f"soak-{number:04}",
        spec=RunSpec(type="build", change="soak"),
        status=RunStatus(),
        labels={"type": "soak"},
    )
