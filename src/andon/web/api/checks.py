"""Checks: how they stand, and what workers on other machines tell of them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1 import answers
from andon.api.v1.checks import CheckResult
from andon.web.operations import Ask, Call, Operation, Page, everywhere


class WhichResults(Page, kw_only=True, frozen=True):
    """How much of the past."""

    most: Annotated[int, Meta(ge=1, le=1000, description="Results, newest first.")] = 100


class ResultsAsk(Ask, kw_only=True, frozen=True):
    """What came of asking."""

    results: Annotated[
        tuple[CheckResult, ...],
        Meta(max_length=1000, description="What came of asking, each once."),
    ]


async def _list(call: Call) -> Any:
    """List Checks and how they stand."""
    return await call.checks.list()


async def _show(call: Call) -> Any:
    """Return a Check with its newest results."""
    return await call.checks.show(call.path("name"), most=call.query.most)


async def _ask(call: Call) -> Any:
    """Ask a Check from here and now; it counts nowhere."""
    return await call.checks.ask(call.path("name"))


async def _orders(call: Call) -> Any:
    """List what a worker on another machine is to ask."""
    return await call.checks.of_worker(call.path("name"), who=call.caller)


async def _take(call: Call) -> Any:
    """Take what came of a worker's asking."""
    return await call.checks.take(call.path("name"), call.body.results, who=call.caller)


OPERATIONS = (
    Operation(
        name="checks_list",
        method="GET",
        path="/checks",
        rule=everywhere("view"),
        handler=_list,
        answer=list[answers.Check],
    ),
    Operation(
        name="checks_show",
        method="GET",
        path="/checks/{name}",
        rule=everywhere("view"),
        handler=_show,
        answer=answers.CheckHistory,
        query=WhichResults,
    ),
    Operation(
        name="checks_ask",
        method="POST",
        path="/checks/{name}/ask",
        rule=everywhere("operate"),
        handler=_ask,
        answer=answers.CheckResultRow,
    ),
    Operation(
        name="workers_checks",
        method="GET",
        path="/workers/{name}/checks",
        rule=everywhere("work"),
        handler=_orders,
        answer=list[answers.CheckOrder],
    ),
    Operation(
        name="workers_check_results",
        method="POST",
        path="/workers/{name}/checks",
        rule=everywhere("work"),
        handler=_take,
        answer=answers.CheckTaken,
        body=ResultsAsk,
    ),
)
