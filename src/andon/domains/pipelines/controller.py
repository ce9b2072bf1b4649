"""Carries out a build Run: jobs in the order of their needs, then one artifact per service.

A job that fails by its own fault fails the Run; what needed it is *not-run*, never green. A job the
machine interrupted is run again, a few times.
"""

from __future__ import annotations

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
    Subject,
    Verdict,
)
from andon.domains.line import events
from andon.domains.line.evidence import claim
from andon.domains.line.turn import TRYING_AGAIN, Turn, describe_failure
from andon.domains.pipelines.plan import ready_jobs
from andon.kernel.digest import short

MACHINE_ATTEMPTS = 4
"""A job or pack that the machine prevented is tried so often."""


class BuildController:
    """Reconciles Runs of the type ``build``."""

    kind = "Run:build"

    def select(self, obj: Object) -> dict[str, Selector]:
        """See nothing besides the Run itself."""
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        """Care about no other object."""
        return ()

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

    def advance(self) -> Decision:
        if self.status.phase == "Pending":
            self._start()
        for job in self.plan.jobs:
            self._advance_job(job)
        self._start_ready_jobs()
        if self._passed().issuperset(job.name for job in self.plan.jobs):
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
        self.events.append(events.run_started(self.run, self.stream, self.spec.change, cause))

    def _passed(self) -> set[str]:
        return {name for name, row in self.rows().items() if row.state == "passed"}

    def _start_ready_jobs(self) -> None:
        if self._failed():
            return
        begun = {name for name, row in self.rows().items() if row.state != "waiting"}
        jobs = {job.name: job for job in self.plan.jobs}
        for name in ready_jobs(self.plan.jobs, self._passed(), begun):
            self.begin(name)
            self._advance_job(jobs[name])

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
            self.memory["job_keys"] = {
                **self.memory.get("job_keys", {}),
                job.name: self._key(job.name),
            }
            self.end(job.name, "passed", log=outcome.log)
            self._tell(job, "success", "")
            return
        message, fault, log = describe_failure(outcome)
        if fault == "machine" and self.retry(job.name, MACHINE_ATTEMPTS):
            self.say(job.name, f"{TRYING_AGAIN}: {message}")
            return
        self.end(job.name, "failed" if fault == "change" else "interrupted", message, fault, log)
        self._tell(job, "failure" if fault == "change" else "error", message)

    def _key(self, step: str) -> str:
        attempt = self.attempt(step)
        return next(
            row.key for row in self.view.actions if row.step == step and row.attempt == attempt
        )

    def _tell(self, job: JobPlan, outcome: str, message: str) -> None:
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
                job_key=self.memory.get("job_keys", {}).get(pack.job, ""),
            ),
        )
        if isinstance(outcome, ArtifactPacked):
            self._take_artifact(pack, outcome)
        elif outcome is not None:
            message, fault, _ = describe_failure(outcome)
            if fault == "machine" and self.retry(step, MACHINE_ATTEMPTS):
                self.say(step, f"{TRYING_AGAIN}: {message}")
            else:
                self.end(step, "failed" if fault == "change" else "interrupted", message, fault)

    def _take_artifact(self, pack: PackPlan, packed: ArtifactPacked) -> None:
        change = self.spec.change
        self.end(_pack_step(pack), "passed", short(packed.digest))
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
        subject = Subject(service=pack.service, digest=packed.digest)
        for job in self.plan.jobs:
            self._claim(job, subject, "Pass")

    def _failed(self) -> bool:
        return any(row.state in {"failed", "interrupted"} for row in self.rows().values())

    def _finish_if_done(self) -> None:
        rows = self.rows().values()
        if self._failed():
            if any(row.state == "running" for row in rows):
                return
            broken = next(row for row in rows if row.state in {"failed", "interrupted"})
            self.close_open_steps("not-run", f"{broken.name} did not pass")
            self._finish(
                "Failed",
                "JobFailed" if broken.fault == "change" else "MachineFault",
                f"{broken.name}: {broken.message}",
                "failure" if broken.fault == "change" else "error",
            )
        elif all(row.state == "passed" for row in rows):
            self._finish("Succeeded", "Built", "", "success")

    def _finish(self, phase: Phase, reason: str, message: str, outcome: str) -> None:
        self.set(phase=phase, reason=reason, message=message, finished_at=self.now)
        self.events.append(
            events.run_finished(self.run, self.stream, self.spec.change, outcome, message)
        )


def _pack_step(pack: PackPlan) -> str:
    return f"pack-{pack.service}"
