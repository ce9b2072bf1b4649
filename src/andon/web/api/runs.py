"""Runs and the logs of their steps."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import CancelledRun, LogPiece, Run, RunWithSteps
from andon.web.api.reading import After, Limit
from andon.web.operations import SOMEWHERE, Ask, Call, Operation, Page, at_object, somewhere

_FILTERS = ("type", "phase", "change", "service", "environment")


class Runs(Page, kw_only=True, frozen=True):
    """A page of Runs."""

    type: Annotated[str, Meta(description="`build`, `rollout` or `rollback`; empty: all.")] = ""
    phase: Annotated[str, Meta(description="Only in this phase.")] = ""
    change: Annotated[str, Meta(description="Only of this Change.")] = ""
    service: Annotated[str, Meta(description="Only of this service.")] = ""
    environment: Annotated[str, Meta(description="Only there.")] = ""
    limit: Limit = 50
    after: After = ""


class WhichPiece(Page, kw_only=True, frozen=True):
    """A piece of a step's log."""

    step: Annotated[str, Meta(description="Name of the step.")] = ""
    offset: Annotated[int, Meta(ge=0, le=2**62, description="Bytes from the beginning.")] = 0
    max_bytes: Annotated[int, Meta(description="At most so many bytes.", ge=1, le=1 << 20)] = 65536


class CancelAsk(Ask, kw_only=True, frozen=True):
    """Have a Run end."""

    reason: Annotated[str, Meta(description="Why, for the people who will ask.")]


async def _list(call: Call) -> Any:
    """List Runs, newest first."""
    query = call.query
    filters = {name: value for name in _FILTERS if (value := getattr(query, name))}
    return await call.line.runs(filters=filters, limit=query.limit, after=query.after)


async def _show(call: Call) -> Any:
    """Return a Run with its steps; an unambiguous beginning of its name will do."""
    return await call.line.run(call.path("name"))


async def _log(call: Call) -> Any:
    """Read a piece of a step's log, secrets masked."""
    query = call.query
    return await call.line.log(
        call.path("name"), step=query.step, offset=query.offset, max_bytes=query.max_bytes
    )


async def _cancel(call: Call) -> Any:
    """Have a Run end with its clean-up steps, wherever it stands."""
    return await call.line.cancel(call.path("name"), asked=call.asked, reason=call.body.reason)


OPERATIONS = (
    Operation(
        name="runs_list",
        method="GET",
        path="/runs",
        rule=somewhere("view"),
        handler=_list,
        answer=list[Run],
        query=Runs,
        cursor="name",
    ),
    Operation(
        name="runs_show",
        method="GET",
        path="/runs/{name}",
        rule=at_object("view", "Run", otherwise=SOMEWHERE),
        handler=_show,
        answer=RunWithSteps,
    ),
    Operation(
        name="runs_log",
        method="GET",
        path="/runs/{name}/log",
        rule=at_object("view", "Run", otherwise=SOMEWHERE),
        handler=_log,
        answer=LogPiece,
        query=WhichPiece,
    ),
    Operation(
        name="runs_cancel",
        method="POST",
        path="/runs/{name}/cancel",
        rule=at_object("operate", "Run"),
        handler=_cancel,
        answer=CancelledRun,
        body=CancelAsk,
        status=201,
        once=True,
        revised=True,
    ),
)
