"""Builds as people look at them: a Run's jobs, logs in pages, repositories, the speed of feedback."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from andon.api.v1.answers import (
    Feedback,
    LogLines,
    LogOutline,
    LogSearch,
    RepositoryRow,
    RunGraph,
)
from andon.web.operations import SOMEWHERE, Call, Operation, Page, at_object, somewhere

StepName = Annotated[str, Meta(min_length=1, description="Name of the step.")]


class LogOf(Page, kw_only=True, frozen=True):
    """A step's log."""

    step: StepName


class LogPage(Page, kw_only=True, frozen=True):
    """A page of a step's log."""

    step: StepName
    first: Annotated[
        int,
        Meta(
            ge=-(2**31),
            le=2**53,
            description="Number of the first line, from 0; negative: so many before the end.",
        ),
    ] = 0
    count: Annotated[int, Meta(ge=1, le=2000, description="At most so many lines.")] = 500


class LogQuestion(Page, kw_only=True, frozen=True):
    """What to look for in a step's log."""

    step: StepName
    text: Annotated[str, Meta(min_length=2, max_length=200, description="Whatever its case.")]
    first: Annotated[int, Meta(ge=0, le=2**53, description="The line to begin at.")] = 0


class LogFrom(Page, kw_only=True, frozen=True):
    """Where to begin in a step's log."""

    step: StepName
    offset: Annotated[int, Meta(ge=0, le=2**62, description="Bytes from the beginning.")] = 0


async def _graph(call: Call) -> Any:
    """Return a Run as its page shows it: jobs, critical path, failed tests."""
    return await call.builds.graph(call.path("name"))


async def _outline(call: Call) -> Any:
    """Say how long a step's log is, and what folds in it."""
    return await call.builds.outline(call.path("name"), step=call.query.step)


async def _lines(call: Call) -> Any:
    """Return a page of a step's log as plain text in styles, secrets masked.

    Who follows a log asks on from ``next``; where the last line was ``unfinished``, from that one.
    """
    query = call.query
    return await call.builds.lines(
        call.path("name"), step=query.step, first=query.first, count=query.count
    )


async def _search(call: Call) -> Any:
    """Find a text in a step's log, so much of it at a time; ``next`` says where to go on."""
    query = call.query
    return await call.builds.search(
        call.path("name"), step=query.step, text=query.text, first=query.first
    )


async def _raw(call: Call) -> Response:
    """Return a step's log as it was written, secrets masked, as a file."""
    query = call.query
    pieces = await call.builds.raw(call.path("name"), step=query.step, offset=query.offset)
    headers = {"Content-Disposition": 'attachment; filename="log.txt"'}
    return StreamingResponse(pieces, media_type="text/plain; charset=utf-8", headers=headers)


async def _repositories(call: Call) -> Any:
    """List repositories and how their branches stand."""
    return await call.builds.repositories()


async def _repository(call: Call) -> Any:
    """Say how a repository's branches stand."""
    return await call.builds.repository(call.path("name"))


async def _feedback(call: Call) -> Any:
    """Say how fast the feedback of a repository is, and what would make it faster."""
    return await call.builds.feedback(call.path("name"))


_OF_RUN = at_object("view", "Run", otherwise=SOMEWHERE)

OPERATIONS = (
    Operation(
        name="runs_graph",
        method="GET",
        path="/runs/{name}/graph",
        rule=_OF_RUN,
        handler=_graph,
        answer=RunGraph,
    ),
    Operation(
        name="runs_log_outline",
        method="GET",
        path="/runs/{name}/log/outline",
        rule=_OF_RUN,
        handler=_outline,
        answer=LogOutline,
        query=LogOf,
    ),
    Operation(
        name="runs_log_lines",
        method="GET",
        path="/runs/{name}/log/lines",
        rule=_OF_RUN,
        handler=_lines,
        answer=LogLines,
        query=LogPage,
    ),
    Operation(
        name="runs_log_search",
        method="GET",
        path="/runs/{name}/log/search",
        rule=_OF_RUN,
        handler=_search,
        answer=LogSearch,
        query=LogQuestion,
    ),
    Operation(
        name="runs_log_raw",
        method="GET",
        path="/runs/{name}/log/raw",
        rule=_OF_RUN,
        handler=_raw,
        query=LogFrom,
        answer=str,
        media="text/plain",
    ),
    Operation(
        name="repositories_list",
        method="GET",
        path="/repositories",
        rule=somewhere("view"),
        handler=_repositories,
        answer=list[RepositoryRow],
    ),
    Operation(
        name="repositories_show",
        method="GET",
        path="/repositories/{name}",
        rule=somewhere("view"),
        handler=_repository,
        answer=RepositoryRow,
    ),
    Operation(
        name="repositories_feedback",
        method="GET",
        path="/repositories/{name}/feedback",
        rule=somewhere("view"),
        handler=_feedback,
        answer=Feedback,
    ),
)
