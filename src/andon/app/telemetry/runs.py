"""Tells Andon's own Changes and Runs as traces, each once, when it has ended; and what the gateway saw."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from andon.adapters.agentclient import AgentClient
from andon.api.v1.control import Selector
from andon.api.v1.requests import RecentRequests, RequestsSeen
from andon.api.v1.spans import Span
from andon.domains.observability.own import (
    change_span,
    gateway_span,
    is_over,
    run_spans,
)
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx
from andon.ports.telemetry import TraceStore

LOOK_SECONDS = 5.0
REQUESTS_SECONDS, UNANSWERED_SECONDS = 2.0, 30.0
LOOKED_AT = 300
"""So many of the newest Changes and Runs; what ends behind them is not told."""
MARK = "told of ourselves"

_log = logging.getLogger("andon.telemetry")


class Found(NamedTuple):
    """What ended.

    Args:
        spans: Of what was not told.
        told: Uids of all that is told, of those looked at.
    """

    spans: list[Span]
    told: list[str]


def telling_runs(store: Store, traces: TraceStore) -> Callable[[], Awaitable[None]]:
    """Return the loop that tells what ended."""

    async def loop() -> None:
        while True:
            await tell_runs(store, traces)
            await asyncio.sleep(LOOK_SECONDS)

    return loop


def telling_requests(
    agent: AgentClient, traces: TraceStore, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """Return the loop that takes requests from the gateway; while nobody answers, nothing is told."""

    async def loop() -> None:
        asked = RecentRequests()
        while True:
            try:
                asked = await tell_requests(agent.recent_requests, traces, asked, clock.now())
            except AndonError as error:
                _log.info("requests of the gateway are not traced now: %s", error.message)
                await asyncio.sleep(UNANSWERED_SECONDS)
            await asyncio.sleep(REQUESTS_SECONDS)

    return loop


async def tell_requests(
    ask: Callable[[RecentRequests], Awaitable[RequestsSeen]],
    traces: TraceStore,
    asked: RecentRequests,
    now: float,
) -> RecentRequests:
    """Take what came since the last answer; returns what to ask next."""
    seen = await ask(asked)
    spans = [gateway_span(one, seen.source) for one in seen.requests]
    if spans:
        await asyncio.to_thread(traces.receive, spans, int(now * 1e9))
    return RecentRequests(source=seen.source, after=seen.upto)


async def tell_runs(store: Store, traces: TraceStore) -> int:
    """Tell what ended since the last time, and remember it with it; returns how many spans."""
    told = frozenset(json.loads(await asyncio.to_thread(traces.mark, MARK) or "[]"))
    found = await store.read(lambda tx: _look(tx, told))
    if not found.spans:
        return 0
    mark = (MARK, json.dumps(found.told))
    return await asyncio.to_thread(lambda: traces.append(found.spans, mark=mark))


def _look(tx: Tx, told: frozenset[str]) -> Found:
    spans: list[Span] = []
    seen: list[str] = []
    for kind in ("Change", "Run"):
        for one in tx.list(Selector(kind=kind), limit=LOOKED_AT, newest_first=True):
            if not is_over(one):
                continue
            seen.append(one.uid)
            if one.uid in told:
                continue
            if kind == "Change":
                spans.append(change_span(one))
            else:
                change = tx.get("Change", one.spec.change) if one.spec.change else None
                spans += run_spans(one, tx.steps(one.uid), change.uid if change else "")
    return Found(spans, seen)
