"""What a build Run will do."""

from __future__ import annotations

from collections.abc import Set

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
        always=job.always,
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


def ready_jobs(
    jobs: tuple[JobPlan, ...],
    passed: set[str],
    begun: set[str],
    ended: Set[str] = frozenset(),
) -> tuple[str, ...]:
    """Return the jobs that may begin, in the order written.

    A job begins when its needs have passed; a clean-up job when they have ended, however that was, and
    if it names none, when all ordinary jobs have.

    Args:
        jobs: All jobs.
        passed: Those that passed.
        begun: Those that began, or never will.
        ended: Those that ended, in whatever way.

    >>> jobs = (JobPlan(name="a", run=":"), JobPlan(name="b", run=":", needs=("a",)))
    >>> ready_jobs(jobs, set(), set()), ready_jobs(jobs, {"a"}, {"a"})
    (('a',), ('b',))
    >>> ready_jobs((*jobs, JobPlan(name="c", run=":", always=True)), set(), {"a", "b"}, {"a", "b"})
    ('c',)
    """
    ordinary = tuple(job.name for job in jobs if not job.always)

    def may_begin(job: JobPlan) -> bool:
        return ended >= set(job.needs or ordinary) if job.always else passed.issuperset(job.needs)

    return tuple(job.name for job in jobs if job.name not in begun and may_begin(job))
