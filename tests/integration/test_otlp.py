"""What OpenTelemetry's own SDK and exporters send arrives, over real HTTP, in real stores."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from otlp_world import Seen

from andon.kernel.errors import Unavailable
from andon.ports.telemetry import LogQuestion, Matcher
from andon.testing.serving import served

BASE = "/api/v1/otlp/v1"
HEADERS = {"Authorization": "Bearer tells"}
RESOURCE = Resource(
    {
        "service.name": "shop",
        "service.instance.id": "shop-1",
        "deployment.environment.name": "prod",
        "host.name": "h1",
    }
)


@pytest.fixture
def seen(tmp_path: Path) -> Any:
    seen = Seen(tmp_path)
    yield seen
    seen.close()


@pytest.fixture
async def url(seen: Seen, tmp_path: Path) -> AsyncIterator[str]:
    async with served(seen.offices(), tmp_path) as address:
        yield address + BASE


def a_trace(url: str) -> str:
    """Tell a trace as a service would; returns its id."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{url}/traces", headers=HEADERS, compression=Compression.Gzip)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER) as root:
        root.set_attribute("http.response.status_code", 500)
        root.set_attribute("tags", ["a", "b"])
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as child:
            child.set_attribute("db.system", "postgresql")
            child.add_event("retry", {"n": 1})
            child.set_status(Status(StatusCode.ERROR, "gone"))
        found = f"{root.get_span_context().trace_id:032x}"
    provider.shutdown()
    return found


async def test_spans_of_the_sdk_arrive_whole(url: str, seen: Seen) -> None:
    trace = await asyncio.to_thread(a_trace, url)
    root, child = seen.traces.trace(trace)
    assert (root.name, root.kind, root.service, root.status) == (
        "GET /cart",
        "server",
        "shop",
        "unset",
    )
    assert root.attributes["http.response.status_code"] == "500"
    assert root.attributes["tags"] == '["a","b"]'
    assert root.attributes["deployment.environment.name"] == "prod"
    assert (child.parent, child.kind, child.status) == (root.id, "client", "error")
    assert child.attributes["status.message"] == "gone"
    assert child.events[0].name == "retry"
    assert root.start_ns <= child.start_ns <= child.end_ns <= root.end_ns


def tell_metrics(url: str, temporality: AggregationTemporality, *views: View) -> None:
    exporter = OTLPMetricExporter(
        f"{url}/metrics",
        headers=HEADERS,
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)
    provider = MeterProvider([reader], RESOURCE, shutdown_on_exit=False, views=views)
    meter = provider.get_meter("test")
    counter = meter.create_counter("orders.placed", "{order}", "Orders that were placed.")
    histogram = meter.create_histogram(
        "http.server.request.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1]
    )
    gauge = meter.create_gauge("queue.used", "1")
    for _ in range(2):
        counter.add(2, {"http.route": "/cart", "job": "own"})
        for seconds in (0.05, 0.5, 5):
            histogram.record(seconds)
        gauge.set(0.25)
        reader.collect()
    provider.shutdown()


async def points(seen: Seen, name: str) -> dict[tuple[tuple[str, str], ...], list[float]]:
    found = await asyncio.to_thread(seen.metrics.select, [Matcher("__name__", "=", name)], 0, 2**52)
    return {one.labels: [float(value) for value in one.values] for one in found}


@pytest.mark.parametrize("temporality", ["CUMULATIVE", "DELTA"])
async def test_points_of_the_sdk_are_cumulative_samples(
    url: str, seen: Seen, temporality: str
) -> None:
    await asyncio.to_thread(tell_metrics, url, AggregationTemporality[temporality])
    ((labels, values),) = (await points(seen, "orders_placed_total")).items()
    assert dict(labels) == {
        "__name__": "orders_placed_total",
        "http_route": "/cart",
        "exported_job": "own",
        "job": "shop",
        "service": "shop",
        "instance": "shop-1",
        "environment": "prod",
    }
    assert values[:2] == [2, 4]
    buckets = await points(seen, "http_server_request_duration_seconds_bucket")
    assert {dict(labels)["le"]: values[1] for labels, values in buckets.items()} == {
        "0.1": 2,
        "1": 4,
        "+Inf": 6,
    }
    ((_, sums),) = (await points(seen, "http_server_request_duration_seconds_sum")).items()
    assert sums[:2] == pytest.approx([5.55, 11.1])
    assert [values[0] for values in (await points(seen, "queue_used_ratio")).values()] == [0.25]
    (info,) = await points(seen, "target_info")
    assert dict(info)["host_name"] == "h1"
    assert seen.metrics.metadata()["orders_placed_total"].help == "Orders that were placed."


