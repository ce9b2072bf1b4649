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
_TRACE_BYTES, _SPAN_BYTES = 16, 8
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
                if _is_usable(span):
                    found.append(_span(span, service, own))
                else:
                    rejected += 1
    why = f"{rejected} spans without a proper id, or without a time" if rejected else ""
    return Spans(found, rejected, why)


def _carried(about: dict[str, str]) -> dict[str, str]:
    own = {name: about[name] for name in _KEPT if about.get(name)}
    environment = environment_of(about)
    return own | ({ENVIRONMENT: environment} if environment else {})


def _is_usable(span: Any) -> bool:
    return (
        len(span.trace_id) == _TRACE_BYTES
        and len(span.span_id) == _SPAN_BYTES
        and any(span.trace_id)
        and any(span.span_id)
        and 0 < span.start_time_unix_nano < 1 << 62
        and span.end_time_unix_nano < 1 << 62
    )


def _span(span: Any, service: str, own: dict[str, str]) -> Span:
    attributes = read_attributes(span.attributes)
    status = span.status
    if status.message:
        attributes.setdefault("status.message", status.message[:LONGEST_NAME])
    parent = span.parent_span_id
    return Span(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=parent.hex() if len(parent) == _SPAN_BYTES and any(parent) else "",
        name=span.name[:LONGEST_NAME],
        service=service,
        kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "internal",
        status=_STATUS[status.code] if 0 <= status.code < len(_STATUS) else "unset",
        start_ns=span.start_time_unix_nano,
        end_ns=max(span.start_time_unix_nano, span.end_time_unix_nano),
        attributes=own | attributes if own else attributes,
        events=tuple(map(_event, span.events[:MOST_EVENTS])) if span.events else (),
        links=tuple((one.trace_id.hex(), one.span_id.hex()) for one in span.links[:MOST_LINKS]),
    )


def _event(event: Any) -> SpanEvent:
    return SpanEvent(
        min(event.time_unix_nano, (1 << 62) - 1),
        event.name[:LONGEST_NAME],
        read_attributes(event.attributes),
    )
