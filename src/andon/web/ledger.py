"""The ledger's own questions: proving, erasing, archiving, taking out and in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from andon.kernel.errors import InvalidDocument
from andon.ports.line import LineService
from andon.store.transfer import LONGEST_LINE_BYTES
from andon.web.answers import Handler, number, read_body

_LARGEST_SEQUENCE = 2**62
_FILTERS = ("stream", "chain", "subject", "type")


class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing but who asks."""

    by: str = ""


class EraseAsk(Ask, kw_only=True, frozen=True):
    """Take out an event's body."""

    id: str
    reason: str


class CompareAsk(Ask, kw_only=True, frozen=True):
    """Is this a beginning of the ledger?"""

    heads: dict[str, tuple[int, str]]


class ArchiveAsk(Ask, kw_only=True, frozen=True):
    """Move what is older than a moment into the blob store."""

    before: float


async def _verify(line: LineService, request: Request) -> Any:
    return await line.book.verify(deep=request.query_params.get("deep", "") in {"1", "true"})


async def _key(line: LineService, _: Request) -> Any:
    return line.book.key()


async def _checkpoint(line: LineService, request: Request) -> Any:
    await read_body(request, Ask)
    return await line.book.checkpoint()


async def _erase(line: LineService, request: Request) -> Any:
    ask = await read_body(request, EraseAsk)
    return await line.book.erase(ask.id, by=ask.by, reason=ask.reason)


async def _archive(line: LineService, request: Request) -> Any:
    ask = await read_body(request, ArchiveAsk)
    return await line.book.archive(before=ask.before, by=ask.by)


async def _compare(line: LineService, request: Request) -> Any:
    ask = await read_body(request, CompareAsk)
    return await line.book.compare(ask.heads)


async def _export(line: LineService, request: Request) -> Response:
    filters = {name: request.query_params.get(name, "") for name in _FILTERS}
    after = number(request, "after", 0, most=_LARGEST_SEQUENCE)
    return StreamingResponse(
        line.book.export(after=after, filters=filters), media_type="application/x-ndjson"
    )


async def _import(line: LineService, request: Request) -> Any:
    return await line.book.take_in(_lines(request))


async def _lines(request: Request) -> AsyncIterator[bytes]:
    rest, number = b"", 0
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield line
        if len(rest) > LONGEST_LINE_BYTES:
            raise InvalidDocument(f"line {number + 1}: longer than {LONGEST_LINE_BYTES} bytes")
    if rest:
        yield rest


READS: dict[str, Handler] = {
    "/ledger/verify": _verify,
    "/ledger/key": _key,
    "/ledger/export": _export,
}
WRITES: dict[str, Handler] = {
    "/ledger/checkpoint": _checkpoint,
    "/ledger/erase": _erase,
    "/ledger/archive": _archive,
    "/ledger/import": _import,
    "/ledger/compare": _compare,
}
