"""Metrics as people and their tools ask for them: in the words of Prometheus's HTTP API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct


class Told(Struct, frozen=True):
    """An answer.

    Args:
        data: As Prometheus gives it.
        warnings: Why it may not be what is wanted.
        infos: What else there is to know.
    """

    data: Any
    warnings: list[str] = []
    infos: list[str] = []


class MetricService(Protocol):
    """Everything that may be asked of metrics. Times are seconds since the epoch; None: any, or now."""

    async def query(self, text: str, at: float | None = None) -> Told:
        """Answer a query at one moment.

        Raises:
            UsageError: It is none, or outside of what is answered.
        """
        ...

    async def query_range(self, text: str, start: float, end: float, step: float) -> Told:
        """Answer a query at every step of a time."""
        ...

    async def series(
        self, selectors: Sequence[str], start: float | None = None, end: float | None = None
    ) -> Told:
        """List the labels of series."""
        ...

    async def labels(
        self, selectors: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Told:
        """List the names of labels."""
        ...

    async def label_values(
        self,
        name: str,
        selectors: Sequence[str] = (),
        start: float | None = None,
        end: float | None = None,
    ) -> Told:
        """List the values of a label."""
        ...

    async def metadata(self, metric: str = "", limit: int = 0) -> Told:
        """Say what metrics are; ``limit`` 0: all."""
        ...

    async def exemplars(
        self, text: str, start: float | None = None, end: float | None = None
    ) -> Told:
        """List exemplars of the series in a query."""
        ...

    async def targets(self) -> Told:
        """List what is scraped."""
        ...

    async def rules(self) -> Told:
        """List recording rules and how they do."""
        ...

    async def build(self) -> Told:
        """Say which Prometheus this is like."""
        ...

    async def format(self, text: str) -> Told:
        """Write a query as it is usually written."""
        ...

    async def parse(self, text: str) -> Told:
        """Say what a query says, as a tree."""
        ...
