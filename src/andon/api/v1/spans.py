"""Spans: pieces of work of a trace, as OpenTelemetry has them, and who calls whom.

Times are nanoseconds since the Unix epoch, UTC; ids are lower-case hexadecimal, 32 digits of a trace and 16
of a span.

Source: W3C Trace Context; OpenTelemetry specification, trace data model.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]
TallyKey = tuple[str, str, str]
GATEWAY = "gateway"
"""Service of the spans of requests that the gateway saw."""
ENVIRONMENT = "deployment.environment.name"
"""Attribute of spans that tells where their service runs."""


class SpanEvent(Struct, frozen=True, array_like=True, gc=False):
    """Something that happened within a span."""

    at_ns: int
    name: str
    attributes: dict[str, str] = {}


class Span(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One piece of work of a trace; ids are hexadecimal."""

    trace: str
    id: str
    parent: str = ""
    name: str = ""
    service: str = ""
    kind: SpanKind = "internal"
    status: SpanStatus = "unset"
    start_ns: int
    end_ns: int
    attributes: dict[str, str] = {}
    events: tuple[SpanEvent, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(trace, span)."""

    @property
    def seconds(self) -> float:
        """How long it took; never less than nothing, whatever the clocks said."""
        return max(0, self.end_ns - self.start_ns) / 1e9


class Edge(Struct, frozen=True, kw_only=True):
    """Calls from one service to another.

    Args:
        caller: Empty: from outside of everything that tells spans.
        callee: Whom it called.
        calls: How often.
        failed: How many of them ended in an error.
        seconds: Sum of their durations.
    """

    caller: str
    callee: str
    calls: int
    failed: int
    seconds: float


class Tally(Struct, frozen=True, kw_only=True):
    """What is counted of the requests to one operation of a service, since counting began.

    Args:
        environment: Where; empty: they do not say.
        service: Whose.
        operation: Which; ``(other)`` where there are too many.
        ok: How many did not fail.
        failed: How many ended in an error.
        seconds: Sum of their durations.
        buckets: How many took at most each of ``BOUNDS_SECONDS``, cumulative.
        last_ns: When the last of them ended.
    """

    environment: str = ""
    service: str
    operation: str
    ok: int = 0
    failed: int = 0
    seconds: float = 0
    buckets: tuple[int, ...] = ()
    last_ns: int = 0

    @property
    def key(self) -> TallyKey:
        """Environment, service and operation."""
        return (self.environment, self.service, self.operation)


BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations; beyond the last there is infinity."""
