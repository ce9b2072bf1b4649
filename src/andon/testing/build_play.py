"""Builds in memory: the controller of build Runs, played without a store or a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from andon.api.v1 import actions
from andon.api.v1.control import ActionRow, Decision, Event, NewObject, Selector, View
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import TERMINAL, Object, RunSpec, RunStatus, StepRow
from andon.api.v1.steps import Steps
from andon.domains.pipelines.controller import BuildController
from andon.kernel.ids import idempotency_key

CHANGE = "shop-1"
BEGAN = 1_780_000_000.0
PASSED = actions.JobDone(state="passed", exit_code=0)
FAILED = actions.JobDone(state="failed", fault="change", exit_code=1, message="exit code 1")
KILLED = actions.JobDone(state="interrupted", fault="machine", message="killed")

Outcomes = Callable[[actions.RunJob, int], actions.AnyOutcome | None]
"""How an attempt at a job ends; None: not yet."""


class BuildPlay:
    """Plays build Runs of one repository.

    Args:
        outcome: How attempts at jobs end.
        pick: Which of the actions under way ends next; the first.
    """

    def __init__(
        self,
        outcome: Outcomes = lambda job, attempt: PASSED,
        pick: Callable[[Sequence[ActionRow]], ActionRow] = lambda rows: rows[0],
    ) -> None:
        self.outcome = outcome
        self.pick = pick
        self.now = BEGAN
        self.objects: dict[tuple[str, str], Object] = {}
        self.events: list[Event] = []
        self.asked: list[actions.RunJob] = []
        """Jobs in the order in which they were begun, each attempt again."""
        self.turns = 0
        self.watch: Callable[[Object, Decision], None] = lambda run, decision: None
        """Sees every decision, before it is written."""
        self._controller = BuildController()
        self._steps: dict[str, Steps] = {}
        self._actions: dict[str, list[ActionRow]] = {}
        self._cancelled: set[str] = set()

    def ship(self, plan: BuildPlan, name: str = "build", **spec: Any) -> Object:
        """Add a build Run that has not begun."""
        return self.add(
            NewObject(
                kind="Run",
                name=name,
                spec=RunSpec(type="build", change=CHANGE, build=plan, **spec),
                status=RunStatus(),
                labels={"type": "build", "change": CHANGE, **plan.labels},
            )
        )

    def add(self, new: NewObject) -> Object:
        """Store an object, unless one of that name is there."""
        key = (new.kind, new.name)
        if key not in self.objects:
            uid = f"{len(self.objects):06d}"
            self.objects[key] = Object(
                kind=new.kind,
                name=new.name,
                uid=uid,
                spec=new.spec,
                status=new.status,
                labels=new.labels,
                created_at=self.now,
            )
        return self.objects[key]

    def play(self, *, at_most: int = 100_000) -> None:
        """Let everything end that ends by itself."""
        for _ in range(at_most):
            self._take_turns()
            if not self._perform_one():
                return
        raise AssertionError(f"no end after {at_most} actions")

    # --- looking ---------------------------------------------------------------------------------

    def run(self, name: str = "build") -> Object:
        """Return a Run."""
        return self.objects["Run", name]

    def rows(self, name: str = "build") -> Steps:
        """Return a Run's steps."""
        return self._steps.get(self.run(name).uid, Steps())

    def states(self, name: str = "build") -> dict[str, str]:
        """Return the states of a Run's steps."""
        return {row.name: row.state for row in self.rows(name).values()}

    def row(self, step: str, name: str = "build") -> StepRow:
        """Return a step."""
        return self.rows(name)[step]

    def all(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        return [found for (one, _), found in self.objects.items() if one == kind]

    def told(self) -> list[str]:
        """Return the ledger as ``type subject`` lines."""
        return [f"{'.'.join(event.type.split('.')[2:4])} {event.subject}" for event in self.events]

    # --- driving ---------------------------------------------------------------------------------

    def _take_turns(self) -> None:
        """Have every Run decide until nothing changes."""
        for _ in range(100):
            decided = [self._turn(run) for run in self.all("Run")]
            if not any(decided):
                return
        raise AssertionError("decisions never come to rest")

    def _turn(self, run: Object) -> bool:
        """Have a Run decide; False if nothing came of it."""
        known = self._actions.setdefault(run.uid, [])
        steps = self._steps.setdefault(run.uid, Steps())
        view = View(object=run, steps=steps, actions=tuple(known), related=self._related(run))
        decision = self._controller.reconcile(view, self.now)
        self.watch(run, decision)
        self.turns += 1
        for row in decision.steps:
            steps.put(row)
        consumed = set(decision.consumed)
        self._actions[run.uid] = [row for row in known if row.key not in consumed]
        if decision.status is not None:
            self.objects[run.key] = replace(run, status=decision.status)
        for new in decision.create:
            self.add(new)
        self.events += decision.events
        for ask in decision.ask:
            key = idempotency_key(run.uid, 1, ask.step, ask.attempt)
            asked = ActionRow(key=key, step=ask.step, attempt=ask.attempt, action=ask.action)
            self._actions[run.uid].append(asked)
            if isinstance(ask.action, actions.RunJob):
                self.asked.append(ask.action)
        return decision != Decision(wake=decision.wake)

    def _related(self, run: Object) -> dict[str, tuple[Object, ...]]:
        wanted = self._controller.select(run)
        return {name: tuple(self._find(one)) for name, one in wanted.items()}

    def _find(self, selector: Selector) -> list[Object]:
        if selector.name:
            found = self.objects.get((selector.kind, selector.name))
            return [found] if found else []
        return [
            one for one in self.all(selector.kind) if selector.labels.items() <= one.labels.items()
        ][-(selector.newest or len(self.objects)) :]

    def _perform_one(self) -> bool:
        """End one action; where none can end, let time pass for those that are to be tried again."""
        for run in self.all("Run"):
            open_ones = [row for row in self._actions.get(run.uid, ()) if row.outcome is None]
            ended = [(row, found) for row in open_ones if (found := self._outcome(row))]
            if ended:
                row = self.pick([row for row, _ in ended])
                self._record(run, row, {one.key: found for one, found in ended}[row.key])
                return True
        if self.now - BEGAN < 3600 and any(self._is_waiting(run) for run in self.all("Run")):
            self.now += 40
            return True
        return False

    def _is_waiting(self, run: Object) -> bool:
        """Say whether something of a Run is between two attempts."""
        if run.status.phase in TERMINAL:
            return False
        known = {row.step for row in self._actions.get(run.uid, ())}
        running = self._steps.get(run.uid, Steps()).open("running")
        return any(row.name not in known for row in running) or bool(self._cancelled)

    def _outcome(self, row: ActionRow) -> actions.AnyOutcome | None:
        match row.action:
            case actions.RunJob() if row.key in self._cancelled:
                return actions.JobDone(state="cancelled", message="cancelled")
            case actions.RunJob() as job:
                return self.outcome(job, row.attempt)
            case actions.CancelJob(job_key=key):
                self._cancelled.add(key)
                return actions.Done()
            case actions.PackArtifact(service=service):
                digest = f"sha256:{service.encode().hex():0>64}"
                return actions.ArtifactPacked(digest=digest, size_bytes=1, files=1, purl="")
        return actions.Done()

    def _record(self, run: Object, row: ActionRow, outcome: actions.AnyOutcome) -> None:
        self.now += 0.001
        self._actions[run.uid] = [
            replace(one, outcome=outcome) if one.key == row.key else one
            for one in self._actions[run.uid]
        ]
