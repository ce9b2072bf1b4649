"""Many series become few, at every step."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np

from andon.domains.observability.promql.grid import (
    Array,
    Meter,
    Vector,
    all_but,
    at_any,
    grouped,
    only,
    sorted_labels,
    stack,
)
from andon.domains.observability.promql.nodes import Aggregation, CannotEvaluate, Labels
from andon.domains.observability.promql.windows import exact_mean, quantiles, row_sums

LARGEST = 2.0**63


def aggregated(
    node: Aggregation, vector: Vector, param: Array | str | None, meter: Meter
) -> Vector:
    """Aggregate series.

    Args:
        node: How.
        vector: The series.
        param: A number at every step, or a label's name, as the aggregation needs it.
        meter: What it costs.

    Raises:
        CannotEvaluate: The parameter is none.
    """
    meter.spend(vector.values.size)
    if isinstance(param, str):
        return _count_values(node, vector, param, meter)
    if param is not None and node.op in ("topk", "bottomk", "limitk"):
        return _chosen(node, vector, param)
    steps = vector.values.shape[1]
    if param is not None:
        _warn_of_quantiles(param, meter)
    rows = []
    for labels, group in grouped(vector.labels, _key(node)).items():
        there = vector.there[group]
        values = REDUCE[node.op](vector.values[group], there, param)
        nameless = any(vector.nameless[row] for row in group)
        rows.append((labels, values, at_any(there), nameless))
    return stack(rows, steps)


def _key(node: Aggregation) -> Callable[[Labels], Labels]:
    return all_but(node.labels) if node.without else only(node.labels)


def _warn_of_quantiles(param: Array, meter: Meter) -> None:
    odd = param[~((param >= 0) & (param <= 1))]
    if len(odd):
        meter.warn(f"quantile value should be between 0 and 1, got {number(float(odd[0]))}")


# --- one value of a group -----------------------------------------------------------------------


def _sum(values: Array, there: Array, _: Array | None) -> Array:
    if len(values) == 1:
        return np.asarray(values[0])
    return row_sums(np.where(there, values, 0.0).T)


def _mean(values: Array, there: Array, _: Array | None) -> Array:
    if len(values) == 1:
        return np.asarray(values[0])
    if there.all():
        return row_sums(values.T, exact_mean)
    found = np.zeros(values.shape[1])
    for step in np.flatnonzero(there.any(axis=0)):
        found[step] = exact_mean(values[there[:, step], step].tolist())
    return found


def _least(values: Array, there: Array, _: Array | None) -> Array:
    found: Array = np.fmin.reduce(np.where(there, values, np.nan), axis=0)
    return found


def _greatest(values: Array, there: Array, _: Array | None) -> Array:
    found: Array = np.fmax.reduce(np.where(there, values, np.nan), axis=0)
    return found


def _count(values: Array, there: Array, _: Array | None) -> Array:
    return np.asarray(there.sum(axis=0), float)


def _ones(values: Array, there: Array, _: Array | None) -> Array:
    return np.ones(values.shape[1])


def _variance(values: Array, there: Array, _: Array | None) -> Array:
    """From the first value, so that equal values have none at all."""
    first = values[there.argmax(axis=0), np.arange(values.shape[1])]
    away = np.where(there, values - first, 0.0)
    count = np.maximum(1, there.sum(axis=0))
    mean = away.sum(axis=0) / count
    squares = np.where(there, (away - mean) ** 2, 0.0)
    found: Array = squares.sum(axis=0) / count
    endless = (there & ~np.isfinite(values)).any(axis=0)
    return np.where(endless, np.nan, found)


def _deviation(values: Array, there: Array, _: Array | None) -> Array:
    return np.sqrt(_variance(values, there, None))


def _quantile(values: Array, there: Array, param: Array | None) -> Array:
    assert param is not None
    if there.all():
        return quantiles(values.T, param)
    found = np.full(values.shape[1], np.nan)
    for step in np.flatnonzero(there.any(axis=0)):
        column = values[there[:, step], step]
        found[step] = quantiles(column[None, :], param[step : step + 1])[0]
    return found


REDUCE: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "sum": _sum,
    "avg": _mean,
    "min": _least,
    "max": _greatest,
    "count": _count,
    "group": _ones,
    "stddev": _deviation,
    "stdvar": _variance,
    "quantile": _quantile,
}


# --- some series of a group ---------------------------------------------------------------------


def _chosen(node: Aggregation, vector: Vector, param: Array) -> Vector:
    steps = vector.values.shape[1]
    if not len(param) or (
        np.nanmax(np.nan_to_num(param, nan=-np.inf)) < 1 and not np.isnan(param).any()
    ):
        return vector.rows([])
    _refuse_no_count(param)
    most = np.clip(param, 0, len(vector)).astype(int)
    kept = np.zeros(vector.there.shape, bool)
    order: list[int] = []
    for group in grouped(vector.labels, _key(node)).values():
        rows = np.array(group)
        there = vector.there[rows]
        best = rows[_best(node.op, vector.values[rows], there)]
        chosen = np.arange(len(rows))[:, None] < np.minimum(most, there.sum(axis=0))
        for place in range(int(chosen.any(axis=1).sum())):
            at = np.flatnonzero(chosen[place])
            kept[best[place, at], at] = True
            order += [int(best[place, 0])] if steps == 1 else []
    found = vector.where(kept)
    return found.rows(order if steps == 1 else np.flatnonzero(kept.any(axis=1)).tolist())


def _refuse_no_count(param: Array) -> None:
    if np.isnan(param).any():
        raise CannotEvaluate("Parameter value is NaN")
    if param.min() <= -LARGEST:
        raise CannotEvaluate(f"Scalar value {number(float(param.min()))} underflows int64")
    if param.max() >= LARGEST:
        raise CannotEvaluate(f"Scalar value {number(float(param.max()))} overflows int64")


def _best(op: str, values: Array, there: Array) -> Array:
    """Order rows at every step, best first; NaN is never better than a number."""
    key = np.zeros(values.shape) if op == "limitk" else values if op == "bottomk" else -values
    odd = np.isnan(key)
    return np.lexsort((np.where(odd, 0.0, key), odd, ~there), axis=0)


# --- a series a value ---------------------------------------------------------------------------


def number(value: float) -> str:
    """Write a number as a label's value.

    >>> number(1e21), number(0.5), number(float("inf"))
    ('1000000000000000000000', '0.5', '+Inf')
    """
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _count_values(node: Aggregation, vector: Vector, label: str, meter: Meter) -> Vector:
    if not label:
        raise CannotEvaluate('invalid label name ""')
    key = all_but(node.labels) if node.without else only((*node.labels, label))
    steps = vector.values.shape[1]
    counts: dict[Labels, Array] = {}
    for row, labels in enumerate(vector.labels):
        kept = [pair for pair in labels if pair[0] != label]
        for value in np.unique(vector.values[row, vector.there[row]]):
            same = vector.values[row] == value
            same = (np.isnan(vector.values[row]) if np.isnan(value) else same) & vector.there[row]
            group = key(sorted_labels([*kept, (label, number(float(value)))]))
            if group not in counts:
                meter.hold((len(counts) + 1) * steps)
                counts[group] = np.zeros(steps)
            counts[group][same] += 1
    return stack([(labels, count, count > 0, False) for labels, count in counts.items()], steps)
