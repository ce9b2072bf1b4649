"""How tests do: reads only."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import CaseHistory, CaseReport
from andon.web.operations import Call, Operation, Page, somewhere

Repository = Annotated[str, Meta(description="Path or URL; empty: that of the newest Run.")]
Pipeline = Annotated[str, Meta(description="Its name; empty: that of the newest Run.")]
Runs = Annotated[int, Meta(ge=1, le=500, description="So many of the newest Runs that ended.")]


class WhichReport(Page, kw_only=True, frozen=True):
    """Names a Pipeline."""

    repository: Repository = ""
    pipeline: Pipeline = ""
    runs: Runs = 100
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many rows of a kind.")] = 10
    owner: Annotated[
        str, Meta(max_length=200, description="Who is to mend what goes into quarantine.")
    ] = ""


class WhichHistory(Page, kw_only=True, frozen=True):
    """Names a suite of a Pipeline."""

    repository: Repository = ""
    pipeline: Pipeline = ""
    suite: Annotated[str, Meta(description="Only its tests; empty: those of all suites.")] = ""
    runs: Runs = 100


async def _report(call: Call) -> Any:
    """Say how the tests of a Pipeline do: slowest, newly failing, flaky; pyramid and flake budget."""
    query = call.query
    return await call.suites.report(
        repository=query.repository,
        pipeline=query.pipeline,
        runs=query.runs,
        limit=query.limit,
        owner=query.owner or call.caller.name,
    )


async def _history(call: Call) -> Any:
    """Say what splitting and selecting tests goes by: durations, failures, changes that broke tests."""
    query = call.query
    return await call.suites.history(
        repository=query.repository, pipeline=query.pipeline, suite=query.suite, runs=query.runs
    )


OPERATIONS = (
    Operation(
        name="tests_report",
        method="GET",
        path="/tests",
        rule=somewhere("view"),
        handler=_report,
        answer=CaseReport,
        query=WhichReport,
    ),
    Operation(
        name="tests_history",
        method="GET",
        path="/tests/history",
        rule=somewhere("view"),
        handler=_history,
        answer=CaseHistory,
        query=WhichHistory,
    ),
)
