"""What a build Run will do."""

from __future__ import annotations

from collections.abc import Callable, Set

from andon.api.v1.pipelines import DeployJob, Job
from andon.api.v1.records import (
    ENDED_STEP,
    PIPELINES,
    BuildPlan,
    ChangeSpec,
    JobPlan,
    PackPlan,
    SecretRef,
    StepState,
)

LETS_ON = frozenset({"passed", "quarantined"})
"""What a job that others need must have become."""


def plan_job(name: str, job: Job | DeployJob) -> JobPlan:
    """Turn a job definition into what the executor needs.

    >>> plan_job("unit", Job(run="make test")).evidence
    'unit'
    """
    return JobPlan(
        name=name,
        run=job.run or "",
        needs=job.needs,
        env=job.env,
        timeout_seconds=job.timeout_seconds,
        evidence=job.evidence or name,
        network=job.network,
        concurrency=job.concurrency or "",
        irreversible=isinstance(job, DeployJob) and job.irreversible,
        always=job.always,
        secrets={
            variable: SecretRef(name=secret, environment=PIPELINES)
            for variable, secret in job.secrets.items()
        },
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


def may_begin(job: JobPlan, ordinary: Set[str], state: Callable[[str], StepState]) -> bool:
    """Say whether a job that waits may begin.

    A job begins when its needs have passed, but for quarantined tests; a clean-up job when they have ended, however that was, and
    if it names none, when all ordinary jobs have.

    Args:
        job: The job.
        ordinary: Names of all jobs that are no clean-up.
        state: Tells the state of a job.

    >>> states = {"a": "passed", "b": "failed"}
    >>> may_begin(JobPlan(name="c", run=":", needs=("a",)), {"a", "b", "c"}, states.__getitem__)
    True
    >>> may_begin(JobPlan(name="d", run=":", needs=("b",)), {"a", "b", "d"}, states.__getitem__)
    False
    >>> may_begin(JobPlan(name="e", run=":", always=True), {"a", "b"}, states.__getitem__)
    True
    """
    if job.always:
        return all(state(name) in ENDED_STEP for name in job.needs or ordinary)
    return all(state(name) in LETS_ON for name in job.needs)
