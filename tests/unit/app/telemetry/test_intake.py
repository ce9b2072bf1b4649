from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.otlp.wire import JSON, PROTOBUF, parse_request
from andon.adapters.telemetry.traces import SpanStore
from andon.app.telemetry import intake as intakes
from andon.app.telemetry.intake import Intake
from andon.kernel.errors import TooMany, Unavailable, UsageError
from andon.ports.telemetry import Matcher
from andon.testing.clock import FakeClock

NOW = 1_780_000_000


class Moody(MetricChunks):
    """A store that cannot write when it is told so."""

    full = False

    def append(self, at_ms: int, rows: Any) -> Any:
        """Write, or not."""
        if self.full:
            raise Unavailable("no room")
        return super().append(at_ms, rows)


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = Moody(tmp_path_factory.mktemp("metrics"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def intake(metrics: Moody, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("intake")
    logs, traces = SqliteLogStore(folder / "logs.db"), SpanStore(folder / "traces.db")
    yield Intake(metrics, logs, traces, FakeClock(NOW))
    logs.close()
    traces.close()


def delta(value: int, at: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    metric.sum.data_points.add(time_unix_nano=at * 10**9, as_int=value)
    return request.SerializeToString()


async def test_a_delta_that_could_not_be_kept_counts_once_when_it_is_sent_again(
    intake: Intake, metrics: Moody
) -> None:
    async def send(value: int, at: int) -> None:
        await intake.take("metrics", delta(value, at), media=PROTOBUF, encoding="")

    await send(5, NOW - 60)
    metrics.full = True
    with pytest.raises(Unavailable):
        await send(7, NOW - 30)
    metrics.full = False
    await send(7, NOW - 30)
    (series,) = metrics.select([Matcher("__name__", "=", "orders_total")], 0, 2**52)
    assert list(series.values) == [5, 12]


async def test_points_from_the_future_are_told(intake: Intake) -> None:
    body = delta(1, NOW + 3600)
    answer = await intake.take("metrics", body, media=PROTOBUF, encoding="")
    assert b"from the future" in answer.body


async def test_who_comes_when_too_many_wait_is_sent_away(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "MOST_WAITING", 2)
    body = json.dumps({"resourceSpans": []}).encode()
    said = await asyncio.gather(
        *(intake.take("traces", body, media=JSON, encoding="") for _ in range(3)),
        return_exceptions=True,
    )
    assert [type(one) for one in said].count(TooMany) == 1
    assert await intake.take("traces", body, media=JSON, encoding="")


SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "kind": 2,
    "startTimeUnixNano": "1780000000000000000",
    "endTimeUnixNano": "1780000001000000000",
    "attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "7"}]}}}],
    "events": [{"timeUnixNano": "1780000000000000001", "name": "e"}],
    "status": {"code": 2, "message": "m"},
}
POINT = {"timeUnixNano": "1780000000000000000", "count": "3", "sum": 2.5}
METRICS = [
    {"name": "h", "unit": "s", "histogram": {"aggregationTemporality": 1, "dataPoints": [
        POINT | {"bucketCounts": ["1", "2"], "explicitBounds": [0.5]}]}},
    {"name": "q", "summary": {"dataPoints": [
        POINT | {"quantileValues": [{"quantile": 0.5, "value": 1.5}]}]}},
    {"name": "g", "gauge": {"dataPoints": [{"asDouble": 1.5, "flags": 1}]}},
]  # fmt: skip
RECORD = {"timeUnixNano": "1780000000000000000", "severityNumber": 17, "body": {"stringValue": "x"}}
VALID = {
    "traces": {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]},
    "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": METRICS}]}]},
    "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [RECORD]}]}]},
}
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(VALID)), st.booleans(), CHANGES)
def test_whatever_is_sent_is_taken_or_refused(
    intake: Intake, signal: str, as_json: bool, changes: list[tuple[int, int]]
) -> None:
    body = bytearray(json.dumps(VALID[signal]).encode())
    if not as_json:
        body = bytearray(parse_request(signal, bytes(body), JSON).SerializeToString())
    for place, byte in changes:
        body[place % len(body)] = byte
    media = JSON if as_json else PROTOBUF
    try:
        answer = intake._take(signal, bytes(body), media, "")
    except UsageError:
        assert changes, "a request as it should be is taken"
    else:
        assert changes or answer.body in (b"", b"{}")
