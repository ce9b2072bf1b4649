"""One turn of a controller: a scratch pad that ends as a Decision.

Steps of a Run are walked in order. A step asks for an action and finds, on a later turn, its
outcome; it then moves on, all in one Decision, so that an outcome is used exactly once.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from msgspec.structs import replace

from andon.api.v1.actions import (
    ActionFailed,
    AnyAction,
    AnyOutcome,
    CancelJob,
    Done,
    JobDone,
    RunJob,
)
from andon.api.v1.control import ActionRow, Ask, Decision, Event, NewObject, View
from andon.api.v1.records import ENDED_STEP, Fault, RunStatus, StepRow, StepState
from andon.api.v1.steps import OPEN, Steps

RETRY_FIRST_SECONDS = 0.5
RETRY_LONGEST_SECONDS = 30.0
OUTCOME_SECONDS = 2.0
"""The outcome of a job that was ended is here by then, if it had begun."""
TRYING_AGAIN = "the machine prevented it, trying again"


class Turn:
    """Collects what a controller decides about one Run.

    Args:
        view: What is known.
        now: Seconds since the Unix epoch.
    """

    def __init__(self, view: View, now: float) -> None:
        self.view = view
        self.now = now
        self.status: RunStatus = view.object.status
        self.memory: dict[str, Any] = dict(self.status.memory)
        self._rows = view.steps
        self._by_step: dict[str, list[ActionRow]] = {}
        for action in view.actions:
            self._by_step.setdefault(action.step, []).append(action)
        self._changed: dict[str, StepRow] = {}
        self._asked: list[Ask] = []
        self._consumed: list[str] = []
        self.create: list[NewObject] = []
        self.events: list[Event] = []
        self.samples: list[dict[str, Any]] = []
        self._wake: float | None = None

    # --- status ----------------------------------------------------------------------------------

    def set(self, **changes: Any) -> None:
        """Change fields of the status."""
        self.status = replace(self.status, **changes)

    def wake_at(self, moment: float) -> None:
        """Look again no later than this."""
        self._wake = moment if self._wake is None else min(self._wake, moment)

    # --- steps -----------------------------------------------------------------------------------

    def rows(self) -> Steps:
        """Return the steps as this turn leaves them, by name."""
        return self._rows

    def put(self, row: StepRow) -> StepRow:
        """Write a step."""
        if not self._changed:
            self._rows = self._rows.copy()
        self._rows.put(row)
        self._changed[row.name] = row
        return row

    def plan_steps(self, names: tuple[str, ...]) -> None:
        """Write the steps a Run will take, unless they are there."""
        for position, name in enumerate(names):
            if name not in self._rows:
                self.put(StepRow(name=name, position=position))

    def begin(self, name: str) -> StepRow:
        """Mark a step as running, if it is not."""
        row = self._rows.get(name) or StepRow(name=name, position=len(self._rows))
        if row.state == "running":
            return row
        return self.put(
            replace(row, state="running", started_at=row.started_at or self.now, message="")
        )

    def end(
        self,
        name: str,
        state: StepState,
        message: str = "",
        fault: Fault | None = None,
        log: str = "",
    ) -> None:
        """Mark a step as ended."""
        row = self.begin(name)
        self.put(
            replace(
                row,
                state=state,
                message=message,
                fault=fault,
                log=log or row.log,
                finished_at=self.now,
            )
        )

    def say(self, name: str, message: str) -> None:
        """Say what a step is waiting for."""
        row = self.begin(name)
        if row.message != message:
            self.put(replace(row, message=message))

    def ended(self, name: str) -> bool:
        """Say whether a step has ended."""
        return name in self._rows and self._rows.state(name) in ENDED_STEP

    def close_open_steps(
        self,
        state: StepState,
        message: str,
        *,
        waiting: StepState = "not-run",
        spare: Container[str] = (),
    ) -> None:
        """End every step that has not ended.

        Args:
            state: What those that run become.
            message: Why.
            waiting: What those that never began become.
            spare: Steps that go on.
        """
        for row in [row for row in self._rows.among(*OPEN) if row.name not in spare]:
            if row.state == "running":
                self.end(row.name, state, message)
            else:
                self.put(replace(row, state=waiting, message=message))

    # --- actions ---------------------------------------------------------------------------------

    def attempt(self, step: str) -> int:
        """Return the number of the attempt a step is at, from 0."""
        return int(self._attempts().get(step, 0))

    def retry(self, step: str, limit: int | None = None) -> bool:
        """Plan another attempt after a pause; False if ``limit`` attempts were made."""
        done = self.attempt(step) + 1
        if limit is not None and done >= limit:
            return False
        pause = min(RETRY_LONGEST_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(done - 1, 10))
        self.memory["attempts"] = {**self._attempts(), step: done}
        self.memory["not_before"] = {**self._not_before(), step: self.now + pause}
        row = self.begin(step.split("/", 1)[0])
        self.put(replace(row, attempt=done))
        self.wake_at(self.now + pause)
        return True

    def again(self, step: str) -> None:
        """Forget that an action was performed: the next ``do`` performs it anew, at once."""
        self.memory["attempts"] = {**self._attempts(), step: self.attempt(step) + 1}

    def do(self, step: str, action: AnyAction) -> AnyOutcome | None:
        """Return the action's outcome, once there is one; ask for it if nobody did."""
        attempt = self.attempt(step)
        for row in self._by_step.get(step, ()):
            if row.attempt == attempt and row.key not in self._consumed:
                if row.outcome is not None:
                    self._consumed.append(row.key)
                return row.outcome
        if any(ask.step == step and ask.attempt == attempt for ask in self._asked):
            return None
        due = self._not_before().get(step, 0.0)
        if due > self.now:
            self.wake_at(due)
            return None
        self._asked.append(Ask(step=step, attempt=attempt, action=action))
        return None

    def do_patiently(self, step: str, action: AnyAction) -> AnyOutcome | None:
        """Like ``do``, but perform again, for ever and ever slower, what the machine prevented.

        The outcome may still be an ``ActionFailed`` that another attempt would not help.
        """
        outcome = self.do(step, action)
        if isinstance(outcome, ActionFailed) and outcome.retry:
            self.retry(step)
            self.say(step.split("/", 1)[0], f"{TRYING_AGAIN}: {outcome.message}")
            return None
        if outcome is not None:
            self._no_longer_trying(step.split("/", 1)[0])
        return outcome

    def _no_longer_trying(self, name: str) -> None:
        if name in self._rows and self._rows[name].message.startswith(TRYING_AGAIN):
            self.say(name, "")

    def end_jobs(
        self, *, spare: Container[str] = (), only: Container[str] | None = None
    ) -> frozenset[str]:
        """Have the jobs under way ended, with all their children.

        Args:
            spare: Steps whose jobs go on.
            only: Steps whose jobs do not; None: all others.

        Returns:
            Steps whose job will never begin: it was waiting for its turn when it was ended.
        """
        return frozenset(
            row.step
            for row in self.view.actions
            if row.outcome is None
            and isinstance(row.action, RunJob)
            and row.step not in spare
            and (only is None or row.step in only)
            and self._never_begins(row)
        )

    def _never_begins(self, row: ActionRow) -> bool:
        """End a job; True once the outcome it would have had must be here."""
        ended: dict[str, float] = self.memory.get("ended_jobs", {})
        if row.key not in ended:
            outcome = self.do_patiently(f"{row.step}/cancel", CancelJob(job_key=row.key))
            if not isinstance(outcome, Done):
                return False
            self.memory["ended_jobs"] = ended = {**ended, row.key: self.now}
        due = ended[row.key] + OUTCOME_SECONDS
        if self.now < due:
            self.wake_at(due)
        return self.now >= due

    def known(self, step: str) -> bool:
        """Say whether the step's present attempt was asked for, with or without outcome yet."""
        attempt = self.attempt(step)
        return any(row.attempt == attempt for row in self._by_step.get(step, ()))

    def under_way(self, step: str) -> bool:
        """Say whether the step's present attempt has no outcome yet."""
        attempt = self.attempt(step)
        rows = self._by_step.get(step, ())
        return any(row.attempt == attempt and row.outcome is None for row in rows)

    def forget(self, *steps: str) -> None:
        """Use up whatever outcomes of these steps there are: nobody wants to know any more."""
        for row in self.view.actions:
            if row.step in steps and row.outcome is not None and row.key not in self._consumed:
                self._consumed.append(row.key)

    def _attempts(self) -> dict[str, int]:
        found: dict[str, int] = self.memory.get("attempts", {})
        return found

    def _not_before(self) -> dict[str, float]:
        found: dict[str, float] = self.memory.get("not_before", {})
        return found

    # --- the end ---------------------------------------------------------------------------------

    def decision(self) -> Decision:
        """Return everything collected."""
        status = replace(self.status, memory=self.memory)
        return Decision(
            status=status if status != self.view.object.status else None,
            steps=tuple(self._changed.values()),
            create=tuple(self.create),
            ask=tuple(self._asked),
            consumed=tuple(self._consumed),
            events=tuple(self.events),
            samples=tuple(self.samples),
            wake=self._wake,
        )


def describe_failure(outcome: AnyOutcome) -> tuple[str, Fault, str]:
    """Return (message, whose fault, log) of an outcome that is not a success."""
    if isinstance(outcome, ActionFailed):
        return outcome.message, outcome.fault, ""
    if isinstance(outcome, JobDone):
        message = outcome.message or f"exit code {outcome.exit_code}"
        return message, outcome.fault or _fault_of(outcome.state), outcome.log
    return f"unexpected answer {type(outcome).__name__}", "machine", ""


def _fault_of(state: StepState) -> Fault:
    """Say whose doing it is that a job did not pass, where nobody says so: what failed, failed itself."""
    return "change" if state == "failed" else "machine"
