"""Objectives: how promises stand, how they were kept, and their documents in OpenSLO's words."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from andon.api.v1 import standings
from andon.ports.news import Sees
from andon.web.operations import Call, Operation, Page, somewhere


class WhichPromises(Page, kw_only=True, frozen=True):
    """Which promises."""

    service: Annotated[str, Meta(description="Only of this one; empty: of all.")] = ""
    environment: Annotated[str, Meta(description="Only there; empty: everywhere.")] = ""


class WhichPast(Page, kw_only=True, frozen=True):
    """How much of the past."""

    days: Annotated[float, Meta(gt=0, le=400, description="How long ago it begins.")] = 30


class WhichPeriod(Page, kw_only=True, frozen=True):
    """Which promises, and when."""

    begin: Annotated[float, Meta(description="Seconds since the Unix epoch.")]
    end: Annotated[float, Meta(description="Seconds since the Unix epoch.")]
    name: Annotated[str, Meta(description="Only of this Objective; empty: of all.")] = ""
    service: Annotated[str, Meta(description="Only of this service; empty: of all.")] = ""


class WhichDocument(Page, kw_only=True, frozen=True):
    """Which Objectives."""

    name: Annotated[str, Meta(description="Only this one; empty: all that are written.")] = ""


async def _board(call: Call) -> Any:
    """Return how all promises stand, those to look at first before others."""
    query = call.query
    return await call.objectives.board(
        service=query.service, environment=query.environment, sees=_sees(call)
    )


async def _objective(call: Call) -> Any:
    """Return an Objective with its history."""
    return await call.objectives.objective(
        call.path("name"), days=call.query.days, sees=_sees(call)
    )


async def _report(call: Call) -> Any:
    """Say how promises were kept in a period, without what was agreed beforehand."""
    query = call.query
    return await call.objectives.report(
        begin=query.begin,
        end=query.end,
        name=query.name,
        service=query.service,
        sees=_sees(call),
    )


async def _export(call: Call) -> Any:
    """Write Objectives as OpenSLO v1 documents."""
    return await call.objectives.openslo(call.query.name)


def _sees(call: Call) -> Sees:
    """Say what the caller may see; what runs nowhere here belongs to no environment."""
    who = call.caller
    return lambda place: not place or who.may("view", place)


OPERATIONS = (
    Operation(
        name="objectives_board",
        method="GET",
        path="/objectives",
        rule=somewhere("view"),
        handler=_board,
        answer=standings.Board,
        query=WhichPromises,
    ),
    Operation(
        name="objectives_report",
        method="GET",
        path="/objectives/report",
        rule=somewhere("view"),
        handler=_report,
        answer=standings.Report,
        query=WhichPeriod,
    ),
    Operation(
        name="objectives_export",
        method="GET",
        path="/objectives/export",
        rule=somewhere("view"),
        handler=_export,
        answer=standings.Exported,
        query=WhichDocument,
    ),
    Operation(
        name="objectives_show",
        method="GET",
        path="/objectives/{name}",
        rule=somewhere("view"),
        handler=_objective,
        answer=standings.Objective,
        query=WhichPast,
    ),
)
