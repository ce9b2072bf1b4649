"""The event stream: what happens on the line, as server-sent events.

A ledger event carries its sequence as ``id``, so that a reader who was cut off resumes with
``Last-Event-ID`` and misses nothing. Progress (moving numbers of a Run) has no id: only its newest
value matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from andon.kernel.errors import AndonError, UsageError
from andon.ports.line import LineService
from andon.ports.news import Item, News, Reader, Sees

BEGIN = b"retry: 1000\n\n"
SIGN_OF_LIFE = b": still here\n\n"
"""A comment now and then keeps proxies from cutting a quiet stream."""


def encode(item: Item) -> bytes:
    r"""Write one item as a server-sent event.

    Source: WHATWG HTML, section 9.2 (server-sent events).

    >>> encode(Item("event", 7, "", "prod", b'{"seq":7}'))
    b'event: event\nid: 7\ndata: {"seq":7}\n\n'
    """
    id = b"id: %d\n" % item.seq if item.seq else b""
    return b"event: %b\n%bdata: %b\n\n" % (item.kind.encode(), id, item.body)


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


async def open_stream(
    line: LineService,
    request: Request,
    sees: Sees | None = None,
    still: Callable[[], bool] = lambda: True,
) -> Response:
    """Answer a request for the event stream.

    Args:
        line: What answers.
        request: What was asked; ``app.state.closing`` ends the stream when it is set.
        sees: Leaves out events and Runs of other environments; None: nothing is left out.
        still: Whether the reader may go on; asked before whatever is sent.
    """
    return _Stream(line.news, starting_point(request), sees, still, request.app.state.closing)


class _Stream(Response):
    """An answer that goes on until the server closes, the reader leaves, or may no longer read."""

    media_type = "text/event-stream"

    def __init__(
        self,
        news: News,
        after: int,
        sees: Sees | None,
        still: Callable[[], bool],
        closing: asyncio.Event,
    ) -> None:
        self.status_code = 200
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._news = news
        self._after = after
        self._sees = sees
        self._still = still
        self._closing = closing

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
        try:
            reader = await self._news.open(self._after, self._sees)
        except AndonError:
            return
        ends = [asyncio.ensure_future(self._closing.wait()), asyncio.ensure_future(_gone(receive))]
        for end in ends:
            end.add_done_callback(lambda _: reader.close())
        try:
            if self._after < 0:
                # Who is cut off before anything happens resumes from here, and misses nothing either.
                await send(_part(b"id: %d\n\n" % reader.begins))
            await self._pass_on(reader, send)
        except AndonError:
            # The reader comes again by itself, after the last event it has heard.
            return
        finally:
            for end in ends:
                end.cancel()
            reader.close()

    async def _pass_on(self, reader: Reader, send: Send) -> None:
        async for heard in reader:
            if not self._still():
                return
            await send(_part(b"".join(map(encode, heard)) or SIGN_OF_LIFE))


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
