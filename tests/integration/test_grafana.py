"""What Grafana's data source for Prometheus asks when it is added, explored and drawn, over real HTTP.

The list is our own, after Prometheus's documentation of its HTTP API and what the data source is known to
call: forms by POST where it may, the label values by GET, a limit on whatever fills a menu.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.access import Grant, Identity
from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.telemetry import RecordingRule
from andon.app.telemetry.alerts import Alerts
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.queries import Metrics
from andon.app.telemetry.recording import Recorder
from andon.app.telemetry.watch import Watch
from andon.ports.asking import Asked
from andon.ports.offices import Offices
from andon.ports.telemetry import Exemplar, Labels, Metadata
from andon.testing.clock import FakeClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.testing.promises import PromiseWorld
from andon.testing.serving import served

NOW = 1_700_000_100
START, END = str(NOW - 3600), str(NOW)
GRAFANA = Identity(name="service:grafana", grants=(Grant(role="viewer"),))
RULE = RecordingRule(record="job:up:sum", expr="sum by (job) (up)", interval_seconds=60)
TRACE = "5b8efff798038103d269b633813fc60c"
HEADERS = {"X-Grafana-Cache": "private, max-age=60", "Accept-Encoding": "gzip"}


def series(name: str, **more: str) -> Labels:
    return tuple(sorted({"__name__": name, "job": "api", **more}.items()))


def fill(store: MetricChunks) -> None:
    for back in range(600, -1, -15):
        total = 10.0 * (600 - back)
        rows = [(series("up", instance=f"a:{one}"), 1.0) for one in (1, 2)]
        rows += [(series("http_requests_total", code=code), total) for code in ("200", "500")]
        rows.append((series("http_seconds_bucket", le="0.5"), total))
        store.append((NOW - back) * 1000, rows)
    store.describe({"http_requests_total": Metadata("counter", "Requests.")})
    bucket = series("http_seconds_bucket", le="0.5")
    told = (("trace_id", TRACE), ("span_id", "00f067aa0ba902b7"))
    store.add_exemplars([(bucket, Exemplar((NOW - 30) * 1000, 0.31, told))])


def world_of_alerts(folder: Path) -> PromiseWorld:
    folder.mkdir()
    return PromiseWorld(folder, (), float(NOW))


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Ask as Grafana does: with its Basic auth, by ``method``, parameters in the query or as a form."""
    store, clock = MetricChunks(tmp_path), FakeClock(float(NOW))
    fill(store)
    world = await asyncio.to_thread(world_of_alerts, tmp_path / "alerts")
    door = FixedDoor(guests={"t0ken": GRAFANA})
    parts, spec = (world.store, world.turns, world.clock), AlertsSpec()
    watch = Watch(*parts, world.objectives, Budgets(*parts), spec)
    alerts = Alerts(*parts, watch, spec, door)
    firing = {"status": "firing", "labels": {"alertname": "Disk", "severity": "critical"}}
    await alerts.take_alertmanager({"alerts": [firing]}, asked=Asked(by="service:prom"))
    offices = Offices(
        line=StillLine(endless=False),
        access=door,
        metrics=Metrics(store, clock, Recorder([RULE], store, store, clock)),
        alerts=alerts,
    )
    async with served(offices, tmp_path) as url:

        def asked(method: str, path: str, given: Any = None) -> Any:
            where = {"params": given} if method == "GET" else {"data": given}
            return requests.request(
                method,
                f"{url}/api/v1{path}",
                auth=("any", "t0ken"),
                headers=HEADERS,
                timeout=30,
                **where,
            )

        async def show(method: str, path: str, given: Any = None, status: int = 200) -> Any:
            said = await asyncio.to_thread(asked, method, path, given)
            assert said.status_code == status, said.text
            assert said.headers["content-type"] == "application/json"
            assert said.json()["status"] == ("success" if status == 200 else "error")
            return said.json()

        yield show
    world.close()
    store.close()


