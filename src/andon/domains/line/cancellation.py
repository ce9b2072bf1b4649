"""A person's wish that a Run ends, as the controllers of Runs see it.

The wish is a record of its own, because a Run's status belongs to its controller. It has the Run's
name, so that asking twice is asking once.
"""

from __future__ import annotations

from andon.api.v1.control import Event, Link, NewObject, Selector, View
from andon.api.v1.records import CancellationSpec, Empty, Object
from andon.domains.line import events

REASON = "ByPerson"
"""Reason in the status of a Run that is or was cancelled."""


def selector(run: Object) -> Selector:
    """See the wish to cancel a Run."""
    return Selector(kind="Cancellation", name=run.name)


def wakes(changed: Object) -> tuple[Selector, ...]:
    """Wake the Run that is to be cancelled."""
    if changed.kind != "Cancellation":
        return ()
    return (Selector(kind="Run", name=changed.name),)


def wish(view: View) -> CancellationSpec | None:
    """Return the wish to cancel a Run, if a person has it."""
    found = view.related.get("cancellation", ())
    spec: CancellationSpec | None = found[0].spec if found else None
    return spec


def tell(wish: CancellationSpec) -> str:
    """Say who cancels, and why.

    >>> tell(CancellationSpec(run="r", by="person:ada", reason="wrong branch", asked_at=0))
    'cancelled by ada: wrong branch'
    """
    return f"cancelled by {wish.by.removeprefix('person:')}: {wish.reason}"


def record(wish: CancellationSpec) -> NewObject:
    """Make the record of a wish."""
    return NewObject(
        kind="Cancellation", name=wish.run, spec=wish, status=Empty(), labels={"run": wish.run}
    )


def asked(wish: CancellationSpec, run: Object) -> Event:
    """A person asked for it.

    Args:
        wish: What was asked.
        run: The Run it is about.
    """
    plan = run.spec.rollout
    stream = (
        events.environment_stream(plan.environment)
        if plan is not None
        else events.repository_stream(run.spec.build.repository)
    )
    return events.extension(
        "cancellation",
        "asked",
        id=_asked_id(run.name),
        stream=stream,
        about=run.name,
        chain=run.spec.change,
        links=(Link(target=f"run/{run.name}/started"),) if run.status.started_at else (),
        content={"by": wish.by, "reason": wish.reason},
    )


def cancelled(run: Object, stream: str, message: str) -> Event:
    """The Run ended as the person wished.

    Args:
        run: The Run, as it was before.
        stream: Its chain.
        message: Who cancelled it, and what became of the clean-up.
    """
    started = (Link(target=f"run/{run.name}/started"),) if run.status.started_at else ()
    return events.run_event(
        run.name,
        "finished",
        stream,
        run.spec.change,
        content={
            "pipelineName": run.name.split("-", 1)[0],
            "outcome": "cancel",
            "errors": message,
        },
        links=(*started, Link(target=_asked_id(run.name))),
    )


def _asked_id(run: str) -> str:
    return f"cancellation/{run}/asked"
