"""What is, and why: reads only."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import PlainTextResponse, Response

from andon.api.v1.answers import (
    Change,
    ChangeWithRuns,
    DiffForeseen,
    Document,
    Health,
    Incident,
    ScheduleRow,
    Status,
    Why,
)
from andon.api.v1.kinds import INNER, RECORDS
from andon.kernel.errors import Denied, InvalidDocument, NotFound
from andon.ports.news import Sees
from andon.web.bodies import refuse_nul
from andon.web.doorkeeper import credential
from andon.web.operations import (
    Call,
    Operation,
    Page,
    Rule,
    everybody,
    everywhere,
    in_query,
    of_known_repository,
    somewhere,
)
from andon.web.stream import open_stream

Limit = Annotated[int, Meta(ge=1, le=1000, description="At most so many.")]
After = Annotated[str, Meta(description="Name of the last row of the page before.")]


class InEnvironment(Page, kw_only=True, frozen=True):
    """Narrows to an environment."""

    environment: Annotated[str, Meta(description="Only there; empty: everywhere.")] = ""


class OfSubject(Page, kw_only=True, frozen=True):
    """Names what is asked about."""

    subject: Annotated[
        str,
        Meta(
            min_length=1, description="Change, service, environment, Run, or a digest's beginning."
        ),
    ]
    environment: Annotated[str, Meta(description="Only there; empty: everywhere.")] = ""


class OfCommit(Page, kw_only=True, frozen=True):
    """Names a commit and where it would go."""

    repository: Annotated[str, Meta(min_length=1, description="Path or URL.")]
    environment: Annotated[str, Meta(min_length=1, description="Where it would go.")]
    ref: Annotated[str, Meta(description="Branch, tag or sha.")] = "HEAD"


class Following(Page, kw_only=True, frozen=True):
    """Where to go on."""

    after: Annotated[
        int,
        Meta(ge=-1, le=2**62, description="Sequence of the last event seen; -1: only what is new."),
    ] = -1


class Changes(Page, kw_only=True, frozen=True):
    """A page of Changes."""

    limit: Limit = 50
    after: After = ""


async def _health(call: Call) -> Any:
    """Say that Andon answers; to those who may look, how it is."""
    known = call.identity is not None and call.identity.may_somewhere("view")
    return await call.line.health() if known else {"ok": True}


async def _metrics(call: Call) -> Response:
    """Return Andon's own metrics in the Prometheus text format."""
    return PlainTextResponse(await call.line.metrics(), media_type="text/plain; version=0.0.4")


async def _status(call: Call) -> Any:
    """Say what runs where and what moves."""
    return await call.line.status(environment=call.query.environment)


async def _why(call: Call) -> Any:
    """Explain what holds a change, service, environment, run or digest, and what would open it."""
    query = call.query
    return await call.line.why(query.subject, environment=query.environment, sees=_sees(call))


async def _whose(call: Call) -> str:
    """Return the environment of a question: the very subject of it, wherever else it may point to."""
    return await call.line.environment_named(call.query.subject) or str(call.query.environment)


def _sees(call: Call) -> Sees | None:
    """Say what the caller may see; None: everything."""
    who = call.caller
    return None if who.sees_everything else (lambda place: who.may("view", place))


async def _diff(call: Call) -> Any:
    """Say what a ship would change in an environment."""
    query = call.query
    told = await call.line.diff(
        repository=query.repository, ref=query.ref, environment=query.environment
    )
    ahead = await call.judging.foresee_diff(told) if call.offices.judging else []
    return {**told, "forecasts": ahead}


async def _changes(call: Call) -> Any:
    """List Changes, newest first."""
    return await call.line.changes(limit=call.query.limit, after=call.query.after)


async def _change(call: Call) -> Any:
    """Return a Change with its Runs and their steps."""
    return await call.line.change(call.path("name"))


async def _schedules(call: Call) -> Any:
    """List what is built again by the clock, the next one first."""
    return await call.line.schedules()


async def _incidents(call: Call) -> Any:
    """List incidents, newest first."""
    return await call.line.incidents()


