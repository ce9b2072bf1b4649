"""Samples of a server that speaks the Prometheus HTTP API, read as from a store of our own.

What a counter did in a window is computed from its raw samples, a slice of time after the other: exactly,
as with the embedded store, and never by the server's own extrapolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from andon.adapters.telemetry.metrics.counters import Carry, derive
from andon.adapters.telemetry.metrics.pieces import Mark, Piece, piece_of
from andon.adapters.telemetry.metrics.reading import window_between
from andon.adapters.telemetry.prometheus.asking import Peer
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import (
    Accepted,
    Exemplar,
    Labels,
    Matcher,
    Metadata,
    Series,
    Window,
)

LOOKBACK_MS = 300_000
"""A sample before a window that is older than this says nothing of where it begins."""
SLICE_MS = 24 * 3600 * 1000


class PrometheusStore:
    """A ``MetricStore`` that is read only.

    Args:
        peer: The server.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def append(self, at_ms: int, rows: Iterable[tuple[Labels, float]]) -> Accepted:
        """Refuse: what is collected here is kept here."""
        self._refuse()

    def describe(self, families: Mapping[str, Metadata]) -> None:
        """Refuse."""
        self._refuse()

    def add_exemplars(self, rows: Iterable[tuple[Labels, Exemplar]]) -> None:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unavailable(f"{self._peer.url.hostname} is asked for samples, and given none")

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Return matching series with their samples of ``start_ms <= t <= end_ms``."""
        found = []
        for row in self._rows(matchers, start_ms, end_ms):
            times, values = _samples(row)
            kept = (times >= start_ms) & (times <= end_ms)
            if kept.any():
                found.append(Series(_labels(row["metric"]), times[kept], values[kept]))
        return found

    def increase(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, Window]:
        """Return what matching counters did in a window (start exclusive), by series."""
        counters: dict[Labels, _Counter] = {}
        begin = start_ms - LOOKBACK_MS
        while begin <= end_ms:
            for series in self.select(matchers, begin, min(end_ms, begin + SLICE_MS - 1)):
                counters.setdefault(series.labels, _Counter(start_ms)).take(series)
            begin += SLICE_MS
        windows = {labels: one.window(end_ms) for labels, one in counters.items()}
        return {labels: window for labels, window in windows.items() if window is not None}

    def names_of(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Return the labels of series that have samples then."""
        pairs = [("match[]", selector(matchers) if matchers else '{__name__!=""}')]
        said = self._peer.ask("/series", [*pairs, *_times(start_ms, end_ms)], post=True)
        return [_labels(one) for one in said["data"]]

    def metadata(self) -> dict[str, Metadata]:
        """Return what metrics are, by name."""
        said = self._peer.ask("/metadata")["data"]
        return {
            name: Metadata(str(one.get("type", "")), str(one.get("help", "")), one.get("unit", ""))
            for name, told in said.items()
            for one in told[:1]
        }

    def exemplars(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> dict[Labels, list[Exemplar]]:
        """Return exemplars by series."""
        pairs = [("query", selector(matchers)), *_times(start_ms, end_ms)]
        said = self._peer.ask("/query_exemplars", pairs, post=True)["data"]
        return {
            _labels(one["seriesLabels"]): [_exemplar(each) for each in one["exemplars"]]
            for one in said
        }

    def _rows(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Any]:
        query = f"{selector(matchers)}[{max(1, end_ms - start_ms + 1)}ms]"
        pairs = [("query", query), ("time", f"{end_ms / 1000:.3f}")]
        return list(self._peer.ask("/query", pairs, post=True)["data"]["result"])


class _Counter:
    """Follows a counter slice by slice, and remembers where it stood when the window began."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self._carry = Carry()
        self._begin: Mark | None = None
        self._before: Piece | None = None
        self._piece: Piece | None = None

    def take(self, series: Series) -> None:
        derived = derive(series.times_ms, series.values, self._carry, counter=True)
        self._before, self._piece = self._piece, piece_of(series.times_ms, series.values, derived)
        self._carry = derived.carry
        if self._begin is None:
            self._begin = self._mark(self._piece)

    def _mark(self, piece: Piece) -> Mark | None:
        """Say where it stood when the window began, once that is known."""
        if piece.times[0] > self._start_ms:
            if self._before is not None:
                return self._before.mark(self._start_ms, piece)
            return Mark(None, piece.head()[0], 0, gap=True)
        return piece.mark(self._start_ms) if piece.times[-1] > self._start_ms else None

    def window(self, end_ms: int) -> Window | None:
        if self._piece is None or self._begin is None:
            return None
        return window_between(self._begin, self._piece.mark(end_ms))


def selector(matchers: Sequence[Matcher]) -> str:
    """Write conditions as PromQL.

    >>> selector([Matcher("__name__", "=", "up"), Matcher("job", "=~", "a|b")])
    '{__name__="up",job=~"a|b"}'
    """
    return "{" + ",".join(f"{one.name}{one.op}{_quoted(one.value)}" for one in matchers) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _times(start_ms: int, end_ms: int) -> list[tuple[str, str]]:
    return [("start", f"{start_ms / 1000:.3f}"), ("end", f"{end_ms / 1000:.3f}")]


def _labels(metric: Mapping[str, str]) -> Labels:
    return tuple(sorted((str(name), str(value)) for name, value in metric.items()))


def _samples(row: Any) -> tuple[Any, Any]:
    pairs = row.get("values", [])
    times = np.array([round(at * 1000) for at, _ in pairs], np.int64)
    return times, np.array([float(value) for _, value in pairs], np.float64)


def _exemplar(told: Any) -> Exemplar:
    at_ms = round(float(told["timestamp"]) * 1000)
    return Exemplar(at_ms, float(told["value"]), _labels(told["labels"]))
