"""Spans out of OTLP."""

from __future__ import annotations

from typing import Any, NamedTuple

from andon.adapters.telemetry.otlp.attributes import (
    LONGEST_NAME,
    UNKNOWN_SERVICE,
    environment_of,
    read_attributes,
)
from andon.api.v1.spans import ENVIRONMENT, Span, SpanEvent, SpanKind, SpanStatus

MOST_EVENTS, MOST_LINKS = 64, 64
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_LATEST_NS = 1 << 62
_KINDS: tuple[SpanKind, ...] = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUS: tuple[SpanStatus, ...] = ("unset", "ok", "error")
_KEPT = ("service.version", "service.instance.id", "host.name")
"""Attributes of the resource that every span carries, besides the environment."""


class Spans(NamedTuple):
    """What a request holds.

    Args:
        spans: Those that can be used.
        rejected: How many cannot.
        why: What is wrong with them.
    """

    spans: list[Span]
    rejected: int
    why: str


def read_spans(request: Any) -> Spans:
    """Return the spans of a request."""
    found: list[Span] = []
    rejected = 0
    for resource in request.resource_spans:
        about = read_attributes(resource.resource.attributes)
        service = about.get("service.name", "")[:LONGEST_NAME] or UNKNOWN_SERVICE
        own = _carried(about)
        for scope in resource.scope_spans:
            for span in scope.spans:
                read = _span(span, service, own)
                if read is None:
                    rejected += 1
                else:
                    found.append(read)
    why = f"{rejected} spans without a proper id, or without a time" if rejected else ""
    return Spans(found, rejected, why)


def _carried(about: dict[str, str]) -> dict[str, str]:
    own = {name: about[name] for name in _KEPT if about.get(name)}
    environment = environment_of(about)
    return own | ({ENVIRONMENT: environment} if environment else {})


def _span(span: Any, service: str, own: dict[str, str]) -> Span | None:
    """Read a span; None: it has no proper ids, or no time. Each field is asked for once: that costs."""
    trace, id, parent = span.trace_id, span.span_id, span.parent_span_id
    start_ns, end_ns, kind = span.start_time_unix_nano, span.end_time_unix_nano, span.kind
    if len(trace) != len(_NO_TRACE) or len(id) != len(_NO_SPAN) or trace == _NO_TRACE:
        return None
    if id == _NO_SPAN or not 0 < start_ns < _LATEST_NS or end_ns >= _LATEST_NS:
        return None
    attributes = read_attributes(span.attributes)
    code = 0
    if span.HasField("status"):
        code = span.status.code
        if message := span.status.message:
            attributes.setdefault("status.message", message[:LONGEST_NAME])
    events, links = span.events, span.links
    return Span(
        trace=trace.hex(),
        id=id.hex(),
        parent=parent.hex() if len(parent) == len(_NO_SPAN) and parent != _NO_SPAN else "",
        name=span.name[:LONGEST_NAME],
        service=service,
        kind=_KINDS[kind] if 0 <= kind < len(_KINDS) else "internal",
        status=_STATUS[code] if 0 <= code < len(_STATUS) else "unset",
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
        attributes=own | attributes if own else attributes,
        events=tuple(map(_event, events[:MOST_EVENTS])) if events else (),
        links=tuple(map(_link, links[:MOST_LINKS])) if links else (),
    )


def _link(link: Any) -> tuple[str, str]:
    return (link.trace_id.hex(), link.span_id.hex())


def _event(event: Any) -> SpanEvent:
    return SpanEvent(
        min(event.time_unix_nano, _LATEST_NS - 1),
        event.name[:LONGEST_NAME],
        read_attributes(event.attributes),
    )
