"""Requests that failed at the gateway, as log lines; the others are counted where they arrive, not kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from andon.api.v1.requests import GatewayRequest, RecentRequests, RequestsSeen
from andon.kernel.errors import AndonError
from andon.ports.telemetry import LogLine, LogStore

MARK = "gateway"
LOOK_SECONDS, UNANSWERED_SECONDS = 2.0, 10.0
_MILLI = 1_000_000
_log = logging.getLogger("andon.telemetry")

Ask = Callable[[RecentRequests], Awaitable[RequestsSeen]]
Hear = Callable[[Sequence[GatewayRequest]], None]


class Failures:
    """Takes what failed since it was last asked, once, over restarts of whoever takes it.

    Args:
        ask: Asks the gateway's agent.
        store: Where lines go; it keeps how far the gateway was read.
        hear: Told of all requests; of very many, of a part.
    """

    def __init__(self, ask: Ask, store: LogStore, hear: Hear = lambda _: None) -> None:
        self._ask, self._store, self._hear = ask, store, hear

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        source, _, after = self._store.marks().get(MARK, "").partition(":")
        asked = RecentRequests(source=source, after=int(after or 0))
        while True:
            try:
                asked = await self.look(asked)
            except AndonError as error:
                _log.info("failed requests are not taken now: %s", error.message)
                await asyncio.sleep(UNANSWERED_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, asked: RecentRequests) -> RecentRequests:
        """Take what came since; return what to ask for next.

        Raises:
            Unavailable: The agent does not answer, or the lines cannot be kept.
        """
        seen = await self._ask(asked)
        now = RecentRequests(source=seen.source, after=seen.upto)
        if now != asked:
            lines = [line_of(one) for one in seen.requests if one.failed]
            self._hear(seen.requests)
            mark = {MARK: f"{now.source}:{now.after}"}
            await asyncio.to_thread(self._store.append, lines, mark)
        return now


def line_of(request: GatewayRequest) -> LogLine:
    """Return a request as a line.

    >>> request = GatewayRequest(number=1, environment="prod", service="shop", version="1a", status=502,
    ...     failed=True, trace="", span="", made=True, start_ms=5, duration_ms=31)
    >>> line_of(request).text
    'status 502 after 31 ms from version 1a'
    >>> from msgspec.structs import replace
    >>> line_of(replace(request, path="/orders/*")).text
    'status 502 after 31 ms from version 1a: /orders/*'
    """
    where = f": {request.path}" if request.path else ""
    said = f"status {request.status}" if request.status > 0 else "no answer"
    return LogLine(
        at_ns=request.start_ms * _MILLI,
        text=f"{said} after {request.duration_ms} ms from version {request.version}{where}",
        labels={
            "source": "gateway",
            "environment": request.environment,
            "service": request.service,
            "version": request.version,
        },
        severity="error",
        trace=request.trace,
        span=request.span,
    )
