"""What a build Run will do."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Set

from andon.api.expressions import Wrong
from andon.api.pipelines_check import Templates
from andon.api.v1.jobs import BuildPlan, JobPlan, PackPlan
from andon.api.v1.pipelines import ChangeFacts, PipelineSpec
from andon.api.v1.records import ENDED_STEP, ChangeSpec, StepState
from andon.domains.pipelines.conditions import Situation
from andon.domains.pipelines.expand import Typed, expand, no_typed_steps
from andon.domains.pipelines.keys import with_keys
from andon.domains.pipelines.rules import branch_name
from andon.kernel.errors import InvalidDocument

BuildPlanner = Callable[[ChangeSpec], BuildPlan]
LETS_ON = frozenset({"passed", "quarantined"})
"""What a job that others need must have become."""


def build_planner(typed: Typed = no_typed_steps) -> BuildPlanner:
    """Return what plans builds.

    Args:
        typed: Says what typed steps come to.
    """

    def plan(change: ChangeSpec) -> BuildPlan:
        packs = tuple(
            PackPlan(service=name, path=service.artifact.path, job=service.artifact.job or "")
            for name, service in sorted(change.services.items())
        )
        group = change.pipeline.concurrency
        try:
            jobs = expand_change(change, typed)
            word = group_of(change.pipeline, facts_of(change))
        except InvalidDocument as error:
            jobs, word = (_refused(error),), ""
        packed = {pack.job for pack in packs}
        return BuildPlan(
            repository=change.repository,
            sha=change.sha,
            jobs=with_keys(jobs, change.input_digests, packed),
            packs=packs,
            trusted=change.trusted,
            concurrency=word,
            cancel_older=group is not None and group.when_busy == "cancel-older",
            quarantine=change.pipeline.quarantine,
            flake_budget_ratio=change.pipeline.flake_budget_ratio,
        )

    return plan


def facts_of(change: ChangeSpec) -> ChangeFacts:
    """Return what expressions and rules know of a Change.

    Its paths tell nothing of a Run that a schedule asks for: all of it runs.
    """
    return ChangeFacts(
        branch=branch_name(change.ref),
        event=change.event,
        author=change.author,
        message=change.message,
        paths=None if change.event == "schedule" else change.paths,
        trusted=change.trusted,
    )


def expand_change(change: ChangeSpec, typed: Typed = no_typed_steps) -> tuple[JobPlan, ...]:
    """Return the jobs of a Change's build.

    Raises:
        InvalidDocument: An expression cannot be evaluated for it.
    """
    return expand(change.pipeline, facts_of(change), change.templates, change.origins, typed)


def check_plannable(
    pipeline: PipelineSpec,
    facts: ChangeFacts,
    templates: Templates,
    origins: Mapping[str, str],
    typed: Typed = no_typed_steps,
) -> None:
    """Refuse a Pipeline that comes to nothing for a change, before it is on the line.

    Raises:
        InvalidDocument: One cannot be evaluated, or a typed step is not known.
    """
    expand(pipeline, facts, templates, origins, typed)
    group_of(pipeline, facts)


def group_of(pipeline: PipelineSpec, facts: ChangeFacts) -> str:
    """Return the word of which one build runs at a time; empty: none.

    Raises:
        InvalidDocument: An expression in it cannot be evaluated.
    """
    if pipeline.concurrency is None:
        return ""
    try:
        return Situation(facts).filled(pipeline.concurrency.name)
    except Wrong as wrong:
        message = f"the Pipeline's concurrency: {wrong.message}"
        raise InvalidDocument(message, hint=wrong.hint) from None


def _refused(error: InvalidDocument) -> JobPlan:
    """Plan what fails and says why, in place of jobs whose rules cannot be known."""
    return JobPlan(name="plan", run=f"echo {shlex.quote(str(error))} >&2; exit 1", evidence="plan")


plan_build = build_planner()
"""Plans builds without typed steps."""


def may_begin(job: JobPlan, ordinary: Set[str], state: Callable[[str], StepState]) -> bool:
    """Say whether a job that waits may begin.

    A job begins when its needs have passed, but for quarantined tests; a clean-up job when they have
    ended, however that was, and if it names none, when all ordinary jobs have.

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


def pack_step(pack: PackPlan) -> str:
    """Return the name of the step that packs a service."""
    return f"pack-{pack.service}"
