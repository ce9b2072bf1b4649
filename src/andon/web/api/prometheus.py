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
Limit = Annotated[str, Meta(description="At most so many; empty or 0: all.")]
Names = Annotated[tuple[str, ...], Meta(description="Only these.", max_length=1000)]
CUT = "results truncated due to limit"
_ESCAPED = re.compile(r"__|_([0-9a-fA-F]{1,6})_|_")


class PromQuery(Struct, frozen=True, kw_only=True):
    """A query at one moment."""

    query: Query = ""
    time: Moment = ""
    limit: Limit = ""
    lookback_delta: Lookback = ""


class PromRange(Struct, frozen=True, kw_only=True):
    """A query at every step of a time."""

    query: Query = ""
    start: Annotated[str, Meta(description="The first step.")] = ""
    end: Annotated[str, Meta(description="No step is later.")] = ""
    step: Annotated[str, Meta(description="Seconds, or a duration such as `15s`.")] = ""
    limit: Limit = ""
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
    limit_per_metric: Limit = ""


class PromRules(Struct, frozen=True, kw_only=True):
    """Some rules."""

    type: Annotated[str, Meta(description="`record` or `alert`; empty: both.")] = ""
    rule_name: Names = field(default=(), name="rule_name[]")
    rule_group: Names = field(default=(), name="rule_group[]")
    file: Names = field(default=(), name="file[]")


class PromTargets(Struct, frozen=True, kw_only=True):
    """Some targets."""

    state: Annotated[str, Meta(description="`active` or `dropped`; anything else: both.")] = ""
    pool: Annotated[str, Meta(description="A job; empty: all.")] = field(
        default="", name="scrapePool"
    )


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
        return _envelope(Told(told.data[:most], [*told.warnings, CUT], told.infos))
    return _envelope(told)


def _cut_series(told: Told, text: str) -> dict[str, Any]:
    """Leave out series beyond the limit; scalars and strings are none."""
    most = _limit(text)
    series = told.data["result"] if told.data["resultType"] in ("vector", "matrix") else ()
    if not most or len(series) <= most:
        return _envelope(told)
    data = {**told.data, "result": series[:most]}
    return _envelope(Told(data, [*told.warnings, CUT], told.infos))


def label_name(text: str) -> str:
    """Read a label's name as it may be written in a path: ``U__`` and other characters as ``_HEX_``.

    Source: Prometheus, "UTF-8 in label names", values escaping.

    >>> label_name("U__http_2e_method"), label_name("U__snake__case"), label_name("job")
    ('http.method', 'snake_case', 'job')
    """
    if not text.startswith("U__"):
        return text
    return _ESCAPED.sub(_unescaped, text.removeprefix("U__"))


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else 0x5F
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise UsageError(f'invalid label name: "{found[0]}" is no character')
    return chr(code)


def _chosen_rules(groups: list[dict[str, Any]], asked: PromRules) -> list[dict[str, Any]]:
    """Leave out rules that are not asked for, and groups without any."""
    kinds = {"record": "recording", "alert": "alerting"}
    if asked.type and asked.type not in kinds:
        raise UsageError(f'invalid parameter "type": "{asked.type}" is neither record nor alert')

    def wanted(rule: dict[str, Any]) -> bool:
        kind, name = kinds.get(asked.type), rule.get("name")
        return kind in (None, rule.get("type")) and (not asked.rule_name or name in asked.rule_name)

    found = [
        {**group, "rules": [rule for rule in group["rules"] if wanted(rule)]}
        for group in groups
        if (not asked.rule_group or group.get("name") in asked.rule_group)
        and (not asked.file or group.get("file") in asked.file)
    ]
    return [group for group in found if group["rules"]]


async def _query(call: Call) -> Any:
    """Answer a query at one moment."""
    asked = _asked(call)
    _refuse_lookback(asked)
    told = await call.metrics.query(asked.query, read_moment("time", asked.time))
    return _cut_series(told, asked.limit)


async def _query_range(call: Call) -> Any:
    """Answer a query at every step of a time."""
    asked = _asked(call)
    _refuse_lookback(asked)
    times = _needed("start", asked.start), _needed("end", asked.end)
    told = await call.metrics.query_range(asked.query, *times, read_step(asked.step))
    return _cut_series(told, asked.limit)


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
    name = label_name(call.path("name"))
    told = await call.metrics.label_values(name, asked.match, *_times(asked))
    return _cut(told, asked.limit)


async def _metadata(call: Call) -> Any:
    """Say what metrics are."""
    asked = _asked(call)
    told = await call.metrics.metadata(asked.metric, _limit(asked.limit))
    each = _limit(asked.limit_per_metric) or None
    return _envelope(Told({name: known[:each] for name, known in told.data.items()}))


async def _exemplars(call: Call) -> Any:
    """List exemplars of the series in a query, each a request with its trace."""
    asked = _asked(call)
    return _envelope(await call.metrics.exemplars(asked.query, *_times(asked)))


async def _format(call: Call) -> Any:
    """Write a query as it is usually written."""
    return _envelope(await call.metrics.format(_asked(call).query))


async def _parse(call: Call) -> Any:
    """Say what a query says, as a tree."""
    return _envelope(await call.metrics.parse(_asked(call).query))


async def _targets(call: Call) -> Any:
    """List what is scraped."""
    told = (await call.metrics.targets()).data
    active, dropped = told["activeTargets"], told["droppedTargets"]
    asked: PromTargets = call.query
    if asked.pool:
        active = [one for one in active if one.get("scrapePool") == asked.pool]
    if asked.state in ("active", "dropped"):
        active, dropped = (active, []) if asked.state == "active" else ([], dropped)
    return _envelope(Told({"activeTargets": active, "droppedTargets": dropped}))


async def _rules(call: Call) -> Any:
    """List recording rules and how they do."""
    told = (await call.metrics.rules()).data
    return _envelope(Told({**told, "groups": _chosen_rules(told["groups"], call.query)}))


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
    *_read("parse", "/parse_query", _parse, PromText, posted=True),
    *_read("targets", "/targets", _targets, PromTargets),
    *_read("rules", "/rules", _rules, PromRules),
    *_read("build", "/status/buildinfo", _build),
)
