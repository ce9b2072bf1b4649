"""A server over real stores of telemetry, which exporters can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.adapters.telemetry.traces import SpanStore
from andon.api.v1.access import Grant, Identity
from andon.app.telemetry.intake import Intake
from andon.app.telemetry.traces import Traces
from andon.ports.offices import Offices
from andon.runtime.system import SystemClock
from andon.store import open_store
from andon.testing.door import ADMINISTRATOR, FixedDoor
from andon.testing.line import StillLine

REPORTER = Identity(name="service:shop", grants=(Grant(role="reporter"),))


class Seen:
    """The stores, and who takes what is told.

    Args:
        folder: Where the stores are.
        clock: The time.
    """

    def __init__(self, folder: Path, clock: Any = None) -> None:
        clock = clock or SystemClock()
        self.metrics = MetricChunks(folder)
        self.logs = SqliteLogStore(folder / "logs.db")
        self.traces = SpanStore(folder / "traces.db")
        self.line = open_store(str(folder / "line.db"), source="/test")
        self.intake = Intake(self.metrics, self.logs, self.traces, clock)
        self.shown = Traces(self.traces, self.line, clock)
        self.door = FixedDoor({"tells": REPORTER, "ada": ADMINISTRATOR})

    def offices(self, **more: Any) -> Offices:
        """Return who answers."""
        given = {"intake": self.intake, "traces": self.shown} | more
        return Offices(line=StillLine(endless=False), access=self.door, **given)

    def close(self) -> None:
        """Let go of the files."""
        for one in (self.metrics, self.logs, self.traces, self.line):
            one.close()
