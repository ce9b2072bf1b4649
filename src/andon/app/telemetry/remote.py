"""Metrics of a Prometheus server by its address: it answers queries itself, in all of its PromQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from andon.adapters.telemetry.prometheus.asking import Pairs, Peer
from andon.ports.metrics import Told


class RemoteMetrics:
    """Passes questions on.

    Args:
        peer: The server.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def query(self, text: str, at: float | None = None) -> Told:
        """Answer a query at one moment."""
        return await self._ask("/query", [("query", text), *_moment("time", at)])

    async def query_range(self, text: str, start: float, end: float, step: float) -> Told:
        """Answer a query at every step of a time."""
        times = [*_moment("start", start), *_moment("end", end), *_moment("step", step)]
        return await self._ask("/query_range", [("query", text), *times])

    async def series(
        self, selectors: Sequence[str], start: float | None = None, end: float | None = None
    ) -> Told:
        """List the labels of series."""
        return await self._ask("/series", _chosen(selectors, start, end))

    async def labels(
        self, selectors: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Told:
        """List the names of labels."""
        return await self._ask("/labels", _chosen(selectors, start, end))

    async def label_values(
        self,
        name: str,
        selectors: Sequence[str] = (),
        start: float | None = None,
        end: float | None = None,
    ) -> Told:
        """List the values of a label."""
        from urllib.parse import quote

        path = f"/label/{quote(name, safe='')}/values"
        return await self._ask(path, _chosen(selectors, start, end), post=False)

    async def metadata(self, metric: str = "", limit: int = 0) -> Told:
        """Say what metrics are."""
        pairs = [("metric", metric)] * bool(metric) + [("limit", str(limit))] * bool(limit)
        return await self._ask("/metadata", pairs, post=False)

    async def exemplars(
        self, text: str, start: float | None = None, end: float | None = None
    ) -> Told:
        """List exemplars of the series in a query."""
        pairs = [("query", text), *_moment("start", start), *_moment("end", end)]
        return await self._ask("/query_exemplars", pairs)

    async def targets(self) -> Told:
        """List what is scraped."""
        return await self._ask("/targets", post=False)

    async def rules(self) -> Told:
        """List rules and how they do."""
        return await self._ask("/rules", post=False)

    async def build(self) -> Told:
        """Say which Prometheus it is."""
        return await self._ask("/status/buildinfo", post=False)

    async def format(self, text: str) -> Told:
        """Write a query as it is usually written."""
        return await self._ask("/format_query", [("query", text)])

    async def parse(self, text: str) -> Told:
        """Say what a query says, as a tree."""
        return await self._ask("/parse_query", [("query", text)])

    async def _ask(self, path: str, pairs: Pairs = (), post: bool = True) -> Told:
        said = await asyncio.to_thread(self._peer.ask, path, pairs, post=post)
        return Told(said.get("data"), said.get("warnings") or [], said.get("infos") or [])


def _moment(name: str, at: float | None) -> list[tuple[str, str]]:
    return [] if at is None else [(name, f"{at:.3f}")]


def _chosen(
    selectors: Sequence[str], start: float | None, end: float | None
) -> list[tuple[str, str]]:
    named = [("match[]", one) for one in selectors]
    return [*named, *_moment("start", start), *_moment("end", end)]
