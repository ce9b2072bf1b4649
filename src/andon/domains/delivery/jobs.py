"""Jobs around a deployment: run one, take note of how it ended."""

from __future__ import annotations

from msgspec import Struct

from andon.api.v1.actions import JobDone, RunJob
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import Fault, Subject, Verdict
from andon.domains.delivery.rollout import Rollout
from andon.domains.line import events
from andon.domains.line.evidence import claim
from andon.domains.line.turn import TRYING_AGAIN, describe_failure

MACHINE_ATTEMPTS = 4


class JobEnd(Struct, frozen=True, kw_only=True):
    """How a job ended; a step that did not pass is still to be ended."""

    passed: bool
    message: str = ""
    fault: Fault = "change"
    log: str = ""


def carry_out(rollout: Rollout, step: str) -> JobEnd | None:
    """Run a job before or after the deployment; None while it is under way."""
    job = _job(rollout, step)
    rollout.begin(step)
    if job.irreversible and not rollout.status.past_irreversible:
        rollout.set(past_irreversible=True)
        rollout.say(step, "irreversible: from here on Andon will not roll back by itself")
    outcome = rollout.do(step, _action(rollout, job))
    if outcome is None:
        return None
    if isinstance(outcome, JobDone) and outcome.state == "passed":
        rollout.end(step, "passed", log=outcome.log)
        _claim(rollout, job, "Pass", "")
        _tell_job(rollout, step, "success", "")
        return JobEnd(passed=True)
    message, fault, log = describe_failure(outcome)
    if fault == "machine" and rollout.retry(step, MACHINE_ATTEMPTS):
        rollout.say(step, f"{TRYING_AGAIN}: {message}")
        return None
    if fault == "change":
        _claim(rollout, job, "Fail", message)
    _tell_job(rollout, step, "failure" if fault == "change" else "error", message)
    return JobEnd(passed=False, message=message, fault=fault, log=log)


def _job(rollout: Rollout, step: str) -> JobPlan:
    jobs = {f"pre-{job.name}": job for job in rollout.plan.pre_deploy}
    jobs |= {f"post-{job.name}": job for job in rollout.plan.post_deploy}
    return jobs[step]


def _action(rollout: Rollout, job: JobPlan) -> RunJob:
    return RunJob(
        run=rollout.run,
        repository=rollout.plan.repository,
        sha=rollout.plan.sha,
        job=job,
        environment=rollout.plan.environment,
        env=rollout.plan.config,
        needs=tuple(dict.fromkeys((rollout.plan.service, *rollout.plan.needs))),
    )


def _claim(rollout: Rollout, job: JobPlan, verdict: Verdict, message: str) -> None:
    subject = Subject(service=rollout.plan.service, digest=rollout.plan.version.digest)
    rollout.create.append(
        claim(
            name=f"{rollout.run}-{job.evidence}",
            subject=subject,
            check=job.evidence,
            verdict=verdict,
            source=f"run:{rollout.run}/{job.name}",
            now=rollout.now,
            message=message,
        )
    )


def _tell_job(rollout: Rollout, step: str, outcome: str, message: str) -> None:
    rollout.events.append(
        events.task_finished(
            rollout.run,
            step,
            rollout.attempt(step),
            rollout.stream,
            rollout.spec.change,
            outcome,
            message,
        )
    )
