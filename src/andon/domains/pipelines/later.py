"""Jobs that nothing waits for: a Run of their own, whose verdict can still pull the cord."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from andon.api.v1.control import Event, Link, NewObject, Selector
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import HoldSpec, HoldStatus, Object, RunSpec, RunStatus, Subject
from andon.api.v1.steps import Steps
from andon.domains.line import events
from andon.domains.line.evidence import subject_labels
from andon.domains.pipelines.claims import WELL
from andon.domains.pipelines.layout import Layout, needs_of_later
from andon.kernel.digest import short


def selectors(run: Object) -> dict[str, Selector]:
    """See what the Run's Change was packed as, if its verdict comes later than that."""
    plan: BuildPlan | None = run.spec.build
    if plan is None or not plan.later_for:
        return {}
    return {"artifacts": Selector(kind="Artifact", labels={"change": run.spec.change})}


def plan_later(run: Object, layout: Layout, rows: Steps) -> NewObject:
    """Make the Run of the jobs that nothing waits for.

    Args:
        run: The Run that succeeded without them.
        layout: Of its plan.
        rows: Its steps.
    """
    spec: RunSpec = run.spec
    assert spec.build is not None
    done = {row.name: row.artifact for row in rows.among(*WELL)}
    plan = replace(
        spec.build,
        jobs=layout.later,
        packs=(),
        concurrency="",
        cancel_older=False,
        later_for=run.name,
        given=needs_of_later(layout, done),
    )
    return NewObject(
        kind="Run",
        name=f"{run.name}-later",
        spec=replace(spec, build=plan),
        status=RunStatus(),
        labels={key: value for key, value in run.labels.items() if key != "concurrency"},
    )


def subjects(artifacts: Iterable[Object]) -> tuple[Subject, ...]:
    """Name the artifacts that a later verdict is about."""
    found = {(one.spec.service, one.spec.digest) for one in artifacts}
    return tuple(Subject(service=service, digest=digest) for service, digest in sorted(found))


def pull_cord(
    run: Object, job: JobPlan, about: Iterable[Subject], message: str, now: float
) -> Iterator[tuple[NewObject, Event]]:
    """Stop what was built: a job that nothing waited for has failed by the change's fault.

    Args:
        run: The job's Run.
        job: The job.
        about: What was built.
        message: How it failed.
        now: Seconds since the Unix epoch.
    """
    for digest in dict.fromkeys(one.digest for one in about):
        name = f"{run.name}-{job.name}-{short(digest)}"
        scope = Subject(digest=digest)
        hold = HoldSpec(
            scope=scope,
            reason=f"{job.name} failed after the build: {message}",
            source=f"pipeline:{job.name}",
            created_at=now,
            run=run.name,
        )
        yield _hold(name, hold), _pulled(name, hold, run)


def _hold(name: str, hold: HoldSpec) -> NewObject:
    return NewObject(
        kind="Hold",
        name=name,
        spec=hold,
        status=HoldStatus(),
        labels={"state": "active", **subject_labels(hold.scope)},
    )


def _pulled(name: str, hold: HoldSpec, run: Object) -> Event:
    return events.extension(
        "hold",
        "pulled",
        id=f"hold/{name}/pulled",
        stream="org",
        about=name,
        chain=run.spec.change,
        links=(Link(target=f"run/{run.name}/started"),),
        content={"source": hold.source, "scope": str(hold.scope), "reason": hold.reason},
    )
