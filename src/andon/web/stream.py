"""The event stream: what happens on the line, as server-sent events.

A ledger event carries its sequence as ``id``, so that a reader who was cut off resumes with
``Last-Event-ID`` and misses nothing. Progress (moving numbers of a Run) has no id: only its newest
value matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from andon.kernel.errors import UsageError
from andon.ports.line import LineService

HEARTBEAT_SECONDS = 15.0
"""A comment this often keeps proxies from cutting a quiet stream and finds readers who left."""


def encode(item: dict[str, Any]) -> bytes:
    """Write one item as a server-sent event.

    Source: WHATWG HTML, section 9.2 (server-sent events).
    """
    kind = item.get("kind", "event")
    lines = [f"event: {kind}"]
    if kind == "event" and "seq" in item:
        lines.append(f"id: {item['seq']}")
    body = msgspec.json.encode(item).decode()
    return "\n".join([*lines, f"data: {body}", "", ""]).encode()


def starting_point(request: Request) -> int:
    """Read where the reader wants to go on: ``Last-Event-ID``, else ``?after=``, else only news.

    Raises:
        UsageError: It is no number.
    """
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "-1"
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"Last-Event-ID must be a ledger sequence, not {text!r}") from None


async def open_stream(line: LineService, request: Request) -> StreamingResponse:
    """Answer a request for the event stream."""
    closing: asyncio.Event = request.app.state.closing
    body = _frames(line.events(starting_point(request)), closing)
    return StreamingResponse(
        body,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _frames(
    items: AsyncIterator[dict[str, Any]], closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """Yield encoded items until the line ends or the server closes."""
    yield b"retry: 1000\n\n"
    end = asyncio.ensure_future(closing.wait())
    following: asyncio.Future[dict[str, Any]] | None = None
    try:
        while not closing.is_set():
            following = following or asyncio.ensure_future(anext(items))
            waiting: set[asyncio.Future[Any]] = {following, end}
            await asyncio.wait(
                waiting, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not following.done():
                yield b": still here\n\n"
                continue
            item, following = following, None
            try:
                yield encode(item.result())
            except StopAsyncIteration:
                return
    finally:
        await _cancel(end, following)
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _cancel(*waiting: asyncio.Future[Any] | None) -> None:
    for future in waiting:
        if future is not None and not future.done():
            future.cancel()
            with suppress(asyncio.CancelledError):
                await future
