"""Traces, and the map of services that they draw."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time
from andon.api.v1.spans import SpanKind, SpanStatus


class TraceRow(TypedDict):
    """A trace that is kept."""

    trace: Annotated[str, Meta(description="Its id, 32 hexadecimal digits.")]
    root: Annotated[str, Meta(description="Name of its first span.")]
    service: Annotated[str, Meta(description="Whose that is.")]
    startedAt: Time
    seconds: float
    spans: int
    failed: Annotated[bool, Meta(description="A span of it ended in an error.")]


class SpanEventRow(TypedDict):
    """Something that happened within a span."""

    at: Time
    name: str
    attributes: dict[str, str]


class SpanLink(TypedDict):
    """Another span that one has to do with."""

    trace: str
    span: str


class SpanRow(TypedDict):
    """A span, where it stands in the waterfall of its trace."""

    id: str
    parent: Annotated[str, Meta(description="Empty: it has none.")]
    orphan: Annotated[bool, Meta(description="Nobody told of its parent.")]
    name: str
    service: str
    kind: SpanKind
    status: SpanStatus
    startedAt: Time
    seconds: float
    depth: Annotated[int, Meta(description="How many are above it.")]
    offsetSeconds: Annotated[float, Meta(description="From the beginning of the trace.")]
    selfSeconds: Annotated[float, Meta(description="In which none of its children ran.")]
    attributes: dict[str, str]
    events: list[SpanEventRow]
    links: list[SpanLink]


class TraceShown(TypedDict):
    """A trace, its spans in the order in which they are drawn."""

    trace: str
    startedAt: Time
    seconds: float
    services: list[str]
    failed: bool
    spans: list[SpanRow]


class MappedService(TypedDict):
    """What a service was asked."""

    name: str
    requests: int
    failed: int
    meanSeconds: float


class MappedCalls(TypedDict):
    """Calls from one service to another."""

    caller: Annotated[str, Meta(description="Empty: from outside.")]
    callee: str
    calls: int
    failed: int
    meanSeconds: float


class ServiceMap(TypedDict):
    """Who called whom; counted before any trace was left out."""

    since: Time
    services: list[MappedService]
    calls: list[MappedCalls]


class OtlpRejected(TypedDict):
    """What of a request could not be used, in the words of OTLP."""

    rejectedSpans: NotRequired[str]
    rejectedDataPoints: NotRequired[str]
    rejectedLogRecords: NotRequired[str]
    errorMessage: NotRequired[str]


class OtlpTaken(TypedDict):
    """All of a request was taken, or all but a part."""

    partialSuccess: NotRequired[OtlpRejected]
