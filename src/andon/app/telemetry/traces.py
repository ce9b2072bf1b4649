"""Shows traces: ``TraceService`` over the store of spans."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import partial

from msgspec import structs

from andon.api.v1 import answers
from andon.api.v1.spans import GATEWAY, Edge, SpanEvent
from andon.domains.observability.own import trace_id
from andon.domains.observability.spans import Bar, waterfall
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound
from andon.ports.store import Store, Tx
from andon.ports.telemetry import TraceQuestion, TraceStore, TraceSummary

_ID = re.compile("[0-9a-fA-F]{32}")
AHEAD_SECONDS = 60
"""So far may clocks of services be ahead of ours."""


class Traces:
    """Answers for traces.

    Args:
        store: The spans.
        line: Where Changes and Runs are, whose traces are found by their names.
        clock: The time.
    """

    def __init__(self, store: TraceStore, line: Store, clock: Clock) -> None:
        self._store, self._line, self._clock = store, line, clock

    async def list(
        self,
        *,
        service: str,
        name: str,
        min_seconds: float,
        failed: bool,
        attributes: dict[str, str],
        since_seconds: float,
        limit: int,
    ) -> list[answers.TraceRow]:
        """Return traces that began lately, newest first."""
        start_ns, end_ns = self._lately(since_seconds)
        question = TraceQuestion(
            start_ns=start_ns,
            end_ns=end_ns,
            service=service,
            name=name,
            min_seconds=min_seconds,
            failed=failed,
            attributes=attributes,
            limit=limit,
        )
        found = await asyncio.to_thread(self._store.search, question)
        if (
            service and not name
        ):  # It may tell no spans: the gateway's are named by whom they led to.
            seen = structs.replace(question, service=GATEWAY, name=service)
            found += await asyncio.to_thread(self._store.search, seen)
        unique = {one.trace: one for one in found}.values()
        newest = sorted(unique, key=lambda one: one.start_ns, reverse=True)
        return [_row(one) for one in newest[:limit]]

    async def show(self, trace: str) -> answers.TraceShown:
        """Return a trace as a waterfall."""
        id = trace.lower() if _ID.fullmatch(trace) else await self._line.read(partial(_of, trace))
        spans = await asyncio.to_thread(self._store.trace, id) if id else []
        if not spans:
            raise NotFound(
                f"there is no trace {trace[:64]}",
                hint="`andon traces list` shows those that are kept; Runs are told once they ended",
            )
        bars = waterfall(spans)
        begin, end = spans[0].start_ns, max(span.end_ns for span in spans)
        return {
            "trace": spans[0].trace,
            "startedAt": begin / 1e9,
            "seconds": (end - begin) / 1e9,
            "services": sorted({span.service for span in spans}),
            "failed": any(span.status == "error" for span in spans),
            "spans": [_bar(one) for one in bars],
        }

    async def services(self, *, since_seconds: float) -> answers.ServiceMap:
        """Say who called whom lately, sampled away or not."""
        start_ns, end_ns = self._lately(since_seconds)
        edges = await asyncio.to_thread(self._store.edges, start_ns, end_ns)
        return {
            "since": start_ns / 1e9,
            "services": _services(edges),
            "calls": [
                {
                    "caller": one.caller,
                    "callee": one.callee,
                    "calls": one.calls,
                    "failed": one.failed,
                    "meanSeconds": one.seconds / one.calls,
                }
                for one in edges
            ],
        }

    def _lately(self, since_seconds: float) -> tuple[int, int]:
        now = self._clock.now()
        return int((now - since_seconds) * 1e9), int((now + AHEAD_SECONDS) * 1e9)


def _of(name: str, tx: Tx) -> str:
    """Return the trace of a Change, or of a Run's Change; empty: there is none of that name."""
    run = tx.get("Run", name)
    change = tx.get("Change", run.spec.change if run else name)
    found = change or run
    return trace_id(found.uid) if found else ""


def _row(one: TraceSummary) -> answers.TraceRow:
    return {
        "trace": one.trace,
        "root": one.root,
        "service": one.service,
        "startedAt": one.start_ns / 1e9,
        "seconds": one.seconds,
        "spans": one.spans,
        "failed": one.failed,
    }


def _bar(bar: Bar) -> answers.SpanRow:
    span = bar.span
    return {
        "id": span.id,
        "parent": span.parent,
        "orphan": bar.orphan,
        "name": span.name,
        "service": span.service,
        "kind": span.kind,
        "status": span.status,
        "startedAt": span.start_ns / 1e9,
        "seconds": span.seconds,
        "depth": bar.depth,
        "offsetSeconds": bar.offset_seconds,
        "selfSeconds": bar.self_seconds,
        "attributes": span.attributes,
        "events": [_event(one) for one in span.events],
        "links": [{"trace": trace, "span": id} for trace, id in span.links],
    }


def _event(one: SpanEvent) -> answers.SpanEventRow:
    return {"at": one.at_ns / 1e9, "name": one.name, "attributes": one.attributes}


def _services(edges: Iterable[Edge]) -> list[answers.MappedService]:
    """Sum up what each service was asked."""
    found: dict[str, answers.MappedService] = {}
    for edge in edges:
        for name in filter(None, (edge.caller, edge.callee)):
            found.setdefault(name, {"name": name, "requests": 0, "failed": 0, "meanSeconds": 0.0})
        one = found[edge.callee]
        spent = one["meanSeconds"] * one["requests"] + edge.seconds
        one["requests"] += edge.calls
        one["failed"] += edge.failed
        one["meanSeconds"] = spent / one["requests"]
    return [found[name] for name in sorted(found)]
