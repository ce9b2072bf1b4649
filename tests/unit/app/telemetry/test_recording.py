"""Recording rules: due in time, told when missed, ended when their series end."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.telemetry import RecordingRule
from andon.app.telemetry.queries import ask_instant
from andon.app.telemetry.recording import EVALUATIONS, Recorder
from andon.calc.staleness import is_stale
from andon.ports.telemetry import Labels, Matcher
from andon.testing.clock import FakeClock

BEGAN, DUE = 1_700_000_041.0, 1_700_000_100.0
RULE = RecordingRule(
    record="job:up:sum", expr="sum by (job) (up)", labels={"team": "a"}, interval_seconds=60
)
UP: Labels = (("__name__", "up"), ("instance", "1"), ("job", "api"))


@pytest.fixture
def store(tmp_path: Path):
    chunks = MetricChunks(tmp_path)
    yield chunks
    chunks.close()


def recorded(store: MetricChunks) -> list[tuple[int, float]]:
    found = store.select((Matcher("__name__", "=", "job:up:sum"),), 0, 2**52)
    return [
        pair
        for one in found
        for pair in zip(one.times_ms.tolist(), one.values.tolist(), strict=True)
    ]


async def test_a_rule_is_recorded_at_multiples_of_its_interval(store: MetricChunks) -> None:
    clock = FakeClock(BEGAN)
    recorder = Recorder([RULE], store, store, clock)
    await recorder.turn()
    assert recorded(store) == []
    store.append(1_700_000_090_000, [(UP, 3.0)])
    clock.advance_to(DUE + 1)
    await recorder.turn()
    assert recorded(store) == [(1_700_000_100_000, 3.0)]
    labels = store.names_of((Matcher("__name__", "=", "job:up:sum"),), 0, 2**52)
    assert labels == [(("__name__", "job:up:sum"), ("job", "api"), ("team", "a"))]


async def test_missed_evaluations_are_counted_and_said(store: MetricChunks, caplog) -> None:
    clock = FakeClock(BEGAN)
    recorder = Recorder([RULE], store, store, clock)
    await recorder.turn()
    clock.advance_to(DUE + 5 * 60 + 1)
    await recorder.turn()
    assert recorder.progress[0].counts == {"ok": 1, "failed": 0, "missed": 5}
    assert "the rule job:up:sum was not evaluated 5 times" in caplog.text
    query = f'{EVALUATIONS}{{result="missed"}}'
    told = ask_instant(store, query, 1_700_000_420_000).data["result"]
    assert [one["value"][1] for one in told] == ["5"]
    assert recorder.told()[0]["rules"][0]["missed"] == 5


async def test_series_that_ends_is_marked(store: MetricChunks) -> None:
    clock = FakeClock(BEGAN)
    recorder = Recorder([RULE], store, store, clock)
    await recorder.turn()
    store.append(1_700_000_090_000, [(UP, 3.0)])
    clock.advance_to(DUE)
    await recorder.turn()
    clock.advance_to(DUE + 420)
    await recorder.turn()
    assert is_stale(recorded(store)[-1][1])


async def test_rule_that_cannot_be_evaluated_says_so_and_others_go_on(store: MetricChunks) -> None:
    clock = FakeClock(BEGAN)
    wrong = RecordingRule(record="a:b", expr="info(up)", interval_seconds=60)
    recorder = Recorder([wrong, RULE], store, store, clock)
    await recorder.turn()
    store.append(1_700_000_090_000, [(UP, 3.0)])
    clock.advance_to(DUE)
    await recorder.turn()
    told = {one["name"]: one for one in recorder.told()[0]["rules"]}
    assert told["a:b"]["health"] == "err"
    assert told["a:b"]["lastError"].startswith("the function info() at 1:1")
    assert told["job:up:sum"]["health"] == "ok"
    assert recorded(store)
