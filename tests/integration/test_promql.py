"""The same data in Debian's Prometheus and in our store: the same queries, the same answers."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from promql_world import END_MS, QUERIES, START_MS, series

from andon.adapters.outbound import Guard
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.prometheus.asking import Peer
from andon.adapters.telemetry.prometheus.store import PrometheusStore
from andon.api.v1.access import Grant, Identity
from andon.api.v1.telemetry import MetricsSpec, RecordingRule
from andon.app.telemetry.asking import open_asked
from andon.app.telemetry.queries import Metrics, ask_instant, ask_range
from andon.kernel.errors import Denied, Unavailable, UsageError
from andon.ports.offices import Offices
from andon.ports.telemetry import Matcher, Metadata
from andon.testing.children import free_port
from andon.testing.clock import FakeClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.testing.polling import until
from andon.testing.prometheus import programs, running_prometheus
from andon.web.app import create_app

CLOSE = 1e-9
MOMENTS = (START_MS + 2_400_000, END_MS)
SPAN = (START_MS + 601_000, END_MS, 60_000)
"""No window of a subquery begins on a step: the first sample was in it once, and no longer is."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if programs() is None:
        pytest.skip("no Prometheus: apt-get install prometheus")
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), series()) as url:
        yield url


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricChunks]:
    chunks = MetricChunks(tmp_path_factory.mktemp("metrics"))
    scrapes: dict[int, list[Any]] = {}
    for labels, samples in series():
        for at, value in samples:
            scrapes.setdefault(at, []).append((labels, value))
    for at in sorted(scrapes):
        chunks.append(at, scrapes[at])
    yield chunks
    chunks.close()


