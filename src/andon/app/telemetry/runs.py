"""Tells Andon's own Changes and Runs as traces, each once, when it has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from andon.api.v1.control import Selector
from andon.api.v1.spans import Span
from andon.domains.observability.own import change_span, is_over, run_spans
from andon.ports.store import Store, Tx
from andon.ports.telemetry import TraceStore

LOOK_SECONDS = 5.0
LOOKED_AT = 300
"""So many of the newest Changes and Runs; what ends behind them is not told."""
MARK = "told of ourselves"


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
