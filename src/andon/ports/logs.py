"""Log lines, as people and programs ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from andon.ports.telemetry import LogBar, LogLine, LogPage, LogQuestion, LogTemplate


class LogService(Protocol):
    """Finds log lines, and passes on those that come."""

    def now(self) -> float:
        """Tell the time, in seconds since the Unix epoch."""
        ...

    async def search(self, question: LogQuestion) -> LogPage:
        """Find lines, newest first."""
        ...

    async def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count what lines have in common, most frequent first."""
        ...

    async def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count lines over time."""
        ...

    async def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return the label sets that have lines then."""
        ...

    def tail(self, question: LogQuestion) -> AsyncIterator[list[LogLine]]:
        """Yield wanted lines as they come, whenever they were said; nothing, as a sign of life."""
        ...
