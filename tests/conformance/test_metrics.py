from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.metrics.upkeep import DAY_MS, Upkeep
from andon.testing.metric_suite import START_MS, MetricSuite


class TestHead(MetricSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[MetricChunks]:
        store = MetricChunks(tmp_path)
        yield store
        store.close()


class TestChunks(TestHead):
    def settle(self, store: MetricChunks) -> None:
        Upkeep(store, keep_days=400, max_bytes=1 << 30).seal(START_MS + DAY_MS)
        assert not any(line.times for line in store.index.lines.values())


class TestReplayed(MetricSuite):
    """The same samples, some sealed and some not, as a store has them that was closed meanwhile."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[MetricChunks]:
        store = MetricChunks(tmp_path)
        yield store
        store.close()

    def settle(self, store: MetricChunks) -> None:
        again = MetricChunks(store.folder)
        store.close()
        store.__dict__.update(again.__dict__)