async def test_a_data_source_is_saved_and_tested(ask: Callable[..., Any]) -> None:
    health = await ask("POST", "/query", {"query": "1+1", "time": END})
    assert health["data"] == {"resultType": "scalar", "result": [NOW, "2"]}
    assert (await ask("GET", "/query", {"query": "1+1"}))["data"]["result"][1] == "2"
    build = (await ask("GET", "/status/buildinfo"))["data"]
    assert {"version", "revision", "goVersion"} <= build.keys()
    assert (await ask("GET", "/rules"))["data"]["groups"][0]["rules"][0]["name"] == "job:up:sum"
    assert (await ask("GET", "/rules", {"type": "alert"}))["data"] == {"groups": []}
    assert (await ask("GET", "/rules", {"type": "record", "rule_name[]": ["a", "job:up:sum"]}))[
        "data"
    ]["groups"]
    assert (await ask("GET", "/rules", {"rule_group[]": "none"}))["data"] == {"groups": []}
    (alert,) = (await ask("GET", "/alerts"))["data"]["alerts"]
    assert (alert["state"], alert["labels"]["severity"]) == ("firing", "page")
    assert alert["labels"]["alertname"]


async def test_menus_are_filled_with_metrics_labels_and_values(ask: Callable[..., Any]) -> None:
    span = {"start": START, "end": END}
    names = await ask("GET", "/label/__name__/values", {**span, "limit": "40000"})
    assert names["data"] == ["http_requests_total", "http_seconds_bucket", "up"]
    some = await ask("GET", "/label/__name__/values", {**span, "limit": "2"})
    assert some["data"] == ["http_requests_total", "http_seconds_bucket"]
    assert some["warnings"] == ["results truncated due to limit"]
    matching = {**span, "match[]": '{__name__="up",instance!=""}', "limit": "40000"}
    assert (await ask("GET", "/label/instance/values", matching))["data"] == ["a:1", "a:2"]
    for method in ("POST", "GET"):
        labels = await ask(method, "/labels", {**span, "match[]": "up", "limit": "40000"})
        assert labels["data"] == ["__name__", "instance", "job"]
        both = {**span, "match[]": ["up", 'http_requests_total{code="500"}'], "limit": "40000"}
        found = (await ask(method, "/series", both))["data"]
        assert sorted(one["__name__"] for one in found) == ["http_requests_total", "up", "up"]
        assert len((await ask(method, "/series", {**both, "limit": "1"}))["data"]) == 1
    nothing = await ask("GET", "/label/code/values", {**span, "match[]": "up"})
    assert nothing["data"] == []
    told = (await ask("GET", "/metadata", {"limit": "100", "limit_per_metric": "1"}))["data"]
    assert told == {"http_requests_total": [{"type": "counter", "help": "Requests.", "unit": ""}]}


async def test_a_panel_is_drawn_with_exemplars(ask: Callable[..., Any]) -> None:
    text = 'sum by (code) (rate(http_requests_total{job=~"api|b", code!=""}[1m0s]))'
    ranged = {"query": text, "start": str(NOW - 120), "end": END, "step": "60", "timeout": "60s"}
    for method in ("POST", "GET"):
        drawn = (await ask(method, "/query_range", ranged))["data"]
        assert drawn["resultType"] == "matrix"
        assert [one["metric"] for one in drawn["result"]] == [{"code": "200"}, {"code": "500"}]
        at, value = drawn["result"][0]["values"][-1]
        assert (at, float(value)) == (NOW, pytest.approx(10))
        exemplars = {"query": "rate(http_seconds_bucket[5m])", "start": START, "end": END}
        (found,) = (await ask(method, "/query_exemplars", exemplars))["data"]
        assert found["seriesLabels"]["le"] == "0.5"
        (one,) = found["exemplars"]
        assert one["labels"]["trace_id"] == TRACE
        assert (one["value"], one["timestamp"]) == ("0.31", NOW - 30)
        formatted = await ask(method, "/format_query", {"query": "sum(up)by(job)"})
        assert formatted["data"] == "sum by (job) (up)"
        tree = (await ask(method, "/parse_query", {"query": "sum(up)by(job)"}))["data"]
        assert (tree["type"], tree["grouping"]) == ("aggregation", ["job"])
    milli = {"query": "up", "start": f"{NOW - 60}.500", "end": f"{NOW}.5", "step": "15.0"}
    assert (await ask("POST", "/query_range", milli))["data"]["result"]


async def test_what_is_mistyped_is_said_in_prometheus_words(ask: Callable[..., Any]) -> None:
    said = await ask("POST", "/query", {"query": "sum(up"}, status=400)
    assert said["errorType"] == "bad_data"
    assert said["error"]
    said = await ask("GET", "/rules", {"type": "both"}, status=400)
    assert said["errorType"] == "bad_data"
