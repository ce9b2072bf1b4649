"""The queue over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.requests import Request

from andon.ports.line import LineService
from andon.web.answers import Handler, read_body


class LetterAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name a dead letter."""

    queue: str
    subject: str
    by: str = ""
    reason: str = ""


async def _queue(line: LineService, _: Request) -> Any:
    return await line.queue()


async def _retry(line: LineService, request: Request) -> Any:
    ask = await read_body(request, LetterAsk)
    return await line.retry_letter(queue=ask.queue, subject=ask.subject, by=ask.by)


async def _drop(line: LineService, request: Request) -> Any:
    ask = await read_body(request, LetterAsk)
    return await line.drop_letter(
        queue=ask.queue, subject=ask.subject, by=ask.by, reason=ask.reason
    )


READS: dict[str, Handler] = {"/queue": _queue}
WRITES: dict[str, Handler] = {"/dead-letters/retry": _retry, "/dead-letters/drop": _drop}
