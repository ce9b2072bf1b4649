"""Metrics, as Prometheus's HTTP API has them: Grafana, promtool and whatever else speaks it work as they are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from msgspec import Meta, Struct, field
from starlette.responses import Response

from andon.api.v1.answers import Prometheus
from andon.kernel.errors import AndonError, InvalidDocument, UsageError
from andon.kernel.moments import read_moment, read_step
from andon.ports.metrics import Told
from andon.web.operations import Call, Operation, encode, everywhere

_TYPES = {400: "bad_data", 401: "unauthorized", 403: "forbidden", 404: "not_found",
          422: "execution", 500: "internal", 503: "unavailable", 504: "timeout"}  # fmt: skip

Moment = Annotated[str, Meta(description="Seconds since the epoch, or RFC 3339; empty: now.")]
Start = Annotated[
    str, Meta(description="The first moment; empty: as long ago as anything is known.")
]
End = Annotated[str, Meta(description="The last moment; empty: now.")]
Query = Annotated[str, Meta(description="PromQL.")]
Selectors = Annotated[tuple[str, ...], Meta(description="Selectors of series.", max_length=1000)]
Lookback = Annotated[str, Meta(description="Refused: a sample counts for five minutes.")]
Limit = Annotated[str, Meta(description="At most so many; empty: all.")]


class PromQuery(Struct, frozen=True, kw_only=True):
    """A query at one moment."""

    query: Query = ""
    time: Moment = ""
    lookback_delta: Lookback = ""


class PromRange(Struct, frozen=True, kw_only=True):
    """A query at every step of a time."""

    query: Query = ""
    start: Annotated[str, Meta(description="The first step.")] = ""
    end: Annotated[str, Meta(description="No step is later.")] = ""
    step: Annotated[str, Meta(description="Seconds, or a duration such as `15s`.")] = ""
    lookback_delta: Lookback = ""


class PromSelection(Struct, frozen=True, kw_only=True):
    """Some series."""

    match: Selectors = field(default=(), name="match[]")
    start: Start = ""
    end: End = ""
    limit: Limit = ""


class PromExemplars(Struct, frozen=True, kw_only=True):
    """Exemplars of the series in a query."""

    query: Query = ""
    start: Start = ""
    end: End = ""


class PromMetadata(Struct, frozen=True, kw_only=True):
    """Some metrics."""

    metric: Annotated[str, Meta(description="Its name; empty: all.")] = ""
    limit: Limit = ""


class PromText(Struct, frozen=True, kw_only=True):
    """A query, as text."""

    query: Query = ""


def tells(error: AndonError) -> Response:
    """Write an error as Prometheus does, with Andon's own words besides."""
    status = error.http_status
    body = {
        "status": "error",
        "errorType": _TYPES.get(status, "bad_data"),
        "error": f"{error.message} ({error.hint})" if error.hint else error.message,
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
    }
    headers = {"WWW-Authenticate": 'Bearer realm="andon"'} if status == 401 else {}
    return Response(encode(body), status, headers, media_type="application/json")


