"""What the gateway counted arrives in windows exactly, or as unknown."""

from __future__ import annotations

import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.actions import Counts, TrafficObserved
from andon.app.telemetry.gateway import DURATION, FAMILIES, REQUESTS, GatewayCounters
from andon.ports.telemetry import Matcher

START_MS = 1_800_000_000_000
STEP_MS = 15_000


@pytest.fixture
def store(tmp_path):
    store = MetricChunks(tmp_path)
    store.describe(FAMILIES)
    yield store
    store.close()


@pytest.fixture
def counters(store):
    return GatewayCounters(store, STEP_MS)


def seen(source="a", consistent=True, **versions):
    counts = {
        name: Counts(
            requests=good + bad,
            errors=bad,
            classes={"2xx": good, "5xx": bad},
            latency={70: good, 90: bad},
            latency_ms=400 * good,
        )
        for name, (good, bad) in versions.items()
    }
    return TrafficObserved(at=0, source=source, versions=counts, consistent=consistent)


def tell(counters, *steps):
    """Tell what is seen a step; None: nothing could be seen."""
    for step, one in enumerate(steps):
        if one is not None:
            counters.take("prod", "shop", one, START_MS + step * STEP_MS)
            counters.looked(START_MS + step * STEP_MS)


def window(store, first, last, name=REQUESTS, **labels):
    matchers = [Matcher("__name__", "=", name)]
    matchers += [Matcher(key.strip("_"), "=", value) for key, value in labels.items()]
    start_ms, end_ms = (START_MS + step * STEP_MS for step in (first, last))
    found = store.increase(matchers, start_ms, end_ms).values()
    return sum(one.increase for one in found), max(
        (one.covered_seconds for one in found), default=0
    )


def test_classes_buckets_and_sums_are_counted(store, counters):
    tell(counters, seen(v1=(0, 0)), seen(v1=(90, 10)))
    assert window(store, 0, 1, class_="2xx") == (90, 15)
    assert window(store, 0, 1, class_="5xx") == (10, 15)
    assert window(store, 0, 1, f"{DURATION}_bucket", le="+Inf") == (100, 15)
    assert window(store, 0, 1, f"{DURATION}_bucket", le="0.3949") == (90, 15)
    assert window(store, 0, 1, f"{DURATION}_sum") == (36, 15)


def test_version_that_comes_is_counted_from_its_first_request(store, counters):
    tell(counters, seen(v1=(5, 0)), seen(v1=(9, 0), v2=(3, 1)))
    assert window(store, 0, 1, version="v2") == (4, 15)


def test_service_that_comes_is_counted_from_its_first_request(store, counters):
    counters.looked(START_MS - STEP_MS)
    tell(counters, seen(v1=(5, 0)))
    assert window(store, -1, 0) == (5, 15)


def test_counts_from_before_the_first_look_are_of_no_window(store, counters):
    tell(counters, seen(v1=(5000, 100)), seen(v1=(5001, 100)))
    assert window(store, -10, 1) == (1, 15)


def test_restarted_gateway_loses_nothing_it_has_counted_and_the_rest_is_unknown(store, counters):
    tell(counters, seen(v1=(50, 0)), seen("b", v1=(80, 1)), seen("b", v1=(90, 1)))
    requests, covered = window(store, 0, 2)
    assert requests == 91
    assert covered == pytest.approx(15, abs=0.01)


def test_restart_while_nobody_looked_is_a_gap(store, counters):
    tell(
        counters, seen(v1=(50, 0)), *[None] * 20, seen("b", v1=(900, 400)), seen("b", v1=(901, 400))
    )
    assert window(store, 10, 22) == (1, 15)
    assert window(store, 0, 22) == (1301, pytest.approx(15, abs=0.01))


def test_look_that_failed_is_a_gap_and_no_zero(store, counters):
    tell(counters, seen(v1=(50, 0)), *[None] * 20, seen(v1=(60, 2)))
    assert window(store, 0, 21) == (12, 0)
    assert window(store, 5, 15) == (0, 0)


def test_counts_that_disagree_are_unknown(store, counters):
    bad = [seen(v1=(50, 7), consistent=False)] * 4
    tell(counters, seen(v1=(50, 0)), *bad, seen(v1=(50, 0)))
    assert window(store, 0, 4) == (0, 0)


def test_version_that_goes_is_marked_as_gone(store, counters):
    tell(counters, seen(v1=(5, 0), v2=(1, 0)), seen(v1=(6, 0)), seen(v1=(7, 0)))
    assert window(store, 0, 2, version="v2") == (0, 0)
    assert window(store, 0, 2, version="v1") == (2, 30)


def test_source_is_remembered_over_a_restart_of_the_control_plane(store, counters):
    tell(counters, seen(v1=(50, 0)))
    again = GatewayCounters(store, STEP_MS, counters.remembered())
    again.take("prod", "shop", seen("b", v1=(60, 0)), START_MS + STEP_MS)
    assert window(store, 0, 1)[0] == 60


def test_agent_of_before_that_tells_no_classes_is_understood(store, counters):
    old = [
        TrafficObserved(at=0, source="a", versions={"v1": Counts(requests=n, errors=n // 10)})
        for n in (0, 100)
    ]
    tell(counters, *old)
    assert window(store, 0, 1, class_="5xx") == (10, 15)
    assert window(store, 0, 1, class_="2xx") == (90, 15)
