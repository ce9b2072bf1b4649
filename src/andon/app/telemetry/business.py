"""Reads business metrics beside the gateway's counts, so that one look at traffic has both."""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec.structs import replace

from andon.api.v1.actions import Intent, ObserveTraffic, TrafficObserved
from andon.api.v1.definitions import BusinessMetric
from andon.ports.telemetry import Matcher, MetricStore

Gained = dict[str, tuple[float, float]]


class Plane(Protocol):
    """Who counts requests."""

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        """Read the counts of a service's versions."""
        ...


class BusinessPlane:
    """A look at traffic that tells business metrics, too.

    Args:
        plane: Who counts requests.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.metrics: MetricStore | None = None
        """Where metrics are kept; None: nowhere here, so that they stay unknown."""

    async def observe_traffic(self, action: ObserveTraffic, intent: Intent) -> TrafficObserved:
        """Read counts, and what metrics gained since the rollout began."""
        seen = await self._plane.observe_traffic(replace(action, metrics=(), since=0.0), intent)
        if not action.metrics or self.metrics is None:
            return seen
        found = await asyncio.to_thread(_read, self.metrics, action, seen.at)
        return replace(seen, metrics=found)


def _read(store: MetricStore, action: ObserveTraffic, now: float) -> dict[str, Gained]:
    return {metric.name: _gained(store, action, metric, now) for metric in action.metrics}


def _gained(
    store: MetricStore, action: ObserveTraffic, metric: BusinessMetric, now: float
) -> Gained:
    """Return by version what was gained, and of how many occasions."""
    gained = _increase(store, action, metric, metric.gained, now)
    occasions = _increase(store, action, metric, metric.of, now)
    return {version: (gained.get(version, 0.0), count) for version, count in occasions.items()}


def _increase(
    store: MetricStore, action: ObserveTraffic, metric: BusinessMetric, name: str, now: float
) -> dict[str, float]:
    wanted = {
        "__name__": name,
        "environment": action.environment,
        "service": action.service,
        **metric.labels,
    }
    matchers = [Matcher(label, "=", value) for label, value in sorted(wanted.items())]
    by_version: dict[str, float] = {}
    windows = store.increase(matchers, int(action.since * 1000), int(now * 1000))
    for labels, window in windows.items():
        version = dict(labels).get("version", "")
        by_version[version] = by_version.get(version, 0.0) + window.increase
    return by_version
