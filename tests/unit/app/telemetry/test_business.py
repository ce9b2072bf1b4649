"""One look at traffic tells business metrics, too."""

from __future__ import annotations

import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.actions import Counts, Intent, ObserveTraffic, TrafficObserved
from andon.api.v1.definitions import BusinessMetric
from andon.app.telemetry.business import BusinessPlane

NOW = 1_800_000_000.0
ORDERS = BusinessMetric(
    name="orders", gained="orders_total", of="visits_total", labels={"shop": "main"}
)
ACTION = ObserveTraffic(environment="prod", service="web", metrics=(ORDERS,), since=NOW - 60)
INTENT = Intent(key="k", epoch=1)


class Gateway:
    """Counts requests, and knows nothing else."""

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        assert (action.metrics, action.since) == ((), 0.0)
        return TrafficObserved(at=NOW, source="s", versions={"v1": Counts(requests=9)})


@pytest.fixture
def metrics(tmp_path):
    store = MetricChunks(tmp_path, 1000)
    yield store
    store.close()


def tell(store: MetricChunks, back: float, orders: float, visits: float, **more: str) -> None:
    labels = {"environment": "prod", "service": "web", "shop": "main", **more}
    rows = [
        (tuple(sorted({**labels, "__name__": name}.items())), value)
        for name, value in (("orders_total", orders), ("visits_total", visits))
    ]
    store.append(int((NOW - back) * 1000), rows)


async def test_gains_and_occasions_are_told_by_version_over_all_replicas(metrics) -> None:
    for back, grown in ((90, 0.0), (45, 10.0), (15, 30.0)):
        tell(metrics, back, grown, 100 * grown, version="v1", replica="0")
        tell(metrics, back, 2 * grown, 100 * grown, version="v1", replica="1")
        tell(metrics, back, 0.0, 50 * grown, version="v2", replica="0")
        tell(metrics, back, 7 * grown, 7 * grown, version="v2", replica="0", shop="other")
    plane = BusinessPlane(Gateway())
    plane.metrics = metrics
    seen = await plane.observe_traffic(ACTION, INTENT)
    (one,) = seen.metrics.values()
    assert set(one) == {"v1", "v2"}
    assert one["v1"][1] > one["v2"][1] > 0
    assert one["v1"][0] == pytest.approx(one["v1"][1] * 0.015)
    assert one["v2"][0] == 0.0
    assert seen.versions["v1"].requests == 9


async def test_where_no_metrics_are_kept_they_are_unknown() -> None:
    seen = await BusinessPlane(Gateway()).observe_traffic(ACTION, INTENT)
    assert seen.metrics == {}
