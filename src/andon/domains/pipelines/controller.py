"""Carries out a build Run: jobs in the order of their needs, then one artifact per service.

A job that fails by its own fault fails the Run; what needed it is *not-run*, never green. A job the
machine interrupted is run again, a few times. When a person cancels the Run, the jobs under way are
ended and nothing more begins. Clean-up jobs run in any case, before the Run ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from andon.api.v1.actions import (
    AnyOutcome,
    ArtifactPacked,
    JobDone,
    PackArtifact,
    RunJob,
)
from andon.api.v1.control import Decision, NewObject, Selector, View
from andon.api.v1.records import (
    TERMINAL,
    ArtifactSpec,
    BuildPlan,
    Empty,
    JobPlan,
    Object,
    PackPlan,
    Phase,
    RunSpec,
    StepRow,
    StepState,
    Subject,
    Verdict,
)
from andon.domains.line import cancellation, events
from andon.domains.line.evidence import claim
from andon.domains.line.turn import TRYING_AGAIN, Turn, describe_failure
from andon.domains.pipelines.plan import may_begin
from andon.kernel.digest import short
from andon.kernel.ids import idempotency_key

AT_ONCE = 64
"""So many jobs of one Run are under way."""
MACHINE_ATTEMPTS = 4
"""A job or pack that the machine prevented is tried so often."""


class BuildController:
    """Reconciles Runs of the type ``build``."""

    kind = "Run:build"

    def select(self, obj: Object) -> dict[str, Selector]:
        """See the wish to cancel it."""
        return {"cancellation": cancellation.selector(obj)}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Wake a Run that is to be cancelled."""
        return cancellation.wakes(changed)

    def reconcile(self, view: View, now: float) -> Decision:
        """Advance the Run as far as its facts allow."""
        if view.object.status.phase in TERMINAL:
            return Decision(consumed=tuple(row.key for row in view.actions if row.outcome))
        return _Build(view, now).advance()


