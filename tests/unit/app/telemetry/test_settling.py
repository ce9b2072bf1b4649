from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.telemetry import TracesSpec
from andon.app.telemetry.settling import Settling
from andon.ports.telemetry import Matcher, TraceQuestion
from andon.testing.clock import FakeClock
from andon.testing.trace_suite import BEGAN_NS, make_span, trace_id

NOW = BEGAN_NS / 1e9
ALL = TraceQuestion(start_ns=0, end_ns=2**62, limit=1000)


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    found = SpanStore(tmp_path / "traces.db"), MetricChunks(tmp_path)
    yield found
    for one in found:
        one.close()


def increases(metrics: MetricChunks, name: str, until: float) -> dict[tuple[str, ...], float]:
    found = metrics.increase([Matcher("__name__", "=", name)], int(NOW * 1000), int(until * 1000))
    return {
        tuple(value for key, value in labels if key in ("le", "operation", "status")): one.increase
        for labels, one in found.items()
    }


def test_errors_and_slow_traces_stay_and_every_request_is_counted(stores: Any) -> None:
    traces, metrics = stores
    clock = FakeClock(NOW)
    settling = Settling(traces, metrics, TracesSpec(sample_ratio=0), 15, clock)
    traces.receive([make_span(99)], BEGAN_NS)
    clock.advance(20)
    settling.settle()
    settling.tell()
    traces.receive([make_span(n, status="error" if n == 7 else "ok") for n in range(50)], BEGAN_NS)
    traces.receive([make_span(50, seconds=3)], BEGAN_NS)
    clock.advance(20)
    assert settling.settle() == 51
    assert settling.settle() == 0
    settling.tell()
    assert {one.trace for one in traces.search(ALL)} == {trace_id(7), trace_id(50)}
    assert increases(metrics, "andon_span_calls_total", clock.now()) == {
        ("GET /", "error"): 1,
        ("GET /", "ok"): 50,
    }
    slow = increases(metrics, "andon_span_duration_seconds_bucket", clock.now())
    assert (slow["2.5", "GET /"], slow["5", "GET /"], slow["+Inf", "GET /"]) == (50, 51, 51)


def test_counts_go_on_where_a_killed_process_left_them(stores: Any) -> None:
    traces, metrics = stores
    clock = FakeClock(NOW)
    for _ in range(2):
        traces.receive([make_span(int(clock.now()))], BEGAN_NS)
        clock.advance(20)
        fresh = Settling(traces, metrics, TracesSpec(), 15, clock)
        fresh.settle()
        fresh.tell()
    (tally,) = traces.tallies()
    assert tally.ok == 2
    assert increases(metrics, "andon_span_calls_total", clock.now())["GET /", "ok"] == 1


def test_an_exemplar_leads_to_a_trace_that_is_kept(stores: Any) -> None:
    traces, metrics = stores
    clock = FakeClock(NOW)
    traces.receive([make_span(1), make_span(2, status="error", seconds=0.2)], BEGAN_NS)
    clock.advance(20)
    settling = Settling(traces, metrics, TracesSpec(sample_ratio=0), 15, clock)
    settling.settle()
    settling.tell()
    found = metrics.exemplars(
        [Matcher("__name__", "=", "andon_span_duration_seconds_bucket")], 0, 2**52
    )
    ((labels, exemplars),) = found.items()
    assert dict(labels)["le"] == "0.25"
    assert [dict(one.labels)["trace_id"] for one in exemplars] == [trace_id(2)]
