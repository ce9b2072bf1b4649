"""Metric points out of OTLP, as samples of Prometheus.

Deltas are added up here, so that what is stored only ever grows or begins anew; where this process begins
anew, the sums do, which reads as the reset it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from math import isfinite
from typing import Any

from msgspec import Struct, field

from andon.adapters.telemetry.otlp.attributes import (
    UNKNOWN_SERVICE,
    environment_of,
    read_attributes,
)
from andon.adapters.telemetry.otlp.naming import labelled, metric_name, unit_words
from andon.calc.staleness import STALE
from andon.ports.telemetry import Exemplar, Labels, Metadata

MOST_SUMS = 100_000
MOST_LABELS = 40
LONGEST_LABEL = 512
AHEAD_MS = 600_000
"""So far may a clock be ahead of ours."""
_DELTA = 1
_NO_VALUE = 1
_RESERVED = frozenset({"job", "instance", "service", "environment", "le", "quantile"})
Row = tuple[Labels, float]


class Points(Struct, kw_only=True):
    """What a request holds.

    Args:
        rows: Samples by moment, milliseconds.
        families: What the metrics are.
        exemplars: By the series they belong to.
        rejected: How many points cannot be used.
        why: What is wrong with them.
        sums: What deltas were added to, as it was before.
    """

    rows: dict[int, list[Row]] = field(default_factory=dict)
    families: dict[str, Metadata] = field(default_factory=dict)
    exemplars: list[tuple[Labels, Exemplar]] = field(default_factory=list)
    rejected: int = 0
    why: set[str] = field(default_factory=set)
    sums: dict[Labels, float] = field(default_factory=dict)

    def refuse(self, count: int, why: str) -> None:
        """Say that points cannot be used."""
        self.rejected += count
        self.why.add(why)


class MetricReader:
    """Reads requests; remembers the sums of what comes as deltas."""

    def __init__(self) -> None:
        self._sums: dict[Labels, float] = {}

    def read(self, request: Any, now_ms: int) -> Points:
        """Return the samples of a request.

        Args:
            request: An ``ExportMetricsServiceRequest``.
            now_ms: When points are from that do not tell.
        """
        told = Points()
        for resource in request.resource_metrics:
            about = read_attributes(resource.resource.attributes)
            reading = _Reading(told, self, _of_resource(about), now_ms)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    reading.metric(metric)
            reading.target(about)
        return told

    def summed(self, told: Points, labels: Labels, value: float) -> float | None:
        """Add a delta to its sum; None: there are too many sums."""
        if labels not in self._sums and len(self._sums) >= MOST_SUMS:
            return None
        before = self._sums.get(labels, 0.0)
        told.sums.setdefault(labels, before)
        self._sums[labels] = before + value
        return before + value

    def forget(self, told: Points) -> None:
        """Take back what a request added: it could not be kept, and will be sent again."""
        self._sums.update(told.sums)


class _Reading:
    """Reads the metrics of one resource."""

    def __init__(
        self, told: Points, reader: MetricReader, base: dict[str, str], now_ms: int
    ) -> None:
        self._told, self._reader, self._base, self._now_ms = told, reader, base, now_ms
        self._last_ms = 0

    def metric(self, metric: Any) -> None:
        """Read one metric."""
        which = metric.WhichOneof("data")
        if which == "gauge":
            self._numbers(metric, metric.gauge.data_points, "gauge", delta=False)
        elif which == "sum":
            kind = "counter" if metric.sum.is_monotonic else "gauge"
            delta = metric.sum.aggregation_temporality == _DELTA
            self._numbers(metric, metric.sum.data_points, kind, delta=delta)
        elif which == "histogram":
            self._histogram(metric, metric.histogram)
        elif which == "summary":
            self._summary(metric, metric.summary)
        elif which == "exponential_histogram":
            points = len(metric.exponential_histogram.data_points)
            self._told.refuse(
                points,
                f"{metric.name[:200]}: exponential histograms are not taken; explicit buckets are "
                "(OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit_bucket_histogram)",
            )
        else:
            self._told.refuse(1, f"{metric.name[:200]}: it has no data of a known kind")

    def target(self, about: dict[str, str]) -> None:
        """Tell the rest of what the resource says of itself."""
        rest = {name: value for name, value in about.items() if name not in _IDENTIFYING}
        if rest and self._last_ms:
            told = dict(list(labelled(rest.items()).items())[:MOST_LABELS])
            own = {name: one[:LONGEST_LABEL] for name, one in told.items() if name not in _RESERVED}
            self._put("target_info", self._base | own, self._last_ms, 1.0)
            self._told.families["target_info"] = Metadata(
                "gauge", "What a resource says of itself."
            )

    def _numbers(self, metric: Any, points: Iterable[Any], kind: str, *, delta: bool) -> None:
        counter = kind == "counter"
        name = metric_name(metric.name, metric.unit, counter=counter, gauge=not counter)
        self._describe(name, metric, kind)
        for point in points:
            value = point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
            labels = self._labels(point)
            self._add(name, labels, point, float(value), delta=delta)
            self._exemplars(name, labels, point)

    def _histogram(self, metric: Any, data: Any) -> None:
        name = metric_name(metric.name, metric.unit)
        self._describe(name, metric, "histogram")
        delta = data.aggregation_temporality == _DELTA
        for point in data.data_points:
            bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
            if counts and len(counts) != len(bounds) + 1:
                self._told.refuse(1, f"{metric.name[:200]}: its buckets do not fit their bounds")
                continue
            labels = self._labels(point)
            edges = [*map(number, bounds), "+Inf"] if counts else ["+Inf"]
            for edge, count in zip(
                edges, accumulate(counts) if counts else [point.count], strict=True
            ):
                self._add(f"{name}_bucket", labels | {"le": edge}, point, count, delta=delta)
            self._add(f"{name}_count", labels, point, point.count, delta=delta)
            if point.HasField("sum"):
                self._add(f"{name}_sum", labels, point, point.sum, delta=delta)
            self._exemplars(f"{name}_bucket", labels, point, bounds)

    def _summary(self, metric: Any, data: Any) -> None:
        name = metric_name(metric.name, metric.unit)
        self._describe(name, metric, "summary")
        for point in data.data_points:
            labels = self._labels(point)
            for one in point.quantile_values:
                edge = {"quantile": number(one.quantile)}
                self._add(name, labels | edge, point, one.value, delta=False)
            self._add(f"{name}_sum", labels, point, point.sum, delta=False)
            self._add(f"{name}_count", labels, point, point.count, delta=False)

    def _add(
        self, name: str, labels: dict[str, str], point: Any, value: float, *, delta: bool
    ) -> None:
        at_ms = point.time_unix_nano // 1_000_000 or self._now_ms
        if at_ms > self._now_ms + AHEAD_MS:
            self._told.refuse(1, f"{name}: a point is from the future")
        elif point.flags & _NO_VALUE:
            self._put(name, labels, at_ms, STALE)
        elif not delta:
            self._put(name, labels, at_ms, float(value))
        else:
            summed = self._reader.summed(self._told, _series(name, labels), float(value))
            if summed is None:
                self._told.refuse(1, f"more than {MOST_SUMS} series come as deltas")
            else:
                self._put(name, labels, at_ms, summed)

    def _put(self, name: str, labels: dict[str, str], at_ms: int, value: float) -> None:
        self._last_ms = max(self._last_ms, at_ms)
        self._told.rows.setdefault(at_ms, []).append((_series(name, labels), value))

    def _labels(self, point: Any) -> dict[str, str]:
        own = labelled(read_attributes(point.attributes, MOST_LABELS).items())
        told = {
            f"exported_{name}" if name in _RESERVED else name: value[:LONGEST_LABEL]
            for name, value in own.items()
            if value
        }
        return told | self._base

    def _describe(self, name: str, metric: Any, kind: str) -> None:
        unit = "_".join(unit_words(metric.unit))
        self._told.families[name] = Metadata(kind, metric.description[:1000], unit)

    def _exemplars(
        self, name: str, labels: dict[str, str], point: Any, bounds: list[float] | None = None
    ) -> None:
        for one in point.exemplars:
            value = one.as_double if one.WhichOneof("value") == "as_double" else float(one.as_int)
            edge = {} if bounds is None else {"le": _bucket(value, bounds)}
            own = {"trace_id": one.trace_id.hex(), "span_id": one.span_id.hex()}
            told = tuple(sorted((key, text) for key, text in own.items() if text))
            at_ms = one.time_unix_nano // 1_000_000 or self._now_ms
            self._told.exemplars.append(
                (_series(name, labels | edge), Exemplar(at_ms, value, told))
            )


_IDENTIFYING = frozenset(
    {
        "service.name",
        "service.namespace",
        "service.instance.id",
        "deployment.environment",
        "deployment.environment.name",
    }
)


def _of_resource(about: dict[str, str]) -> dict[str, str]:
    """Return the labels of everything that a resource tells."""
    name = about.get("service.name", "") or UNKNOWN_SERVICE
    space = about.get("service.namespace", "")
    told = {
        "job": f"{space}/{name}" if space else name,
        "service": name,
        "instance": about.get("service.instance.id", ""),
        "environment": environment_of(about),
    }
    return {key: value[:LONGEST_LABEL] for key, value in told.items() if value}


def _series(name: str, labels: dict[str, str]) -> Labels:
    return tuple(sorted((labels | {"__name__": name}).items()))


def _bucket(value: float, bounds: Iterable[float]) -> str:
    return next((number(bound) for bound in bounds if value <= bound), "+Inf")


def number(value: float) -> str:
    """Write a number as Prometheus writes bounds.

    >>> number(0.005), number(1.0), number(1e9), number(float("inf")), number(float("nan"))
    ('0.005', '1', '1000000000', '+Inf', 'NaN')
    """
    if not isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
