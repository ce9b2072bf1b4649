"""Jobs that are done when people said so: they run nothing, and waiting is a state."""

from __future__ import annotations

from andon.api.v1.approvals import ApprovalSpec
from andon.api.v1.control import Event, Link, Selector
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import Object, RunSpec, Subject
from andon.domains.line import events
from andon.domains.line.approvals import as_actor, consents, tell
from andon.domains.line.gate import ONE
from andon.domains.pipelines.layout import layout_of

REASON = "ApprovalMissing"
"""Reason in the status of a Run in which nothing goes on before people consent."""
NEWEST = 50


def selectors(run: Object) -> dict[str, Selector]:
    """See consents to the Run's Change, if any job waits for one."""
    spec: RunSpec = run.spec
    if spec.build is None or not layout_of(spec.build).consents:
        return {}
    return {"approvals": Selector(kind="Approval", labels={"change": spec.change}, newest=NEWEST)}


def wakes(changed: Object) -> tuple[Selector, ...]:
    """Wake the builds of a Change to one of whose jobs somebody consented."""
    if changed.kind != "Approval" or not changed.spec.job:
        return ()
    change = changed.spec.subject.change
    return (Selector(kind="Run", labels={"type": "build", "change": change}),)


def given(run: Object, job: JobPlan, approvals: tuple[Object, ...]) -> tuple[ApprovalSpec, ...]:
    """Return the consents that count for a job: those given since its Run came.

    Args:
        run: The Run.
        job: The job.
        approvals: Approvals of its Change.
    """
    subject = Subject(change=run.spec.change)
    rule = job.approval or ONE
    return consents(subject, approvals, rule, since=run.created_at, job=job.name)


def lack(run: Object, job: JobPlan, approvals: tuple[Object, ...]) -> str:
    """Say who is missing; empty: nobody."""
    rule = job.approval or ONE
    found = given(run, job, approvals)
    return tell(rule, found) if len(found) < rule.count else ""


def requested(run: Object, job: JobPlan, stream: str) -> Event:
    """A job waits for people.

    Args:
        run: The Run.
        job: The job.
        stream: The Run's chain.
    """
    rule = job.approval or ONE
    return events.extension(
        "approval",
        "requested",
        id=f"run/{run.name}/approval/{job.name}",
        stream=stream,
        about=run.name,
        chain=run.spec.change,
        links=(Link(target=f"run/{run.name}/started"),),
        content={
            "job": job.name,
            "people": list(rule.people),
            "count": rule.count,
            "given": [],
        },
    )


def names(found: tuple[ApprovalSpec, ...]) -> list[str]:
    """Name who consented."""
    return [as_actor(one.by) for one in found]