class _Build(Turn):
    def __init__(self, view: View, now: float) -> None:
        super().__init__(view, now)
        self.run = view.object.name
        self.spec: RunSpec = view.object.spec
        assert self.spec.build is not None
        self.plan: BuildPlan = self.spec.build
        self.stream = events.repository_stream(self.plan.repository)
        self.wish = cancellation.wish(view)
        self._just_ended: list[str] = []

    def advance(self) -> Decision:
        if self.status.phase == "Pending":
            if self.wish is not None:
                self._finish_cancelled(cancellation.tell(self.wish))
                return self.decision()
            self._start()
        if self.wish is not None:
            self._wind_down(cancellation.tell(self.wish))
        anyhow = self.wish is not None or len(self.rows().open("running")) >= AT_ONCE
        for row in list(self.rows().open("running")):
            if row.name in self.plan.by_name:
                self._advance_job(self.plan.by_name[row.name])
        self._close_what_will_not_run()
        if not anyhow:
            self._start_jobs(self._freed_jobs())
        if anyhow or self._broken() or self._is_still():
            self._start_jobs(self._waiting_jobs())
        if self._all_jobs_passed():
            for pack in self.plan.packs:
                self._advance_pack(pack)
        self._finish_if_done()
        return self.decision()

    def _start(self) -> None:
        self.set(phase="Running", started_at=self.now)
        names = [job.name for job in self.plan.jobs]
        names += [_pack_step(pack) for pack in self.plan.packs]
        self.plan_steps(tuple(names))
        cause = events.merged_id(self.spec.change)
        if self.spec.schedule:
            cause = f"run/{self.run}/queued"
        self.events.append(events.run_started(self.run, self.stream, self.spec.change, cause))

    def _wind_down(self, message: str) -> None:
        """Begin nothing more but clean-up, and end what can be ended."""
        self.set(reason=cancellation.REASON, message=message)
        never = self.end_jobs(spare=self.plan.clean_up)
        under_way = {name for name in self.rows() if self.known(name)} - never
        self.close_open_steps(
            "cancelled", message, waiting="cancelled", spare=under_way | self.plan.clean_up
        )

    def _all_jobs_passed(self) -> bool:
        # Counted first: a Run may have thousands of steps, and a turn for each.
        rows = self.rows()
        return rows.count("passed") >= len(self.plan.jobs) and all(
            rows[job.name].state == "passed" for job in self.plan.jobs
        )

    def _close_what_will_not_run(self) -> None:
        broken = self._broken()
        if broken is not None:
            running = {row.name for row in self.rows().open("running")}
            message = f"{broken.name} did not pass"
            self.close_open_steps("not-run", message, spare=running | self.plan.clean_up)

    def _is_still(self) -> bool:
        """Say whether no ordinary job runs: then all that wait are looked at, whatever happened."""
        running = self.rows().open("running")
        return all(row.name in self.plan.clean_up for row in running)

    def _waiting_jobs(self) -> list[JobPlan]:
        jobs = self.plan.by_name
        return [jobs[row.name] for row in self.rows().open("waiting") if row.name in jobs]

    def _freed_jobs(self) -> list[JobPlan]:
        """Jobs that needed one that ended in this turn, in the order written."""
        found = {job.name: job for name in self._just_ended for job in self.plan.needed_by[name]}
        return sorted(found.values(), key=lambda job: self.rows()[job.name].position)

    def _start_jobs(self, among: Iterable[JobPlan]) -> None:
        for job in among:
            if len(self.rows().open("running")) >= AT_ONCE:
                return
            waiting = self._state(job.name) == "waiting"
            if waiting and may_begin(job, self.plan.ordinary, self._state):
                self.begin(job.name)
                self._advance_job(job)

    def _state(self, name: str) -> StepState:
        return self.rows()[name].state

    def _advance_job(self, job: JobPlan) -> None:
        if self.rows()[job.name].state != "running":
            return
        outcome = self.do(job.name, self._job_action(job))
        if outcome is not None:
            self._take_job_outcome(job, outcome)

    def _job_action(self, job: JobPlan) -> RunJob:
        return RunJob(run=self.run, repository=self.plan.repository, sha=self.plan.sha, job=job)

    def _take_job_outcome(self, job: JobPlan, outcome: AnyOutcome) -> None:
        if isinstance(outcome, JobDone) and outcome.state == "passed":
            self.end(job.name, "passed", log=outcome.log)
            self._tell(job, "success", "")
            return
        wound_down = self.wish is not None and not job.always
        if wound_down and isinstance(outcome, JobDone) and outcome.state == "cancelled":
            self.end(job.name, "cancelled", self.status.message, log=outcome.log)
            self._tell(job, "cancel", self.status.message)
            return
        message, fault, log = describe_failure(outcome)
        if fault == "machine" and not wound_down and self.retry(job.name, MACHINE_ATTEMPTS):
            self.say(job.name, f"{TRYING_AGAIN}: {message}")
            return
        self.end(job.name, "failed" if fault == "change" else "interrupted", message, fault, log)
        self._tell(job, "failure" if fault == "change" else "error", message)

    def _key(self, step: str) -> str:
        run = self.view.object
        return idempotency_key(run.uid, run.generation, step, self.attempt(step))

    def _tell(self, job: JobPlan, outcome: str, message: str) -> None:
        self._just_ended.append(job.name)
        attempt = self.attempt(job.name)
        self.events.append(
            events.task_finished(
                self.run, job.name, attempt, self.stream, self.spec.change, outcome, message
            )
        )
        if outcome == "failure":
            self._claim(job, Subject(change=self.spec.change), "Fail", message)

    def _claim(self, job: JobPlan, subject: Subject, verdict: Verdict, message: str = "") -> None:
        self.create.append(
            claim(
                name=f"{self.run}-{job.evidence}-{subject.service or 'change'}",
                subject=subject,
                check=job.evidence,
                verdict=verdict,
                source=f"run:{self.run}/{job.name}",
                now=self.now,
                message=message,
            )
        )

    def _advance_pack(self, pack: PackPlan) -> None:
        step = _pack_step(pack)
        if self.ended(step):
            return
        self.begin(step)
        outcome = self.do(
            step,
            PackArtifact(
                service=pack.service,
                repository=self.plan.repository,
                sha=self.plan.sha,
                path=pack.path,
                job_key=self._key(pack.job) if pack.job else "",
            ),
        )
        if isinstance(outcome, ArtifactPacked):
            self._take_artifact(pack, outcome)
        elif outcome is not None:
            message, fault, _ = describe_failure(outcome)
            if fault == "machine" and self.wish is None and self.retry(step, MACHINE_ATTEMPTS):
                self.say(step, f"{TRYING_AGAIN}: {message}")
            else:
                self.end(step, "failed" if fault == "change" else "interrupted", message, fault)

    def _take_artifact(self, pack: PackPlan, packed: ArtifactPacked) -> None:
        self.end(_pack_step(pack), "passed", short(packed.digest))
        if not self.spec.schedule:
            self._keep_artifact(pack, packed)
        subject = Subject(service=pack.service, digest=packed.digest)
        for job in self.plan.jobs:
            self._claim(job, subject, "Pass")

    def _keep_artifact(self, pack: PackPlan, packed: ArtifactPacked) -> None:
        """Make the Change's artifact; what a schedule built again is never promoted."""
        change = self.spec.change
        self.create.append(
            NewObject(
                kind="Artifact",
                name=f"{pack.service}-{short(packed.digest)}-{change}",
                spec=ArtifactSpec(
                    digest=packed.digest,
                    service=pack.service,
                    change=change,
                    size_bytes=packed.size_bytes,
                    files=packed.files,
                    purl=packed.purl,
                ),
                status=Empty(),
                labels={
                    "change": change,
                    "service": pack.service,
                    "digest": packed.digest,
                },
            )
        )
        self.events.append(
            events.artifact_packaged(
                change, pack.service, packed.digest, self.plan.repository, self.run
            )
        )

    def _broken(self) -> StepRow | None:
        """The first step that did not pass, by its own fault or the machine's."""
        if not self.rows().count("failed", "interrupted"):
            return None
        rows = self.rows().values()
        return next(row for row in rows if row.state in {"failed", "interrupted"})

    def _finish_if_done(self) -> None:
        if self.rows().count("waiting", "running"):
            return
        broken = self._broken()
        if self.wish is not None:
            said = f"; {broken.name}: {broken.message}" if broken else ""
            self._finish_cancelled(cancellation.tell(self.wish) + said)
        elif broken is not None:
            self._finish(
                "Failed",
                "JobFailed" if broken.fault == "change" else "MachineFault",
                f"{broken.name}: {broken.message}",
                "failure" if broken.fault == "change" else "error",
            )
        else:
            self._finish("Succeeded", "Built", "", "success")

    def _finish_cancelled(self, message: str) -> None:
        self.forget(*(row.step for row in self.view.actions))
        self.set(
            phase="Cancelled",
            reason=cancellation.REASON,
            message=message,
            finished_at=self.now,
        )
        self.events.append(cancellation.cancelled(self.view.object, self.stream, message))

    def _finish(self, phase: Phase, reason: str, message: str, outcome: str) -> None:
        self.set(phase=phase, reason=reason, message=message, finished_at=self.now)
        self.events.append(
            events.run_finished(self.run, self.stream, self.spec.change, outcome, message)
        )


def _pack_step(pack: PackPlan) -> str:
    return f"pack-{pack.service}"
