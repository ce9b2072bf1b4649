"""``POST /api/v1/events``: CloudEvents over HTTP in structured, batched and binary mode.

Source: CloudEvents 1.0.2, HTTP protocol binding, section 3.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request

from andon.api.v1.answers import Intake
from andon.kernel.errors import InvalidDocument, UsageError
from andon.web.bodies import read_bytes
from andon.web.operations import Call, Operation, everywhere

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_PREFIX = "ce-"


async def _take(call: Call) -> Any:
    """Take CloudEvents that hold CDEvents: all of them, or none if one cannot be understood."""
    return await call.line.intake.take(await read_events(call.request))


async def read_events(request: Request) -> list[Any]:
    """Read the CloudEvents of a request; whether they are any is not judged here.

    Raises:
        UsageError: The body is too large or no JSON, or the mode is none of the three.
    """
    content_type = request.headers.get("content-type", "")
    media = content_type.partition(";")[0].strip().lower()
    body = _decode(await read_bytes(request))
    if media == STRUCTURED:
        return [body]
    if media == BATCH:
        if not isinstance(body, list):
            raise UsageError("a batch of events must be a list")
        return body
    if f"{_PREFIX}specversion" not in request.headers:
        raise UsageError(
            f"this is no CloudEvent: its content type is {content_type or 'missing'}",
            hint=f"{STRUCTURED}, {BATCH}, or the headers ce-specversion, ce-id, ce-source, ce-type",
        )
    attributes = {
        name[len(_PREFIX) :]: unquote(value)
        for name, value in request.headers.items()
        if name.startswith(_PREFIX)
    }
    return [{**attributes, "datacontenttype": content_type, "data": body}]


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the event cannot be read: {error}") from None


OPERATIONS = (
    Operation(
        name="events_take",
        method="POST",
        path="/events",
        rule=everywhere("ship"),
        handler=_take,
        refuses=(InvalidDocument,),
        answer=Intake,
        takes=(STRUCTURED, BATCH),
        status=201,
    ),
)
