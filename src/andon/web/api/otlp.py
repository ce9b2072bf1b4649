"""What services tell of themselves: OTLP over HTTP, at ``/otlp/v1/...`` as its exporters append it.

Whoever sends protobuf is answered protobuf. The verb is ``tell``, which no person's role needs and which can do nothing else: the token lies in the
environment of every service that tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from andon.api.v1.answers import OtlpTaken
from andon.kernel.errors import TooMany, Unavailable, UsageError
from andon.ports.intake import Signal
from andon.web.answers import problem
from andon.web.openapi import JSON, PROTOBUF
from andon.web.operations import Call, Operation, everywhere

MOST_BYTES = 8 << 20
"""Of a body as it is sent."""
AGAIN_SECONDS = 10


async def _traces(call: Call) -> Response:
    """Take spans: all of them are counted; a trace that failed or was slow is kept, of others a share."""
    return await _take(call, "traces")


async def _metrics(call: Call) -> Response:
    """Take points of metrics; sums and histograms that come as deltas are added up."""
    return await _take(call, "metrics")


async def _logs(call: Call) -> Response:
    """Take log records."""
    return await _take(call, "logs")


async def _take(call: Call, signal: Signal) -> Response:
    request = call.request
    try:
        async with request.app.state.large.reading(request, MOST_BYTES) as body:
            answer = await call.intake.take(
                signal,
                body,
                media=request.headers.get("content-type", ""),
                encoding=request.headers.get("content-encoding", ""),
            )
    except TooMany:
        raise
    except Unavailable as error:
        # Exporters keep what they could not bring, and come again after so long.
        said = problem(error)
        said.headers["Retry-After"] = str(AGAIN_SECONDS)
        return said
    return Response(answer.body, media_type=answer.media)


def _operation(signal: Signal, handler: Callable[[Call], Awaitable[Response]]) -> Operation:
    return Operation(
        name=f"otlp_{signal}",
        method="POST",
        path=f"/otlp/v1/{signal}",
        rule=everywhere("tell"),
        handler=handler,
        answer=OtlpTaken,
        takes=(PROTOBUF, JSON),
        refuses=(TooMany, UsageError),
    )


OPERATIONS = (
    _operation("traces", _traces),
    _operation("metrics", _metrics),
    _operation("logs", _logs),
)
