"""A live tail: log lines as they come, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from andon.web.stream import BEGIN, SIGN_OF_LIFE

Rows = list[dict[str, Any]]


class Tail(Response):
    """An answer that goes on until the server closes, the reader leaves, or may no longer read.

    Args:
        rows: Yields what came; nothing, as a sign of life.
        still: Whether the reader may go on; asked before whatever is sent.
        closing: Ends it.
    """

    media_type = "text/event-stream"

    def __init__(
        self, rows: AsyncIterator[Rows], still: Callable[[], bool], closing: asyncio.Event
    ) -> None:
        self.status_code = 200
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._rows, self._still, self._closing = rows, still, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers},
        )
        if scope["method"] != "HEAD" and not self._closing.is_set():
            await self._tell(receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, receive: Receive, send: Send) -> None:
        await send(_part(BEGIN))
        telling = asyncio.ensure_future(self._pass_on(send))
        ends = [asyncio.ensure_future(self._closing.wait()), asyncio.ensure_future(_gone(receive))]
        try:
            await asyncio.wait([telling, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (telling, *ends):
                one.cancel()
            await asyncio.gather(telling, *ends, return_exceptions=True)

    async def _pass_on(self, send: Send) -> None:
        async for rows in self._rows:
            if not self._still():
                return
            lines = b"".join(b"data: %b\n\n" % msgspec.json.encode(one) for one in rows)
            await send(_part(lines or SIGN_OF_LIFE))


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
