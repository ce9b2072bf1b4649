"""Log lines of everything that runs: found, counted, followed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from msgspec import Meta
from starlette.responses import Response

from andon.api.v1.answers import LineHistogram, LineTemplate, SaidLine, SaidLines
from andon.kernel.errors import UsageError
from andon.ports.telemetry import LogLine, LogQuestion, Matcher, MatchOp
from andon.web.doorkeeper import credential
from andon.web.operations import Call, Operation, Page, in_query
from andon.web.tailing import Rows, Tail

_DAY_SECONDS = 86_400
_NS = 1_000_000_000
_AHEAD_SECONDS = 5
"""Clocks of those who tell may be ahead by so much."""
_CONDITION = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]{0,99})(=~|!~|!=|=)(.*)", re.DOTALL)
_OPS: dict[str, MatchOp] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
Moment = Annotated[float, Meta(ge=0, le=9e9, description="Seconds since the Unix epoch.")]


class WhichLines(Page, kw_only=True, frozen=True):
    """Names lines."""

    text: Annotated[str, Meta(max_length=500, description="They contain, whatever the case.")] = ""
    pattern: Annotated[
        str,
        Meta(
            max_length=1000,
            description="Regular expression that they match; no back-references, no looking around.",
        ),
    ] = ""
    service: Annotated[str, Meta(max_length=256, description="Of this service.")] = ""
    environment: Annotated[str, Meta(max_length=63, description="Of this environment.")] = ""
    source: Annotated[str, Meta(description="`service`, `job`, `gateway`, `otlp` or `andon`.")] = ""
    label: Annotated[
        tuple[Annotated[str, Meta(max_length=1000)], ...],
        Meta(max_length=20, description="Condition on a label: `name=value`, `!=`, `=~`, `!~`."),
    ] = ()
    severity: Annotated[
        str,
        Meta(description="At least: `trace`, `debug`, `info`, `warn`, `error`, `fatal`."),
    ] = ""
    template: Annotated[int, Meta(ge=0, le=2**53, description="Of this template.")] = 0
    trace: Annotated[str, Meta(max_length=64, description="Of this trace.")] = ""


class Between(WhichLines, kw_only=True, frozen=True):
    """Names lines of a time."""

    since_seconds: Annotated[
        float, Meta(gt=0, le=3660 * _DAY_SECONDS, description="How far back, without `start`.")
    ] = 3600
    start: Annotated[Moment, Meta(description="Not before.")] = 0
    end: Annotated[Moment, Meta(description="Before; 0: now.")] = 0


class PageOfLines(Between, kw_only=True, frozen=True):
    """Names a page of lines."""

    limit: Annotated[int, Meta(ge=1, le=5000, description="At most so many.")] = 100
    before: Annotated[str, Meta(max_length=60, description="`next` of the page before.")] = ""


class MostFrequent(Between, kw_only=True, frozen=True):
    """Names the templates of lines."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 50


class Bars(Between, kw_only=True, frozen=True):
    """Names lines to be counted over time."""

    bars: Annotated[int, Meta(ge=1, le=500, description="So many parts of the time.")] = 60


async def _search(call: Call) -> Any:
    """Find log lines of services, jobs, OTLP and Andon itself, newest first."""
    query: PageOfLines = call.query
    found = await call.logs.search(_question(call, limit=query.limit, before=query.before))
    return {"lines": [_row(one) for one in found.lines], "next": found.next}


async def _templates(call: Call) -> Any:
    """Count what log lines have in common, most frequent first."""
    found = await call.logs.templates(_question(call, limit=call.query.limit))
    # The example is the first line that was ever like it, wherever that was.
    everything = call.caller.sees_everything
    return [
        {
            "id": one.id,
            "text": one.text,
            "lines": one.count,
            "firstAt": one.first_ns / _NS,
            "lastAt": one.last_ns / _NS,
            "example": one.example if everything else "",
        }
        for one in found
    ]


