"""Spans to disk, and what becomes of them before and afterwards.

The bar is on spans that are durable: chunks written and committed. Reading them out of an exporter's protobuf
request (eight attributes each) costs several times that, and so does counting and deciding behind it; both are
reported, without a bar, as they are Python's pace and not the store's. The best of the rounds counts: what else
the machine does is not ours.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.otlp.wire import PROTOBUF
from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.spans import Span
from andon.api.v1.telemetry import TracesSpec
from andon.app.telemetry.intake import Intake
from andon.app.telemetry.settling import Settling
from andon.testing.clock import FakeClock
from bench.ratio import Ratio

BATCH, BATCHES, ROUNDS = 512, 200, 5
SPANS_A_TRACE = 8
BEGAN_NS = 1_780_000_000 * 10**9
MOMENT_NS = 10**9


def measure() -> Iterator[Ratio]:
    requests = [_batch(number) for number in range(BATCHES)]
    with tempfile.TemporaryDirectory() as name:
        rounds = [_fill(Path(name) / f"{n}.db", requests) for n in range(ROUNDS)]
        speed, size = (max(one) for one in zip(*rounds, strict=True))
        yield Ratio("spans, as they are, to disk", speed, 50_000, "spans/s")
        yield Ratio("a span on disk, before it is decided on", size, 200, "bytes", most=True)
        told = [_take(Path(name), requests, number) for number in range(ROUNDS)]
        taken, settled = (max(one) for one in zip(*told, strict=True))
        yield Ratio("spans out of OTLP to disk", taken, 0, "spans/s")
        yield Ratio("spans counted and decided on", settled, 0, "spans/s")
        yield from _read(Path(name) / "0.db", requests)


def _fill(path: Path, requests: list[list[Span]]) -> tuple[float, float]:
    store = SpanStore(path)
    before = time.perf_counter()
    count = sum(store.receive(one, BEGAN_NS) for one in requests)
    took = time.perf_counter() - before
    store.close()
    return count / took, path.stat().st_size / count


def _take(folder: Path, batches: list[list[Span]], number: int) -> tuple[float, float]:
    """Take requests as an exporter sends them, then settle them; returns the pace of both."""
    requests = [_request(one) for one in batches]
    clock = FakeClock(BEGAN_NS / 1e9)
    (folder / f"metrics-{number}").mkdir()
    traces = SpanStore(folder / f"otlp-{number}.db")
    metrics = MetricChunks(folder / f"metrics-{number}")
    intake = Intake(metrics, None, traces, clock)
    count = BATCH * len(requests)
    before = time.perf_counter()
    for one in requests:
        intake._take("traces", one, PROTOBUF, "")
    taken = time.perf_counter() - before
    clock.advance(60)
    settling = Settling(traces, metrics, TracesSpec(), 15, clock)
    before = time.perf_counter()
    while settling.settle():
        pass
    settled = time.perf_counter() - before
    traces.close()
    metrics.close()
    return count / taken, count / settled


def _request(spans: list[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    scopes = {}
    for span in spans:
        if span.service not in scopes:
            resource = request.resource_spans.add()
            about = resource.resource.attributes.add(key="service.name")
            about.value.string_value = span.service
            scopes[span.service] = resource.scope_spans.add()
        one = scopes[span.service].spans.add(
            trace_id=bytes.fromhex(span.trace),
            span_id=bytes.fromhex(span.id),
            parent_span_id=bytes.fromhex(span.parent),
            name=span.name,
            kind=2 if span.kind == "server" else 3,
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
        )
        for key, value in span.attributes.items():
            one.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def _read(path: Path, requests: list[list[Span]]) -> Iterator[Ratio]:
    store = SpanStore(path)
    times = []
    for batch in requests:
        before = time.perf_counter()
        found = store.trace(batch[0].trace)
        times.append(time.perf_counter() - before)
        assert len(found) == SPANS_A_TRACE
    yield Ratio("a trace read", 1000 * statistics.median(times), 10, "ms", most=True)
    store.close()


def _batch(number: int) -> list[Span]:
    return [_span(number * BATCH + n) for n in range(BATCH)]


def _span(number: int) -> Span:
    trace, place = divmod(number, SPANS_A_TRACE)
    scattered = (trace * 0x9E3779B97F4A7C15) % (1 << 64)
    start = BEGAN_NS + number * 1_000_003
    return Span(
        trace=f"{trace + 1:016x}{scattered:016x}",
        id=f"{number + 1:016x}",
        parent="" if place == 0 else f"{number - place + 1:016x}",
        name=f"GET /products/{{id}} {place}",
        service=("shop", "cart", "stock", "pay")[place % 4],
        kind="server" if place % 2 == 0 else "client",
        start_ns=start,
        end_ns=start + 1_000_000 + scattered % 50_000_000,
        attributes={
            "http.request.method": "GET",
            "http.route": "/products/{id}",
            "http.response.status_code": "200",
            "url.path": f"/products/{scattered % 10_000}",
            "server.address": "127.0.0.1",
            "server.port": "8080",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            "thread.id": str(number % 16),
        },
    )
