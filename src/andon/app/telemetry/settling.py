"""Decides what stays of the spans that arrived, and counts all of them before any goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from andon.api.v1.spans import BOUNDS_SECONDS, Span, Tally, TallyKey
from andon.api.v1.telemetry import TracesSpec
from andon.domains.observability.spans import (
    Sampling,
    calls,
    count,
    is_request,
    tally_key,
    why_kept,
)
from andon.kernel.clock import Clock
from andon.ports.telemetry import Exemplar, Labels, Metadata, MetricStore, Settled, TraceStore

WAIT_SECONDS = 10.0
"""A trace is decided on this long after the first of its spans arrived."""
LOOK_SECONDS = 2.0
UPKEEP_SECONDS = 300.0
IDLE_SECONDS = 86_400.0
"""An operation that nobody asked for so long is told no more, until somebody does."""
CALLS, DURATION = "andon_span_calls_total", "andon_span_duration_seconds"
FAMILIES = {
    "andon_span_calls": Metadata("counter", "Requests that spans tell of, before sampling."),
    CALLS: Metadata("counter", "Requests that spans tell of, before sampling."),
    DURATION: Metadata("histogram", "How long requests took that spans tell of.", "seconds"),
}


class Settling:
    """Goes over spans that wait, again and again.

    Args:
        traces: Where they are.
        metrics: Where counts of them go.
        spec: Which traces stay.
        interval_seconds: Between two tellings of the counts.
        clock: The time.
    """

    def __init__(
        self,
        traces: TraceStore,
        metrics: MetricStore,
        spec: TracesSpec,
        interval_seconds: float,
        clock: Clock,
    ) -> None:
        self._traces, self._metrics, self._clock = traces, metrics, clock
        self._rule = Sampling(ratio=spec.sample_ratio, slow_seconds=spec.slow_seconds)
        self._interval_seconds = interval_seconds
        self._tallies: dict[TallyKey, Tally] | None = None
        self._exemplars: dict[Labels, Exemplar] = {}

    async def run(self) -> None:
        """Go on until cancelled."""
        told_at = cleaned_at = 0.0
        while True:
            now = self._clock.now()
            if (
                now - cleaned_at >= UPKEEP_SECONDS
            ):  # First: it makes the room that the rest may need.
                cleaned_at = now
                await asyncio.to_thread(self._traces.upkeep, int(now * 1e9))
            while await asyncio.to_thread(self.settle):
                pass
            if now - told_at >= self._interval_seconds:
                told_at = now
                await asyncio.to_thread(self.tell)
            await asyncio.sleep(LOOK_SECONDS)

    def settle(self) -> int:
        """Decide on traces that have waited long enough; returns how many."""
        now = self._clock.now()
        known = self._known()
        ripe = self._traces.ripe(int((now - WAIT_SECONDS) * 1e9))
        if not ripe.traces:
            return 0
        kept: list[Span] = []
        for one in ripe.traces.values():
            if one.spans and why_kept(one.spans, one.known, self._rule):
                kept += one.spans
        changed = count((span for one in ripe.traces.values() for span in one.spans), known)
        edges = calls((one.spans, one.known) for one in ripe.traces.values())
        self._traces.settle(
            Settled(
                ripe=ripe,
                kept=tuple(kept),
                tallies=tuple(changed.values()),
                edges=tuple(edges),
                at_ns=int(now * 1e9),
            )
        )
        known.update(changed)
        self._exemplars.update(exemplars(kept, known))
        return len(ripe.traces)

    def tell(self) -> None:
        """Have the counts so far in the metrics: at each interval, changed or not, so that no time is unknown."""
        now = self._clock.now()
        recent = int((now - IDLE_SECONDS) * 1e9)
        rows = [
            row for one in self._known().values() if one.last_ns >= recent for row in samples(one)
        ]
        if rows:
            self._metrics.describe(FAMILIES)
            self._metrics.append(int(now * 1000), rows)
            self._metrics.add_exemplars(self._exemplars.items())
            self._exemplars.clear()

    def _known(self) -> dict[TallyKey, Tally]:
        if self._tallies is None:
            self._tallies = {one.key: one for one in self._traces.tallies()}
        return self._tallies


def samples(tally: Tally) -> Iterator[tuple[Labels, float]]:
    """Yield a tally as samples of a counter and of a histogram."""
    requests = tally.ok + tally.failed
    yield series(CALLS, tally, status="ok"), tally.ok
    yield series(CALLS, tally, status="error"), tally.failed
    for bound, below in zip(BOUNDS_SECONDS, tally.buckets, strict=False):
        yield series(f"{DURATION}_bucket", tally, le=f"{bound:g}"), below
    yield series(f"{DURATION}_bucket", tally, le="+Inf"), requests
    yield series(f"{DURATION}_sum", tally), tally.seconds
    yield series(f"{DURATION}_count", tally), requests


def series(name: str, tally: Tally, **more: str) -> Labels:
    """Return the labels of a series about an operation."""
    told = {
        "__name__": name,
        "environment": tally.environment,
        "service": tally.service,
        "operation": tally.operation,
        **more,
    }
    return tuple(sorted((key, value) for key, value in told.items() if value))


def exemplars(kept: Iterable[Span], tallies: dict[TallyKey, Tally]) -> dict[Labels, Exemplar]:
    """Return one request a bucket that can be looked at, as its trace stays: the last of them."""
    found: dict[Labels, Exemplar] = {}
    for span in kept:
        tally = tallies.get(tally_key(span))
        if tally is None or not is_request(span):
            continue
        bound = next((f"{one:g}" for one in BOUNDS_SECONDS if span.seconds <= one), "+Inf")
        told = Exemplar(span.end_ns // 1_000_000, span.seconds, (("trace_id", span.trace),))
        found[series(f"{DURATION}_bucket", tally, le=bound)] = told
    return found


def settling(
    traces: TraceStore,
    metrics: MetricStore,
    spec: TracesSpec,
    interval_seconds: float,
    clock: Clock,
) -> Callable[[], Awaitable[None]]:
    """Return the loop that decides on spans; begun anew, it reads its counts anew."""
    return lambda: Settling(traces, metrics, spec, interval_seconds, clock).run()