def ask(url: str, path: str, **params: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1{path}?{urllib.parse.urlencode(params)}") as said:
        return json.load(said)["data"]


def differences(ours: Any, theirs: Any) -> list[str]:
    if ours["resultType"] != theirs["resultType"]:
        return [f"a {ours['resultType']}, not a {theirs['resultType']}"]
    if ours["resultType"] == "scalar":
        return [] if alike([ours["result"]], [theirs["result"]]) else [f"{ours} not {theirs}"]
    mine, other = rows(ours["result"]), rows(theirs["result"])
    found = [f"missing {one}" for one in other.keys() - mine.keys()]
    found += [f"unexpected {one}" for one in mine.keys() - other.keys()]
    found += [
        f"{one}: {mine[one][:3]} not {other[one][:3]}"
        for one in mine.keys() & other.keys()
        if not alike(mine[one], other[one])
    ]
    return found


def rows(result: Any) -> dict[tuple[tuple[str, str], ...], Any]:
    return {
        tuple(sorted(one["metric"].items())): one.get("values") or [one["value"]] for one in result
    }


def alike(ours: list[Any], theirs: list[Any]) -> bool:
    if [at for at, _ in ours] != [at for at, _ in theirs]:
        return False
    return all(
        math.isclose(float(one), float(other), rel_tol=CLOSE, abs_tol=1e-12)
        or one == other
        or (math.isnan(float(one)) and math.isnan(float(other)))
        for (_, one), (_, other) in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("query", QUERIES)
def test_one_moment_is_answered_as_by_prometheus(
    prometheus: str, store: MetricChunks, query: str
) -> None:
    for at_ms in MOMENTS:
        theirs = ask(prometheus, "/query", query=query, time=f"{at_ms / 1000}")
        ours = json.loads(json.dumps(ask_instant(store, query, at_ms).data))
        assert not differences(ours, theirs), at_ms


@pytest.mark.parametrize("query", [query for query in QUERIES if not query.endswith("]")])
def test_a_time_is_answered_as_by_prometheus(
    prometheus: str, store: MetricChunks, query: str
) -> None:
    start, end, step = SPAN
    theirs = ask(
        prometheus, "/query_range", query=query,
        start=f"{start / 1000}", end=f"{end / 1000}", step=f"{step / 1000}",
    )  # fmt: skip
    ours = json.loads(json.dumps(ask_range(store, query, start, end, step).data))
    assert not differences(ours, theirs)


# --- a server by its address ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def remote(prometheus: str) -> PrometheusStore:
    return PrometheusStore(Peer(prometheus, Guard(loopback=True)))


COUNTERS = (Matcher("__name__", "=", "requests_total"),)


def test_samples_of_a_server_are_those_of_our_store(
    remote: PrometheusStore, store: MetricChunks
) -> None:
    matchers = (*COUNTERS, Matcher("code", "=~", "4.."))
    theirs = remote.select(matchers, START_MS, END_MS)
    ours = {one.labels: one for one in store.select(matchers, START_MS, END_MS)}
    assert len(theirs) == len(ours) == 4
    for one in theirs:
        assert one.times_ms.tolist() == ours[one.labels].times_ms.tolist()
        assert one.values.tolist() == ours[one.labels].values.tolist()


@pytest.mark.parametrize("seconds", [300, 3000, 7000])
def test_increase_of_a_server_is_as_exact_as_that_of_our_store(
    remote: PrometheusStore, store: MetricChunks, seconds: int
) -> None:
    theirs = remote.increase(COUNTERS, END_MS - seconds * 1000, END_MS)
    ours = store.increase(COUNTERS, END_MS - seconds * 1000, END_MS)
    assert theirs.keys() == ours.keys()
    for labels, window in ours.items():
        assert theirs[labels].increase == window.increase
        assert theirs[labels].samples == window.samples


def test_increase_is_followed_from_slice_to_slice(
    remote: PrometheusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = remote.increase(COUNTERS, START_MS, END_MS)
    monkeypatch.setattr("andon.adapters.telemetry.prometheus.store.SLICE_MS", 600_000)
    sliced = remote.increase(COUNTERS, START_MS, END_MS)
    assert {labels: one.increase for labels, one in sliced.items()} == {
        labels: one.increase for labels, one in whole.items()
    }


def test_names_of_a_server_are_those_of_our_store(
    remote: PrometheusStore, store: MetricChunks
) -> None:
    ours = store.names_of((), START_MS, END_MS)
    assert sorted(remote.names_of((), START_MS, END_MS)) == sorted(ours)


def test_a_server_inside_is_asked_only_where_that_is_allowed(prometheus: str) -> None:
    with pytest.raises(Denied):
        PrometheusStore(Peer(prometheus, Guard())).metadata()


def test_a_server_that_is_away_is_told(remote: PrometheusStore) -> None:
    away = PrometheusStore(Peer(f"http://127.0.0.1:{free_port()}", Guard(loopback=True)))
    with pytest.raises(Unavailable):
        away.select(COUNTERS, 0, 1)
    with pytest.raises(Unavailable):
        remote.append(0, [])


def test_a_server_that_refuses_a_query_says_why(remote: PrometheusStore) -> None:
    with pytest.raises(UsageError, match="regex"):
        remote.select((Matcher("a", "=~", "("),), 0, 1)


async def test_an_installation_that_names_a_server_passes_questions_on(
    prometheus: str, store: MetricChunks
) -> None:
    rule = RecordingRule(record="a:b", expr="up")
    told = MetricsSpec(prometheus=prometheus, rules=(rule,))
    asked = open_asked(store, told, Guard(loopback=True), FakeClock(END_MS / 1000))
    service, at = asked.service, END_MS / 1000
    assert not asked.recorder.progress
    said = await service.query("sum(version_info)", at)
    assert said.data["result"][0]["value"] == [at, "2"]
    said = await service.query_range("count(version_info)", at - 60, at, 60)
    assert [one[1] for one in said.data["result"][0]["values"]] == ["2", "2"]
    assert len((await service.series(["version_info"], at - 60, at)).data) == 2
    assert "code" in (await service.labels((), at - 60, at)).data
    assert (await service.label_values("version", (), at - 60, at)).data == ["3", "4"]
    assert (await service.build()).data["version"].startswith("2.")
    assert (await service.rules()).data == {"groups": []}
    assert (await service.targets()).data["activeTargets"] == []
    assert (await service.metadata("up")).data == {}
    assert (await service.exemplars("version_info", at - 60, at)).data == []
    with pytest.raises(UsageError, match="parse error"):
        await service.query("sum(")
    assert (
        ask_instant(asked.store, "sum(version_info)", END_MS).data["result"][0]["value"][1] == "2"
    )


# --- promtool ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(store: MetricChunks) -> Iterator[str]:
    """Our API over TCP, with a token as the password."""
    store.describe({"requests_total": Metadata("counter", "Requests.")})
    guest = Identity(name="service:grafana", grants=(Grant(role="viewer", environment="*"),))
    offices = Offices(
        line=StillLine(),
        access=FixedDoor(guests={"secret": guest}),
        metrics=Metrics(store, FakeClock(END_MS / 1000)),
    )
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(offices), port=port, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "the server starts")
        yield f"http://any:secret@127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def promtool(*words: str) -> str:
    found = programs()
    assert found is not None
    done = subprocess.run(
        [str(found[1]), "query", *words], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_asks_us_as_it_asks_prometheus(served: str, prometheus: str) -> None:
    at = f"--time={END_MS / 1000}"
    span = (f"--start={START_MS / 1000}", f"--end={END_MS / 1000}")
    asked: list[tuple[list[str], list[str]]] = [
        (["instant", at], ["sort(requests_total)"]),
        (["instant", at], ["requests_total{job='api',code='500',instance='1'}[2m]"]),
        (["instant", at], ["scalar(version_info{job='api'})"]),
        (["range", *span, "--step=5m"], ["sum(count_over_time(requests_total[5m]))"]),
        (["series", *span, "--match=requests_total"], []),
        (["labels", *span], ["code"]),
    ]
    for words, rest in asked:
        ours = promtool(*words, served, *rest)
        theirs = promtool(*words, prometheus, *rest)
        assert ours
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines()), words


def test_promtool_tells_what_we_refuse(served: str) -> None:
    found = programs()
    assert found is not None
    done = subprocess.run(
        [str(found[1]), "query", "instant", served, "histogram_sum(up)"],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert "bad_data: the function histogram_sum() at 1:1 is outside of the PromQL" in done.stderr
