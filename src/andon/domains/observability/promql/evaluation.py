"""Evaluate a query: every node answers for all steps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from andon.calc.staleness import STALE_BITS
from andon.domains.observability.promql import functions, histograms, matching
from andon.domains.observability.promql.aggregating import aggregated
from andon.domains.observability.promql.answers import Answer, Limits, Row, Samples, Select
from andon.domains.observability.promql.grid import (
    Array,
    Grid,
    Meter,
    Vector,
    at_any,
    finished,
    merged,
    stack,
)
from andon.domains.observability.promql.nodes import (
    NAME,
    SETS,
    Aggregation,
    At,
    Binary,
    Call,
    CannotEvaluate,
    Labels,
    Negation,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
    kind_of,
)
from andon.domains.observability.promql.supported import OVER_RANGES
from andon.domains.observability.promql.windows import OVER_WINDOWS, windows_of

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
LIKE_COUNTERS = ("_total", "_sum", "_count", "_bucket")


class _Windowed(Struct, frozen=True):
    """Samples of series of which windows are asked.

    Args:
        series: Labels, times, values and whether the name is to go.
        ends: Where windows end, by step.
        fixed: They are the same at every step.
    """

    series: list[tuple[Labels, Array, Array, bool]]
    ends: Array
    range_ms: int
    fixed: bool


class Evaluation:
    """One query, or a part of it that has steps of its own, such as a subquery.

    Args:
        select: Where samples come from.
        grid: The steps.
        limits: What it may take.
        meter: What it has taken so far.
        bounds: First and last step of the whole query, milliseconds.
    """

    def __init__(
        self,
        select: Select,
        grid: Grid,
        limits: Limits,
        meter: Meter | None = None,
        bounds: tuple[int, int] | None = None,
    ) -> None:
        self.select = select
        self.grid = grid
        self.limits = limits
        self.meter = meter or Meter(limits.samples, limits.work)
        self.bounds = bounds or (int(grid.times[0]), int(grid.times[-1]))

    def answer(self, kind: Literal["matrix", "vector", "scalar"], rows: list[Row]) -> Answer:
        """Say what came of it, with what was noted on the way."""
        notes = self.meter.notes
        return Answer(kind=kind, rows=rows, warnings=notes["warnings"], infos=notes["infos"])

    # --- the tree -------------------------------------------------------------------------------

    def evaluate(self, node: Node) -> Vector | Array:
        """Answer with series, or with a number at every step."""
        match node:
            case Number():
                return np.full(self.grid.size, node.value)
            case Selector():
                return self._newest(node)
            case Negation():
                found = self.evaluate(node.expr)
                return matching.negated(found) if isinstance(found, Vector) else -found
            case Binary():
                return self._binary(node)
            case Aggregation():
                return self._aggregation(node)
            case Call():
                return self._call(node)
            case _:
                raise CannotEvaluate(f"a {kind_of(node)} cannot stand here")

    def _vector(self, node: Node) -> Vector:
        """Answer with series."""
        found = self.evaluate(node)
        assert isinstance(found, Vector)
        self.meter.hold(found.values.size)
        return found

    def _scalar(self, node: Node) -> Array:
        """Answer with a number at every step."""
        found = self.evaluate(node)
        assert not isinstance(found, Vector)
        return found

    def _binary(self, node: Binary) -> Vector | Array:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if not isinstance(left, Vector):
            if not isinstance(right, Vector):
                return matching.of_scalars(node, left, right)
            return matching.with_scalar(node, right, left, swapped=True)
        if not isinstance(right, Vector):
            return matching.with_scalar(node, left, right, swapped=False)
        self.meter.hold(left.values.size + right.values.size)
        if node.op in SETS:
            return matching.of_sets(node, left, right)
        return matching.of_vectors(node, left, right)

    def _aggregation(self, node: Aggregation) -> Vector:
        param: Array | str | None = None
        if isinstance(node.param, Text):
            param = node.param.value
        elif node.param is not None:
            param = self._scalar(node.param)
        return aggregated(node, self._vector(node.expr), param, self.meter)

    # --- samples --------------------------------------------------------------------------------

    def _moments(self, offset_ms: int, at: At) -> tuple[Array, bool]:
        """Return the time that each step looks at, and whether it is the same for all."""
        if at is None:
            return self.grid.times - offset_ms, False
        moment = {"start": self.bounds[0], "end": self.bounds[1]}.get(str(at), at)
        return np.full(self.grid.size, int(moment) - offset_ms, np.int64), True

    def _fetch(self, node: Selector, start_ms: int, end_ms: int) -> list[Samples]:
        found = sorted(self.select(node.matchers, start_ms, end_ms), key=lambda one: one.labels)
        self.meter.hold(sum(len(one.times_ms) for one in found))
        return found

    def _newest(self, node: Selector, of_times: bool = False) -> Vector:
        """Return the newest sample of each series, or when it was."""
        moments, _ = self._moments(node.offset_ms, node.at)
        lookback = self.limits.lookback_ms
        found = self._fetch(node, int(moments[0]) - lookback + 1, int(moments[-1]))
        self.meter.hold(len(found) * self.grid.size)
        rows = []
        for one in found:
            if not len(one.times_ms):
                continue
            index = np.searchsorted(one.times_ms, moments, "right") - 1
            seen = np.asarray(one.times_ms)[index]
            values = np.asarray(one.values, float)[index]
            there = (index >= 0) & (seen > moments - lookback)
            there &= values.view(np.uint64) != STALE_BITS
            rows.append((one.labels, seen / 1000 if of_times else values, there, False))
        return stack(rows, self.grid.size)

    def _windowed(self, node: Node) -> _Windowed:
        """Return the samples of a range."""
        if isinstance(node, Range):
            ends, fixed = self._moments(node.selector.offset_ms, node.selector.at)
            found = self._fetch(node.selector, int(ends[0]) - node.range_ms + 1, int(ends[-1]))
            series = [
                (one.labels, np.asarray(one.times_ms), np.asarray(one.values, float), False)
                for one in found
            ]
            return _Windowed(series, ends, node.range_ms, fixed)
        assert isinstance(node, Subquery)
        ends, fixed = self._moments(node.offset_ms, node.at)
        return _Windowed(self._subquery(node, ends), ends, node.range_ms, fixed)

    def _subquery(self, node: Subquery, ends: Array) -> list[tuple[Labels, Array, Array, bool]]:
        step = node.step_ms or self.limits.subquery_step_ms
        start = step * ((int(ends[0]) - node.range_ms) // step + 1)
        count = (int(ends[-1]) - start) // step + 1
        if count <= 0:
            return []
        self.meter.hold(count)
        times = np.arange(start, int(ends[-1]) + 1, step, dtype=np.int64)
        inner = Evaluation(self.select, Grid(times, step), self.limits, self.meter, self.bounds)
        found = inner.evaluate(node.expr)
        if not isinstance(found, Vector):
            found = functions.vector_of(found)
        found = merged(found)
        return [
            (found.labels[row], times[there], found.values[row, there], found.nameless[row])
            for row, there in enumerate(found.there)
            if there.any()
        ]

    def samples_of(self, node: Node) -> list[Row]:
        """Return the samples of a range as they are, at the one step there is."""
        windowed = self._windowed(node)
        rows = []
        for labels, times, values, nameless in windowed.series:
            one = self._windows(windowed, times, values, windowed.ends)
            low, high = int(one.low[0]), int(one.high[0])
            if high > low:
                row = Vector([labels], one.values[None, low:high], np.ones((1, high - low), bool),
                             [nameless])  # fmt: skip
                rows.append(Row(finished(row).labels[0], one.times[low:high], one.values[low:high]))
        return rows

    def _windows(self, windowed: _Windowed, times: Array, values: Array, ends: Array) -> Any:
        evaluated = self.grid.times[: len(ends)]
        return windows_of(times, values, ends, evaluated, windowed.range_ms, self.meter)

    # --- functions ------------------------------------------------------------------------------

    def _call(self, node: Call) -> Vector | Array:
        if node.name in OVER_RANGES:
            return self._over_range(node)
        if node.name in functions.OF_NUMBERS:
            vector = self._vector(node.args[0])
            return vector.computed(functions.OF_NUMBERS[node.name](vector.values))
        if node.name in functions.OF_DATES:
            return self._date(node)
        found: Vector | Array = CALLS[node.name](self, node)
        return found

    def _date(self, node: Call) -> Vector:
        if not node.args:
            vector = functions.vector_of(np.floor(self.grid.times / 1000))
        else:
            vector = self._vector(node.args[0])
        return vector.computed(functions.dated(node.name, vector.values))

    def _over_range(self, node: Call) -> Vector:
        position = next(i for i, arg in enumerate(node.args) if kind_of(arg) == "matrix")
        others = [self._scalar(arg) for i, arg in enumerate(node.args) if i != position]
        _refuse_odd_params(node, others)
        windowed = self._windowed(node.args[position])
        alike = windowed.fixed and not others
        ends = windowed.ends[:1] if alike else windowed.ends
        if windowed.series:
            self.meter.hold(len(windowed.series) * self.grid.size)
        rows = []
        for labels, times, values, nameless in windowed.series:
            one = self._windows(windowed, times, values, ends)
            found, there = OVER_WINDOWS[node.name](one, *others)
            if alike:
                found = np.repeat(found, self.grid.size)
                there = np.repeat(there, self.grid.size)
            rows.append((labels, found, there, nameless or node.name not in KEEP_NAME))
        answer = stack(rows, self.grid.size)
        self._note(node, answer, others)
        if node.name == "absent_over_time":
            there = at_any(answer.there)
            return functions.absent(node.args[position], there)
        return answer

    def _note(self, node: Call, answer: Vector, others: list[Array]) -> None:
        if node.name in ("rate", "increase"):
            names = sorted({dict(labels).get(NAME, "") for labels in answer.labels} - {""})
            for name in names:
                if not name.endswith(LIKE_COUNTERS):
                    self.meter.inform(
                        "metric might not be a counter, name does not end in "
                        f'_total/_sum/_count/_bucket: "{name}"'
                    )
        if node.name == "quantile_over_time" and len(answer):
            odd = others[0][~((others[0] >= 0) & (others[0] <= 1))]
            if len(odd):
                self.meter.warn(f"quantile value should be between 0 and 1, got {odd[0]:g}")

    def _label_function(self, node: Call) -> Vector:
        texts = [arg.value for arg in node.args[1:] if isinstance(arg, Text)]
        made: dict[str, Callable[..., Vector]] = {
            "label_replace": functions.label_replace,
            "label_join": functions.label_join,
        }
        return made[node.name](self._vector(node.args[0]), *texts)

    def _timestamp(self, node: Call) -> Vector:
        of = node.args[0]
        if isinstance(of, Selector):
            vector = self._newest(of, of_times=True)
            return vector.computed(vector.values)
        vector = self._vector(of)
        return vector.computed(np.broadcast_to(self.grid.times / 1000, vector.values.shape).copy())

    def _round(self, node: Call) -> Vector:
        nearest = self._scalar(node.args[1]) if len(node.args) > 1 else np.ones(self.grid.size)
        return functions.rounded(self._vector(node.args[0]), nearest)

    def _clamp(self, node: Call) -> Vector:
        bounds = [self._scalar(arg) for arg in node.args[1:]]
        endless = np.full(self.grid.size, np.inf)
        least = bounds[0] if node.name != "clamp_max" else -endless
        most = bounds[-1] if node.name != "clamp_min" else endless
        return functions.clamped(self._vector(node.args[0]), least, most)

    def _absent(self, node: Call) -> Vector:
        found = self._vector(node.args[0])
        there = at_any(found.there)
        return functions.absent(node.args[0], there)

    def _sorted(self, node: Call) -> Vector:
        vector, descending = self._vector(node.args[0]), node.name.endswith("_desc")
        if self.grid.size > 1:
            self.meter.warn("sort is ineffective for range queries since results are always ordered "
                            "by labels")  # fmt: skip
        if not node.name.startswith("sort_by_label"):
            return functions.ordered(vector, self.grid, descending)
        names = tuple(arg.value for arg in node.args[1:] if isinstance(arg, Text))
        return functions.ordered_by_labels(vector, self.grid, names, descending)

    def _histogram_quantile(self, node: Call) -> Vector:
        wanted = self._scalar(node.args[0])
        return histograms.quantile_of_buckets(self._vector(node.args[1]), wanted, self.meter)

    def _histogram_fraction(self, node: Call) -> Vector:
        lower, upper = self._scalar(node.args[0]), self._scalar(node.args[1])
        buckets = self._vector(node.args[2])
        return histograms.fraction_of_buckets(buckets, lower, upper, self.meter)


def _refuse_odd_params(node: Call, others: list[Array]) -> None:
    if node.name != "double_exponential_smoothing":
        return
    for word, param in zip(("smoothing", "trend"), others, strict=True):
        if ((param <= 0) | (param >= 1)).any():
            raise CannotEvaluate(
                f"invalid {word} factor. Expected: 0 < {word[0]}f < 1, got: {param[0]:f}"
            )


CALLS: dict[str, Callable[[Evaluation, Call], Any]] = {
    "absent": Evaluation._absent,
    "clamp": Evaluation._clamp,
    "clamp_max": Evaluation._clamp,
    "clamp_min": Evaluation._clamp,
    "histogram_fraction": Evaluation._histogram_fraction,
    "histogram_quantile": Evaluation._histogram_quantile,
    "label_join": Evaluation._label_function,
    "label_replace": Evaluation._label_function,
    "pi": lambda self, _: np.full(self.grid.size, np.pi),
    "round": Evaluation._round,
    "scalar": lambda self, node: functions.scalar(self._vector(node.args[0])),
    "sort": Evaluation._sorted,
    "sort_by_label": Evaluation._sorted,
    "sort_by_label_desc": Evaluation._sorted,
    "sort_desc": Evaluation._sorted,
    "time": lambda self, _: self.grid.times / 1000,
    "timestamp": Evaluation._timestamp,
    "vector": lambda self, node: functions.vector_of(self._scalar(node.args[0])),
}
