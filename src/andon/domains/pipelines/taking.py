"""What the outcome of a job means, and what is written down of it.

A failure is the change's or the machine's, and the two are never mixed up. Only a pass is a pass: on
another attempt it is a flake, too, and where only tests in quarantine failed it is told as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from andon.api.v1.actions import AnyOutcome, JobDone
from andon.api.v1.control import Event, View
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import Fault, RunSpec, StepRow, StepState, Subject
from andon.domains.line import cancellation, events
from andon.domains.line.evidence import claim
from andon.domains.line.turn import TRYING_AGAIN, Turn, describe_failure
from andon.domains.pipelines import groups, later
from andon.domains.pipelines.claims import claim_name, figures_of
from andon.domains.pipelines.layout import layout_of
from andon.domains.pipelines.quarantine import excuse
from andon.domains.pipelines.results import makes_result, result
from andon.domains.pipelines.retrying import may_try_again

OUTCOMES: dict[str, str] = {
    "passed": "success",
    "quarantined": "failure",
    "failed": "failure",
    "interrupted": "error",
    "cancelled": "cancel",
    "skipped-by-rule": "cancel",
}
"""How the ledger's vocabulary calls a state; the state itself is told beside it."""


class Taking(Turn):
    """A turn of a build Run, as far as outcomes of jobs go.

    Args:
        view: What is known.
        now: Seconds since the Unix epoch.
    """

    def __init__(self, view: View, now: float) -> None:
        super().__init__(view, now)
        self.run = view.object.name
        self.spec: RunSpec = view.object.spec
        assert self.spec.build is not None
        self.plan: BuildPlan = self.spec.build
        self.layout = layout_of(self.plan)
        self.stream = events.repository_stream(self.plan.repository)
        self.wish = cancellation.wish(view)
        """A person's wish that the Run ends."""
        self.ending = self._why_ending()
        """Why nothing more begins; empty: it goes on."""
        self.about = later.subjects(view.related.get("artifacts", ()))
        """What was built, where the verdict comes later than that."""
        self.just_ended: list[str] = []
        """Jobs that ended in this turn."""

    def _why_ending(self) -> str:
        if self.wish is not None:
            return cancellation.tell(self.wish)
        newer = groups.superseded_by(self.view)
        return groups.tell(newer) if newer is not None else ""

    def take_outcome(self, job: JobPlan, outcome: AnyOutcome) -> None:
        """Decide what becomes of a job whose attempt has ended."""
        if isinstance(outcome, JobDone) and outcome.state == "passed":
            self._take_pass(job, outcome)
            return
        on_purpose = self._on_purpose(job)
        message, fault, log = describe_failure(outcome)
        if on_purpose and isinstance(outcome, JobDone) and outcome.state == "cancelled":
            self.end_job(job, "cancelled", on_purpose, log=log)
            return
        if isinstance(outcome, JobDone) and self._is_excused(job, outcome):
            return
        if not on_purpose and self._tries_again(job, outcome, message, fault):
            return
        if fault == "change":
            self._take_failure(job, outcome, message, log)
        else:
            self.end_job(job, "interrupted", message, fault="machine", log=log)

    def _take_pass(self, job: JobPlan, done: JobDone) -> None:
        row = self.rows()[job.name]
        figures, message = figures_of(done), ""
        if row.failures:
            before = row.figures.get("failed", "")
            message = f"passed on attempt {row.attempt + 1}; before: {before}"
            figures["flaky"] = {"attempts": row.attempt + 1, "failed": before}
            self.events.append(self._flake(job, row, before))
        self.end_job(job, "passed", message, log=done.log, artifact=done.artifact, figures=figures)
        if makes_result(job, self.plan, row):
            ended = self.rows()[job.name]
            self.create.append(result(self.view.object, job, ended, self.now))

    def _flake(self, job: JobPlan, row: StepRow, before: str) -> Event:
        return events.extension(
            "flake",
            "seen",
            id=f"run/{self.run}/flake/{job.name}",
            stream=self.stream,
            about=f"{self.run}/{job.name}",
            chain=self.spec.change,
            content={"taskName": job.name, "attempts": row.attempt + 1, "failed": before},
        )

    def _is_excused(self, job: JobPlan, done: JobDone) -> bool:
        """Take a failure by nothing but quarantined tests, if it is one."""
        tests = excuse(done, self.plan.quarantine, self.now).tests
        if tests:
            figures: dict[str, Any] = {**figures_of(done), "quarantined": list(tests)}
            said = f"only tests in quarantine failed: {', '.join(tests)}"
            self.end_job(
                job, "quarantined", said, log=done.log, artifact=done.artifact, figures=figures
            )
        return bool(tests)

    def _tries_again(self, job: JobPlan, outcome: AnyOutcome, message: str, fault: Fault) -> bool:
        row = self.rows()[job.name]
        attempt = self.attempt(job.name)
        if not may_try_again(job, outcome, fault, failures=row.failures, attempt=attempt):
            return False
        if fault == "machine":
            self.retry(job.name)
            self.say(job.name, f"{TRYING_AGAIN}: {message}")
            return True
        self._tell(job, "failure", message, "failed")
        figures = {**row.figures, "failed": message}
        self.put(replace(row, failures=row.failures + 1, figures=figures))
        self.retry(job.name)
        times = job.retry.times if job.retry else 0
        self.say(job.name, f"{message}; trying again, {row.failures + 1} of {times}")
        return True

    def _take_failure(self, job: JobPlan, outcome: AnyOutcome, message: str, log: str) -> None:
        if isinstance(outcome, JobDone):
            expired = excuse(outcome, self.plan.quarantine, self.now).expired
            message = "; ".join((message, *expired))
        figures = figures_of(outcome) if isinstance(outcome, JobDone) else {}
        self.end_job(job, "failed", message, fault="change", log=log, figures=figures)
        for subject in self.about or (Subject(change=self.spec.change),):
            self.create.append(
                claim(
                    name=claim_name(self.run, job.evidence, subject),
                    subject=subject,
                    check=job.evidence,
                    verdict="Fail",
                    source=f"run:{self.run}/{job.name}",
                    now=self.now,
                    message=message,
                    value=figures,
                )
            )
        for hold, pulled in later.pull_cord(self.view.object, job, self.about, message, self.now):
            self.create.append(hold)
            self.events.append(pulled)

    def end_job(
        self,
        job: JobPlan,
        state: StepState,
        message: str = "",
        *,
        fault: Fault | None = None,
        log: str = "",
        artifact: str = "",
        figures: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Mark a job as ended, and tell it."""
        self.end(job.name, state, message, fault, log)
        if figures or artifact or self.rows()[job.name].figures:
            row = self.rows()[job.name]
            self.put(replace(row, artifact=artifact, figures=dict(figures)))
        self.just_ended.append(job.name)
        self._tell(job, OUTCOMES[state], message, state)

    def _tell(self, job: JobPlan, outcome: str, message: str, state: StepState) -> None:
        attempt = self.attempt(job.name)
        self.events.append(
            events.task_finished(
                *(self.run, job.name, attempt, self.stream),
                *(self.spec.change, outcome, message, state),
            )
        )

    def _on_purpose(self, job: JobPlan) -> str:
        """Return why a job was to end early; empty: it was not."""
        if self.ending and not job.always:
            return self.ending
        ended: dict[str, str] = self.memory.get("ended_for", {})
        return ended.get(job.name, "")
