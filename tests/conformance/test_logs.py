from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.ports.telemetry import LogStore
from andon.testing.log_suite import LogStoreSuite


class TestSqliteLogs(LogStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LogStore]:
        store = SqliteLogStore(tmp_path / "logs.db")
        yield store
        store.close()
