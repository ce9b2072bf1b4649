"""Single requests as the gateway saw them, for traces."""

from __future__ import annotations

from msgspec import Struct


class GatewayRequest(Struct, frozen=True, kw_only=True):
    """A request that went through the gateway.

    Args:
        number: Grows from one to the next, within a ``source``.
        environment: Where.
        service: Whom it was for.
        version: Which version answered.
        status: Of HTTP; 0 or less: there was no answer.
        failed: It is counted as an error.
        trace: Id of its trace.
        span: Id in the ``traceparent`` it was passed on with.
        made: The gateway made that ``traceparent``, as there was none.
        start_ms: When it came, milliseconds since the Unix epoch.
        duration_ms: How long it took.
        path: Which endpoint it asked for: without query, without what tells people apart; empty: not known.
    """

    number: int
    environment: str
    service: str
    version: str
    status: int
    failed: bool
    trace: str
    span: str
    made: bool
    start_ms: int
    duration_ms: int
    path: str = ""


class RecentRequests(Struct, frozen=True, kw_only=True):
    """Ask for requests that came lately.

    Args:
        source: Of the last answer; empty: only where it goes on from is wanted.
        after: ``upto`` of the last answer.
    """

    source: str = ""
    after: int = 0


class RequestsSeen(Struct, frozen=True, kw_only=True):
    """Requests that came since.

    Args:
        source: Changes whenever numbers begin anew.
        upto: Number of the newest.
        requests: By number; of very many the oldest are left out, failed ones last.
    """

    source: str
    upto: int
    requests: tuple[GatewayRequest, ...] = ()
