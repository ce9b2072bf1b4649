"""Results of jobs that say everything they depend on: where that is the same, the result counts.

A stranger's change may use results and makes none; a Run that a schedule asked for looks again.
"""

from __future__ import annotations

from andon.api.v1.control import NewObject, Selector, View
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import Empty, JobResultSpec, Object, RunSpec, StepRow
from andon.domains.pipelines.layout import layout_of

_SELECTOR = "result:"


def selectors(run: Object) -> dict[str, Selector]:
    """See the newest result of each job, before a Run begins; not after."""
    spec: RunSpec = run.spec
    if spec.build is None or spec.schedule or run.status.started_at:
        return {}
    return {
        f"{_SELECTOR}{job.name}": Selector(kind="JobResult", labels={"key": job.key}, newest=1)
        for job in layout_of(spec.build).keyed
    }


def known_result(job: JobPlan, plan: BuildPlan, view: View, now: float) -> JobResultSpec | None:
    """Return the result that counts for a job, if there is one and what it left is still kept."""
    for found in view.related.get(f"{_SELECTOR}{job.name}", ()):
        spec: JobResultSpec = found.spec
        kept = not spec.expires_at or now < spec.expires_at
        if kept and (spec.key, spec.repository) == (job.key, plan.repository):
            return spec
    return None


def makes_result(job: JobPlan, plan: BuildPlan, row: StepRow) -> bool:
    """Say whether a job that passed may stand for others: trusted, and at the first go."""
    return bool(job.key) and plan.trusted and not row.failures


def result(run: Object, job: JobPlan, row: StepRow, now: float) -> NewObject:
    """Make the record that a job passed with its inputs.

    Args:
        run: The Run.
        job: The job.
        row: Its step, ended.
        now: Seconds since the Unix epoch.
    """
    spec: RunSpec = run.spec
    assert spec.build is not None
    return NewObject(
        kind="JobResult",
        name=f"{job.key}-{run.uid}",
        spec=JobResultSpec(
            key=job.key,
            repository=spec.build.repository,
            run=run.name,
            job=job.name,
            at=now,
            artifact=row.artifact,
            expires_at=now + job.keep_artifacts_seconds if row.artifact else 0,
        ),
        status=Empty(),
        labels={"key": job.key, "change": spec.change},
    )
