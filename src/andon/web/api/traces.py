"""Traces: reads only. They name services of all environments, so who looks may view everything."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1.answers import ServiceMap, TraceRow, TraceShown
from andon.kernel.errors import UsageError
from andon.web.operations import Call, Operation, Page, everywhere

_DAY_SECONDS = 86_400
_LONGEST_SECONDS = 1e9
Since = Annotated[
    float, Meta(gt=0, le=400 * _DAY_SECONDS, description="Seconds ago that it may go back.")
]


class WhichTraces(Page, kw_only=True, frozen=True):
    """Names traces."""

    service: Annotated[str, Meta(max_length=256, description="With a span of this service.")] = ""
    span: Annotated[str, Meta(max_length=256, description="With a span of this name.")] = ""
    min_seconds: Annotated[
        float, Meta(ge=0, le=_LONGEST_SECONDS, description="At least so long.")
    ] = 0
    failed: Annotated[bool, Meta(description="Only with a span that failed.")] = False
    attribute: Annotated[
        str, Meta(max_length=2000, description="With a span that has it, `name=value`.")
    ] = ""
    since_seconds: Since = 3600
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 50


class WhichServices(Page, kw_only=True, frozen=True):
    """Names a time."""

    since_seconds: Since = 3600


async def _list(call: Call) -> Any:
    """List traces that are kept, newest first: those that failed, slow ones, and a share of the rest."""
    query: WhichTraces = call.query
    name, sign, value = query.attribute.partition("=")
    if query.attribute and not (name and sign):
        raise UsageError(f"an attribute is asked for as name=value, not as {query.attribute!r}")
    return await call.traces.list(
        service=query.service,
        name=query.span,
        min_seconds=query.min_seconds,
        failed=query.failed,
        attributes={name: value} if sign else {},
        since_seconds=query.since_seconds,
        limit=query.limit,
    )


async def _show(call: Call) -> Any:
    """Return a trace as a waterfall; by its id, or by the name of a Change or Run."""
    return await call.traces.show(call.path("name"))


async def _services(call: Call) -> Any:
    """Say which service called which, how often, and how that went."""
    return await call.traces.services(since_seconds=call.query.since_seconds)


OPERATIONS = (
    Operation(
        name="traces_list",
        method="GET",
        path="/telemetry/traces",
        rule=everywhere("view"),
        handler=_list,
        answer=list[TraceRow],
        query=WhichTraces,
    ),
    Operation(
        name="traces_show",
        method="GET",
        path="/telemetry/traces/{name}",
        rule=everywhere("view"),
        handler=_show,
        answer=TraceShown,
    ),
    Operation(
        name="traces_services",
        method="GET",
        path="/telemetry/services",
        rule=everywhere("view"),
        handler=_services,
        answer=ServiceMap,
        query=WhichServices,
    ),
)