async def _histogram(call: Call) -> Any:
    """Count log lines over time, by severity."""
    question = _question(call)
    found = await call.logs.histogram(question, call.query.bars)
    width = (question.end_ns - question.start_ns) / len(found) / _NS
    bars = [{"at": one.start_ns / _NS, "counts": one.counts} for one in found]
    return {"barSeconds": width, "bars": bars}


async def _tail(call: Call) -> Response:
    """Follow log lines as they come, as server-sent events whose data is a line."""
    who = call.caller
    brought = credential(call.request)
    question = _asked(call, 0, 1, limit=1)
    rows = _rows(call.logs.tail(question))
    closing = call.request.app.state.closing
    return Tail(rows, lambda: brought.holder(call.access) == who, closing)


async def _rows(lines: AsyncIterator[list[LogLine]]) -> AsyncIterator[Rows]:
    async for some in lines:
        yield [dict(_row(one)) for one in some]


def _question(call: Call, **more: Any) -> LogQuestion:
    query: Between = call.query
    end = query.end or call.logs.now() + _AHEAD_SECONDS
    start = query.start or max(0.0, end - query.since_seconds)
    if start >= end:
        raise UsageError("the time ends before it begins", hint="`start` is before `end`")
    return _asked(call, int(start * _NS), int(end * _NS), **more)


def _asked(call: Call, start_ns: int, end_ns: int, **more: Any) -> LogQuestion:
    query: WhichLines = call.query
    named = {
        "service": query.service,
        "environment": query.environment,
        "source": query.source,
    }
    labels = [Matcher(name, "=", value) for name, value in named.items() if value]
    labels += [_condition(one) for one in query.label]
    return LogQuestion(
        start_ns=start_ns,
        end_ns=end_ns,
        labels=(*labels, *_allowed(call)),
        text=query.text,
        pattern=query.pattern,
        template=query.template,
        trace=query.trace,
        severity=query.severity,
        **more,
    )


def _condition(text: str) -> Matcher:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is no condition on a label", hint="such as `service=shop` or `zone=~eu.*`"
        )
    return Matcher(found[1], _OPS[found[2]], found[3])


def _allowed(call: Call) -> list[Matcher]:
    """Return conditions that leave out what the caller may not see, also from what is counted."""
    who = call.caller
    if who.sees_everything:
        return []
    places = {grant.environment for grant in who.grants if who.may("view", grant.environment)}
    mine = "|".join(["", *map(re.escape, sorted(places))])
    return [Matcher("environment", "=~", mine), Matcher("source", "!=", "andon")]


def _row(line: LogLine) -> SaidLine:
    labels = line.labels
    return {
        "at": line.at_ns / _NS,
        "text": line.text,
        "severity": line.severity,
        "source": labels.get("source", ""),
        "service": labels.get("service", ""),
        "environment": labels.get("environment", ""),
        "trace": line.trace,
        "span": line.span,
        "template": line.template,
        "labels": labels,
        "attributes": line.attributes,
    }


OPERATIONS = (
    Operation(
        name="logs_search",
        method="GET",
        path="/telemetry/logs",
        rule=in_query("view"),
        handler=_search,
        answer=SaidLines,
        query=PageOfLines,
    ),
    Operation(
        name="logs_templates",
        method="GET",
        path="/telemetry/logs/templates",
        rule=in_query("view"),
        handler=_templates,
        answer=list[LineTemplate],
        query=MostFrequent,
    ),
    Operation(
        name="logs_histogram",
        method="GET",
        path="/telemetry/logs/histogram",
        rule=in_query("view"),
        handler=_histogram,
        answer=LineHistogram,
        query=Bars,
    ),
    Operation(
        name="logs_tail",
        method="GET",
        path="/telemetry/logs/tail",
        rule=in_query("view"),
        handler=_tail,
        query=WhichLines,
        answer=str,
        media="text/event-stream",
    ),
)