async def _objects(call: Call) -> Any:
    """List stored objects of a kind, those with all these labels."""
    labels = dict(call.request.query_params)
    refuse_nul(labels, "the query")
    return await call.line.objects(_kind(call), labels=labels)


async def _object(call: Call) -> Any:
    """Return one stored object."""
    return await call.line.object(_kind(call), call.path("name"))


def _kind(call: Call) -> str:
    kind = call.path("kind")
    if kind not in RECORDS or kind in INNER:
        known = ", ".join(sorted(set(RECORDS) - INNER))
        raise NotFound(f"there is no kind {kind}", hint=f"known: {known}")
    return kind


async def _write_object(call: Call) -> Any:
    """Refuse: definitions are written in git, records by controllers."""
    kind = _kind(call)
    raise Denied(
        f"{kind} {call.path('name')} is not written here: definitions live in git",
        hint="change andon.yaml, commit, and `andon ship`",
    )


async def _events(call: Call) -> Any:
    """Follow what happens, as server-sent events.

    ``event`` has an Event as its data and the ledger sequence as its id, ``progress`` a Run whose numbers
    moved. Who was cut off sends the last id as ``Last-Event-ID`` (or ``after``) and misses nothing.
    """
    who = call.caller
    brought = credential(call.request)
    # Who may see more or less meanwhile comes again, and is shown that.
    return await open_stream(
        call.line, call.request, _sees(call), still=lambda: brought.holder(call.access) == who
    )


OPERATIONS = (
    Operation(
        name="health",
        method="GET",
        path="/health",
        rule=everybody(),
        handler=_health,
        answer=Health,
    ),
    Operation(
        name="metrics",
        method="GET",
        path="/metrics",
        rule=everywhere("view"),
        handler=_metrics,
        media="text/plain",
    ),
    Operation(
        name="status",
        method="GET",
        path="/status",
        rule=in_query("view"),
        handler=_status,
        answer=Status,
        query=InEnvironment,
    ),
    Operation(
        name="why",
        method="GET",
        path="/why",
        rule=Rule(
            verb="view",
            where=_whose,
            place="in the environment of the question; anywhere without one",
        ),
        handler=_why,
        answer=Why,
        query=OfSubject,
    ),
    Operation(
        name="diff",
        method="GET",
        path="/diff",
        rule=of_known_repository(in_query("view")),
        handler=_diff,
        refuses=(InvalidDocument,),
        answer=DiffForeseen,
        query=OfCommit,
    ),
    Operation(
        name="changes_list",
        method="GET",
        path="/changes",
        rule=somewhere("view"),
        handler=_changes,
        answer=list[Change],
        query=Changes,
        cursor="name",
    ),
    Operation(
        name="changes_show",
        method="GET",
        path="/changes/{name}",
        rule=somewhere("view"),
        handler=_change,
        answer=ChangeWithRuns,
    ),
    Operation(
        name="schedules_list",
        method="GET",
        path="/schedules",
        rule=somewhere("view"),
        handler=_schedules,
        answer=list[ScheduleRow],
    ),
    Operation(
        name="incidents_list",
        method="GET",
        path="/incidents",
        rule=somewhere("view"),
        handler=_incidents,
        answer=list[Incident],
    ),
    Operation(
        name="objects_list",
        method="GET",
        path="/objects/{kind}",
        rule=everywhere("view"),
        handler=_objects,
        labels=True,
        answer=list[Document],
    ),
    Operation(
        name="objects_show",
        method="GET",
        path="/objects/{kind}/{name}",
        rule=everywhere("view"),
        handler=_object,
        answer=Document,
    ),
    Operation(
        name="objects_write",
        method="PUT",
        path="/objects/{kind}/{name}",
        rule=somewhere("view"),
        handler=_write_object,
    ),
    Operation(
        name="events_follow",
        method="GET",
        path="/events",
        rule=somewhere("view"),
        handler=_events,
        query=Following,
        answer=str,
        media="text/event-stream",
        resumes=True,
    ),
)