async def test_exponential_histograms_are_refused_by_name(
    url: str, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    view = View(
        instrument_name="http.server.*", aggregation=ExponentialBucketHistogramAggregation()
    )
    with caplog.at_level(logging.WARNING):
        await asyncio.to_thread(tell_metrics, url, AggregationTemporality.CUMULATIVE, view)
    assert await points(seen, "orders_placed_total")
    assert not await points(seen, "http_server_request_duration_seconds_bucket")


async def test_records_of_the_sdk_are_lines_with_their_trace(url: str, seen: Seen) -> None:
    def tell() -> str:
        provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
        exporter = OTLPLogExporter(f"{url}/logs", headers=HEADERS)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        with TracerProvider(shutdown_on_exit=False).get_tracer("t").start_as_current_span("x") as s:
            provider.get_logger("test").emit(
                severity_number=SeverityNumber.ERROR,
                body="cannot pay order 7",
                attributes={"order": 7},
            )
            trace = f"{s.get_span_context().trace_id:032x}"
        provider.shutdown()
        return trace

    trace = await asyncio.to_thread(tell)
    (line,) = seen.logs.search(LogQuestion(start_ns=0, end_ns=2**62)).lines
    assert (line.text, line.severity, line.trace) == ("cannot pay order 7", "error", trace)
    assert line.labels == {"service": "shop", "environment": "prod", "source": "otlp"}
    assert line.attributes["order"] == "7"


SPAN = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "I"}
TIMES = {"startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000"}


def as_json(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


async def send(url: str, body: bytes, **headers: str) -> requests.Response:
    given = HEADERS | {"Content-Type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await asyncio.to_thread(requests.post, url, data=body, headers=given | named, timeout=90)


async def test_json_is_taken_with_its_hexadecimal_ids(url: str, seen: Seen) -> None:
    body = as_json({**SPAN, **TIMES, "kind": 2, "unknownField": 1})
    said = await send(f"{url}/traces", gzip.compress(body), Content_Encoding="gzip")
    assert (said.status_code, said.json()) == (200, {})
    (span,) = seen.traces.trace(SPAN["traceId"])
    assert (span.id, span.kind, span.service) == (SPAN["spanId"], "server", "unknown_service")


async def test_what_cannot_be_used_is_told_and_the_rest_is_kept(url: str, seen: Seen) -> None:
    said = await send(f"{url}/traces", as_json({**SPAN, **TIMES}, {**SPAN, "spanId": "0" * 16}))
    assert said.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert len(seen.traces.trace(SPAN["traceId"])) == 1


BOMB = gzip.compress(bytes(64 << 20))


PROTOBUF = {"Content_Type": "application/x-protobuf"}
GZIP = {"Content_Encoding": "gzip"}
NONE = [
    (b"{", {}, "no OTLP JSON"),
    (b"[" * 100_000, {}, "no OTLP JSON"),
    (b'{"resourceSpans": 7}', {}, "no OTLP JSON"),
    (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"x"}]}]}]}', {}, "is no id"),
    (b"\xff\xff", PROTOBUF, "no protobuf"),
    (b"", {"Content_Type": "text/plain"}, "not as text/plain"),
    (b"no gzip", GZIP, "no gzip"),
    (gzip.compress(b"{}" * 999, mtime=0)[:20], GZIP, "ends too early"),
    (b"{}", {"Content_Encoding": "br"}, "not taken"),
    (BOMB, GZIP, "once it is decompressed"),
    (bytes(9 << 20), {}, "larger than"),
]


async def test_what_is_none_is_refused_and_not_asked_for_again(url: str) -> None:
    for body, headers, why in NONE:
        said = await send(f"{url}/traces", body, **headers)
        assert (said.status_code, why in said.json()["detail"]) == (400, True), why


async def test_only_who_may_tell_is_heard(url: str, seen: Seen) -> None:
    body = as_json({**SPAN, **TIMES})
    for token, status in (("tells", 200), ("ada", 200), ("nobody", 401)):
        said = await send(f"{url}/traces", body, Authorization=f"Bearer {token}")
        assert said.status_code == status
    said = await asyncio.to_thread(
        requests.get, url.removesuffix("otlp/v1") + "status", headers=HEADERS, timeout=90
    )
    assert said.status_code == 403, "whoever tells may see nothing"


async def test_a_store_that_cannot_write_has_exporters_come_again(url: str, seen: Seen) -> None:
    class Full:
        def receive(self, *_: Any) -> int:
            raise Unavailable("traces.db cannot be used: database or disk is full")

    seen.intake._traces = Full()
    said = await send(f"{url}/traces", as_json({**SPAN, **TIMES}))
    assert (said.status_code, said.headers["Retry-After"]) == (503, "10")
    assert said.json()["retry"] is True
