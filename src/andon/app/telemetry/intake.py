"""Takes what OTLP exporters send, and has it on disk before it answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, TooMany
from andon.ports.intake import Answer, Signal
from andon.ports.telemetry import Accepted, LogStore, MetricStore, TraceStore

if TYPE_CHECKING:
    from andon.adapters.telemetry.otlp.metrics import MetricReader, Points

AT_ONCE, MOST_WAITING = 2, 16
AGAIN_SECONDS = 5


class Intake:
    """``IntakeService`` over the stores.

    Args:
        metrics: Where samples go.
        logs: Where lines go; None: nowhere.
        traces: Where spans go.
        clock: The time.
    """

    def __init__(
        self, metrics: MetricStore, logs: LogStore | None, traces: TraceStore, clock: Clock
    ) -> None:
        self._metrics, self._logs, self._traces, self._clock = metrics, logs, traces, clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._reader: MetricReader | None = None
        self._adding = threading.Lock()

    async def take(self, signal: Signal, body: bytes, *, media: str, encoding: str) -> Answer:
        """Take a request whole; when this returns, all that was not rejected is on disk."""
        async with self._place():
            return await asyncio.to_thread(self._take, signal, body, media, encoding)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise TooMany(
                f"{self._waiting} others wait to tell what they see",
                hint="exporters send it again by themselves",
                again_seconds=AGAIN_SECONDS,
            )
        self._waiting += 1
        try:
            async with self._places:
                yield
        finally:
            self._waiting -= 1

    def _take(self, signal: Signal, body: bytes, media: str, encoding: str) -> Answer:
        # Loaded with the first request: protobuf costs every start of a command otherwise.
        from andon.adapters.telemetry.otlp.packing import unpacked
        from andon.adapters.telemetry.otlp.wire import parse_request, write_answer

        request = parse_request(signal, unpacked(body, encoding), media)
        take = {"traces": self._spans, "metrics": self._points, "logs": self._lines}[signal]
        rejected, why = take(request)
        return Answer(*write_answer(signal, rejected, why, media))

    def _spans(self, request: Any) -> tuple[int, str]:
        from andon.adapters.telemetry.otlp.spans import read_spans

        told = read_spans(request)
        if told.spans:
            self._traces.receive(told.spans, int(self._clock.now() * 1e9))
        return told.rejected, told.why

    def _lines(self, request: Any) -> tuple[int, str]:
        from andon.adapters.telemetry.otlp.logs import read_logs

        lines = read_logs(request, int(self._clock.now() * 1e9))
        if self._logs is None:
            return len(lines), "no logs are kept here"
        if lines:
            self._logs.append(lines)
        return 0, ""

    def _points(self, request: Any) -> tuple[int, str]:
        from andon.adapters.telemetry.otlp.metrics import MetricReader

        with self._adding:  # Deltas of one series are added in one order, or taken back.
            if self._reader is None:
                self._reader = MetricReader()
            told = self._reader.read(request, int(self._clock.now() * 1000))
            try:
                self._metrics.describe(told.families)
                kept = [self._metrics.append(at, told.rows[at]) for at in sorted(told.rows)]
                self._metrics.add_exemplars(told.exemplars)
            except AndonError:
                self._reader.forget(told)
                raise
        return _rejected(told, kept)


def _rejected(told: Points, kept: list[Accepted]) -> tuple[int, str]:
    refused = sum(one.refused for one in kept)
    late = sum(one.late for one in kept)
    if refused:
        told.refuse(refused, "there are too many series: telemetry.metrics.maxSeries")
    if late:
        told.refuse(late, "older than what is known of their series")
    return told.rejected, "; ".join(sorted(told.why))[:2000]