def _needed(name: str, text: str) -> float:
    found = read_moment(name, text)
    if found is None:
        raise UsageError(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
    return found


def _limit(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"\d{1,15}", text):
        raise UsageError(f'invalid parameter "limit": "{text}" is no count')
    return int(text)


def _envelope(told: Told) -> dict[str, Any]:
    notes = {"warnings": told.warnings, "infos": told.infos}
    return {"status": "success", "data": told.data, **{k: v for k, v in notes.items() if v}}


def _asked(call: Call) -> Any:
    """Return what is asked, whether it came in the query or as a form."""
    return call.query if call.query is not None else call.body


def _refuse_lookback(asked: Any) -> None:
    if asked.lookback_delta:
        raise UsageError(
            'parameter "lookback_delta" is not taken: a sample counts for five minutes'
        )


def _cut(told: Told, text: str) -> dict[str, Any]:
    most = _limit(text)
    if most and len(told.data) > most:
        return _envelope(Told(told.data[:most], ["results truncated due to limit"]))
    return _envelope(told)


async def _query(call: Call) -> Any:
    """Answer a query at one moment."""
    asked = _asked(call)
    _refuse_lookback(asked)
    return _envelope(await call.metrics.query(asked.query, read_moment("time", asked.time)))


async def _query_range(call: Call) -> Any:
    """Answer a query at every step of a time."""
    asked = _asked(call)
    _refuse_lookback(asked)
    times = _needed("start", asked.start), _needed("end", asked.end)
    return _envelope(await call.metrics.query_range(asked.query, *times, read_step(asked.step)))


def _times(asked: Any) -> tuple[float | None, float | None]:
    return read_moment("start", asked.start), read_moment("end", asked.end)


async def _series(call: Call) -> Any:
    """List the labels of series."""
    asked = _asked(call)
    return _cut(await call.metrics.series(asked.match, *_times(asked)), asked.limit)


async def _labels(call: Call) -> Any:
    """List the names of labels."""
    asked = _asked(call)
    return _cut(await call.metrics.labels(asked.match, *_times(asked)), asked.limit)


async def _label_values(call: Call) -> Any:
    """List the values of a label."""
    asked = _asked(call)
    told = await call.metrics.label_values(call.path("name"), asked.match, *_times(asked))
    return _cut(told, asked.limit)


async def _metadata(call: Call) -> Any:
    """Say what metrics are."""
    asked = _asked(call)
    return _envelope(await call.metrics.metadata(asked.metric, _limit(asked.limit)))


async def _exemplars(call: Call) -> Any:
    """List exemplars of the series in a query, each a request with its trace."""
    asked = _asked(call)
    return _envelope(await call.metrics.exemplars(asked.query, *_times(asked)))


async def _format(call: Call) -> Any:
    """Write a query as it is usually written."""
    return _envelope(await call.metrics.format(_asked(call).query))


async def _targets(call: Call) -> Any:
    """List what is scraped."""
    return _envelope(await call.metrics.targets())


async def _rules(call: Call) -> Any:
    """List recording rules and how they do."""
    return _envelope(await call.metrics.rules())


async def _build(call: Call) -> Any:
    """Say which Prometheus this is like."""
    return _envelope(await call.metrics.build())


def _read(
    name: str,
    path: str,
    handler: Callable[[Call], Awaitable[Any]],
    asked: type[Struct] | None = None,
    posted: bool = False,
) -> tuple[Operation, ...]:
    """Make operations: ``asked`` in the query and, if it is ``posted``, as a form."""
    got = Operation(
        name=f"prometheus_{name}",
        method="GET",
        path=path,
        rule=everywhere("view"),
        handler=handler,
        answer=Prometheus,
        query=asked,
        refuses=(InvalidDocument,),
        basic=True,
        tells=tells,
    )
    if not posted:
        return (got,)
    sent = Operation(
        name=f"prometheus_{name}_form",
        method="POST",
        path=path,
        rule=everywhere("view"),
        handler=handler,
        answer=Prometheus,
        form=asked,
        reads=True,
        refuses=(InvalidDocument,),
        basic=True,
        tells=tells,
    )
    return (got, sent)


OPERATIONS = (
    *_read("query", "/query", _query, PromQuery, posted=True),
    *_read("query_range", "/query_range", _query_range, PromRange, posted=True),
    *_read("series", "/series", _series, PromSelection, posted=True),
    *_read("labels", "/labels", _labels, PromSelection, posted=True),
    *_read("label_values", "/label/{name}/values", _label_values, PromSelection),
    *_read("metadata", "/metadata", _metadata, PromMetadata),
    *_read("exemplars", "/query_exemplars", _exemplars, PromExemplars, posted=True),
    *_read("format", "/format_query", _format, PromText, posted=True),
    *_read("targets", "/targets", _targets),
    *_read("rules", "/rules", _rules),
    *_read("build", "/status/buildinfo", _build),
)
