"""Spans to disk: as an exporter's requests bring them, and what becomes of them afterwards."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.spans import Span
from bench.ratio import Ratio

BATCH, BATCHES, ROUNDS = 512, 200, 3
SPANS_A_TRACE = 8
BEGAN_NS = 1_780_000_000 * 10**9
MOMENT_NS = 10**9


def measure() -> Iterator[Ratio]:
    requests = [_batch(number) for number in range(BATCHES)]
    with tempfile.TemporaryDirectory() as name:
        rounds = [_fill(Path(name) / f"{n}.db", requests) for n in range(ROUNDS)]
        speed, size = (statistics.median(one) for one in zip(*rounds, strict=True))
        yield Ratio("spans received to disk", speed, 50_000, "spans/s")
        yield Ratio("a span on disk, before it is decided on", size, 200, "bytes", most=True)
        yield from _read(Path(name) / "0.db", requests)


def _fill(path: Path, requests: list[list[Span]]) -> tuple[float, float]:
    store = SpanStore(path)
    before = time.perf_counter()
    count = sum(store.receive(one, BEGAN_NS) for one in requests)
    took = time.perf_counter() - before
    store.close()
    return count / took, path.stat().st_size / count


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
        trace=f"{scattered:016x}{trace:016x}",
        id=f"{number:016x}",
        parent="" if place == 0 else f"{number - place:016x}",
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
