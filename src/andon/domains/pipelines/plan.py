"""What a build Run will do."""

from __future__ import annotations

from andon.api.v1.definitions import DeployJob, Job
from andon.api.v1.records import BuildPlan, ChangeSpec, JobPlan, PackPlan


def plan_job(name: str, job: Job) -> JobPlan:
    """Turn a job definition into what the executor needs.

    >>> plan_job("unit", Job(run="make test")).evidence
    'unit'
    """
    return JobPlan(
        name=name,
        run=job.run,
        needs=job.needs,
        env=job.env,
        timeout_seconds=job.timeout_seconds,
        evidence=job.evidence or name,
        network=job.network,
        concurrency=job.concurrency or "",
        irreversible=isinstance(job, DeployJob) and job.irreversible,
    )


def plan_build(change: ChangeSpec) -> BuildPlan:
    """Plan the jobs of a Change's pipeline and the artifacts to pack afterwards.

    Args:
        change: The Change with its own definitions.
    """
    return BuildPlan(
        repository=change.repository,
        sha=change.sha,
        jobs=tuple(plan_job(name, job) for name, job in change.pipeline.jobs.items()),
        packs=tuple(
            PackPlan(service=name, path=service.artifact.path, job=service.artifact.job or "")
            for name, service in sorted(change.services.items())
        ),
    )


def ready_jobs(jobs: tuple[JobPlan, ...], passed: set[str], begun: set[str]) -> tuple[str, ...]:
    """Return the jobs whose needs have passed and that have not begun, in the order written.

    >>> jobs = (JobPlan(name="a", run=":"), JobPlan(name="b", run=":", needs=("a",)))
    >>> ready_jobs(jobs, set(), set()), ready_jobs(jobs, {"a"}, {"a"})
    (('a',), ('b',))
    """
    return tuple(job.name for job in jobs if job.name not in begun and passed.issuperset(job.needs))
