"""Functions of ranges, computed for all windows of a series at once.

The windows of a series are pairs of indices into its samples. What only needs the ends of a window looks
at these; what needs all of it does so for windows of the same length together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from andon.calc.staleness import STALE_BITS
from andon.domains.observability.promql.grid import Array, Meter

CELLS = 1 << 20
"""Samples of windows that are copied side by side at once."""
ILL_CONDITIONED = 1e-10
"""A sum that is smaller than this share of its largest part consists of what rounding left."""
WELL_CONDITIONED = 1e-3
"""A sum that is larger than this share of the sum of its parts' sizes is right to twelve digits."""
Answer = tuple[Array, Array]
"""Values and where there are any, by window."""


class Windows(Struct, frozen=True):
    """The windows of one series: ``ends - range_ms < t <= ends``.

    Args:
        times: Of its samples, ``(n,) int64``.
        values: Of its samples, ``(n,) float64``; no staleness marks.
        ends: Of the windows, ``(w,) int64``.
        evaluated: When each is asked for, which an offset or ``@`` makes another time, ``(w,) int64``.
        range_ms: How long they are.
        low: Index of the first sample of each.
        high: Index behind the last.
        meter: What it costs.
    """

    times: Array
    values: Array
    ends: Array
    evaluated: Array
    range_ms: int
    low: Array
    high: Array
    meter: Meter

    @property
    def counts(self) -> Array:
        """Samples in each."""
        return self.high - self.low


def windows_of(
    times: Array, values: Array, ends: Array, evaluated: Array, range_ms: int, meter: Meter
) -> Windows:
    """Find the windows of a series."""
    live = np.ascontiguousarray(values, float).view(np.uint64) != STALE_BITS
    if not live.all():
        times, values = times[live], values[live]
    low = np.searchsorted(times, ends - range_ms, "right")
    high = np.searchsorted(times, ends, "right")
    meter.spend(len(times) + len(ends))
    return Windows(times, values, ends, evaluated, range_ms, low, high, meter)


# --- what needs the ends of a window ------------------------------------------------------------


def _spread(there: Array, values: Array) -> Answer:
    found = np.full(len(there), np.nan)
    found[there] = values
    return found, there


def _extrapolated(windows: Windows, counter: bool, per_second: bool) -> Answer:
    """Return growth, stretched to the window's ends where samples come near them.

    Source: Prometheus, promql/functions.go, ``extrapolatedRate``.
    """
    there = windows.counts >= 2
    first, last = windows.low[there], windows.high[there] - 1
    begin, end = windows.times[first], windows.times[last]
    grown = windows.values[last] - windows.values[first]
    if counter:
        grown = grown + _lost_by_resets(windows, first, last)
    span = (end - begin) / 1000
    between = span / (last - first)
    near = between * 1.1
    stop = windows.ends[there]
    to_start = (begin - (stop - windows.range_ms)) / 1000
    to_end = (stop - end) / 1000
    to_start = np.where(to_start >= near, between / 2, to_start)
    if counter:
        start = windows.values[first]
        to_zero = np.where((grown > 0) & (start >= 0), span * (start / grown), to_start)
        to_start = np.where(to_zero < to_start, to_zero, to_start)
    to_end = np.where(to_end >= near, between / 2, to_end)
    factor = (span + to_start + to_end) / span
    if per_second:
        factor = factor / (windows.range_ms / 1000)
    return _spread(there, grown * factor)


def _lost_by_resets(windows: Windows, first: Array, last: Array) -> Array:
    values = windows.values
    resets = np.flatnonzero(values[1:] < values[:-1]) + 1
    lost = np.zeros(len(first))
    if not len(resets):
        return lost
    low, high = np.searchsorted(resets, first, "right"), np.searchsorted(resets, last, "right")
    some = high > low
    lost[some] = _reduced(np.add, values[resets - 1], low[some], high[some])
    return lost


def _reduced(ufunc: Any, values: Array, low: Array, high: Array) -> Array:
    """Reduce ``values[low:high]`` of each window; none may be empty."""
    if not len(low):
        return np.empty(0)
    pairs = np.column_stack([low, high]).ravel()
    found: Array = ufunc.reduceat(np.append(values, 0.0), pairs)[::2]
    return found


def _two_newest(windows: Windows, counter: bool) -> Answer:
    there = windows.counts >= 2
    last = windows.high[there] - 1
    new, old = windows.values[last], windows.values[last - 1]
    change = np.where(new < old, new, new - old) if counter else new - old
    if counter:
        change = change / ((windows.times[last] - windows.times[last - 1]) / 1000)
    return _spread(there, change)


def _counted(windows: Windows, happened: Callable[[Array, Array], Array]) -> Answer:
    """Count pairs of neighbours of which something is true."""
    there = windows.counts >= 1
    before, after = windows.values[:-1], windows.values[1:]
    so_far = (
        np.concatenate([[0], np.cumsum(happened(before, after))]) if len(after) else np.zeros(1)
    )
    found = so_far[windows.high[there] - 1] - so_far[windows.low[there]]
    return _spread(there, found)


def _changed(before: Array, after: Array) -> Array:
    found: Array = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return found


def _extreme(windows: Windows, ufunc: Any) -> Answer:
    there = windows.counts >= 1
    windows.meter.spend(int(windows.counts.sum()))
    found = _reduced(ufunc, windows.values, windows.low[there], windows.high[there])
    return _spread(there, found)


def _at(windows: Windows, index: Array, source: Array) -> Answer:
    there = windows.counts >= 1
    return _spread(there, source[index[there]])


# --- what needs all of a window -----------------------------------------------------------------


class Batch(Struct, frozen=True):
    """Windows of the same length.

    Args:
        values: ``(w, n) float64``.
        times: ``(w, n) int64``.
        evaluated: ``(w,) int64``.
        params: Of the function, each ``(w,) float64``.
    """

    values: Array
    times: Array
    evaluated: Array
    params: tuple[Array, ...]


def _whole(
    windows: Windows, fewest: int, compute: Callable[[Batch], Array], *params: Array, work: int = 1
) -> Answer:
    """Compute from all samples of each window; ``work``: what each costs, a sum being 1."""
    counts = windows.counts
    there = counts >= fewest
    windows.meter.spend(work * int(counts.sum()))
    found = np.full(len(counts), np.nan)
    for size in np.unique(counts[there]):
        same = np.flatnonzero(there & (counts == size))
        for start in range(0, len(same), max(1, CELLS // int(size))):
            chosen = same[start : start + max(1, CELLS // int(size))]
            cells = windows.low[chosen][:, None] + np.arange(size)
            found[chosen] = compute(
                Batch(
                    windows.values[cells],
                    windows.times[cells],
                    windows.evaluated[chosen],
                    tuple(param[chosen] for param in params),
                )
            )
    return found, there


def exact_sum(values: list[float]) -> float:
    """Add numbers without losing small ones to large ones.

    Where hardly anything of them remains, it is added as Prometheus does, which loses a little more.

    >>> exact_sum([1e100, 1.0, -1e100])
    1.0
    """
    try:
        total = math.fsum(values)
    except (OverflowError, ValueError):
        return float(sum(values))
    largest = max(map(abs, values), default=0.0)
    return sum(compensated(values)) if abs(total) < ILL_CONDITIONED * largest else total


def compensated(values: list[float]) -> tuple[float, float]:
    """Add numbers and what rounding lost of them.

    Source: A. Neumaier, Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen, 1974.

    >>> compensated([1e100, 1.0, -1e100])
    (0.0, 1.0)
    """
    total, lost = values[0], 0.0
    for value in values[1:]:
        grown = total + value
        lost += (total - grown) + value if abs(total) >= abs(value) else (value - grown) + total
        total = grown
    return total, lost


def exact_mean(values: list[float]) -> float:
    """Average numbers, even if their sum is too large for one.

    >>> exact_mean([1e308, 1e308])
    1e+308
    """
    total = exact_sum(values)
    if math.isfinite(total) or not all(map(math.isfinite, values)):
        return total / len(values)
    return math.fsum(value / len(values) for value in values)


def row_sums(rows: Array, exact: Callable[[list[float]], float] = exact_sum) -> Array:
    """Add up rows, exactly where rounding could show.

    Args:
        rows: ``(r, n) float64``.
        exact: Adds up, or averages, a row that is ill-conditioned or not finite.

    >>> row_sums(np.array([[1.0, 2.0], [1e16, -1e16]])).tolist()
    [3.0, 0.0]
    """
    sums = rows.sum(axis=1)
    found = sums if exact is exact_sum else sums / rows.shape[1]
    safe = np.isfinite(sums) & (np.abs(sums) >= WELL_CONDITIONED * np.abs(rows).sum(axis=1))
    for row in np.flatnonzero(~safe):
        found[row] = exact(rows[row].tolist())
    return np.asarray(found)


def _sums(batch: Batch) -> Array:
    return row_sums(batch.values)


def _means(batch: Batch) -> Array:
    return row_sums(batch.values, exact_mean)


def _variances(batch: Batch) -> Array:
    """From the first value, so that equal values have none at all."""
    found: Array = (batch.values - batch.values[:, :1]).var(axis=1)
    return found


def quantiles(rows: Array, wanted: Array) -> Array:
    """Interpolate quantiles of rows; NaN counts as the smallest value.

    Args:
        rows: ``(r, n) float64``, n at least 1.
        wanted: ``(r,) float64``; below 0 gives -Inf, above 1 +Inf.

    >>> quantiles(np.array([[3.0, 1.0, 2.0]]), np.array([0.75])).tolist()
    [2.5]
    """
    ordered = -np.sort(-rows, axis=1)[:, ::-1]
    size = ordered.shape[1]
    rank = np.clip(np.nan_to_num(wanted), 0, 1) * (size - 1)
    below = np.floor(rank).astype(int)
    above = np.minimum(size - 1, below + 1)
    weight = rank - below
    at = np.arange(len(ordered))
    found = ordered[at, below] * (1 - weight) + ordered[at, above] * weight
    found = np.where(wanted < 0, -np.inf, np.where(wanted > 1, np.inf, found))
    return np.where(np.isnan(wanted), np.nan, found)


def _quantiles(batch: Batch) -> Array:
    return quantiles(batch.values, batch.params[0])


def _deviations(batch: Batch) -> Array:
    half = np.full(len(batch.values), 0.5)
    away = np.abs(batch.values - quantiles(batch.values, half)[:, None])
    return np.where(np.isnan(batch.values).any(axis=1), np.nan, quantiles(away, half))


def _line(batch: Batch, origin: Array) -> Answer:
    """Fit a line by least squares; returns its slope per second and its value at ``origin``."""
    seconds = (batch.times - origin[:, None]) / 1000
    middle, mean = seconds.mean(axis=1, keepdims=True), batch.values.mean(axis=1, keepdims=True)
    away = seconds - middle
    slope = (away * (batch.values - mean)).sum(axis=1) / (away**2).sum(axis=1)
    first = batch.values[:, 0]
    flat = (batch.values == first[:, None]).all(axis=1)
    at_origin = np.where(flat, first, mean[:, 0] - slope * middle[:, 0])
    slope = np.where(flat, 0.0, slope)
    endless = flat & np.isinf(first)
    return np.where(endless, np.nan, slope), np.where(endless, np.nan, at_origin)


def _slopes(batch: Batch) -> Array:
    return _line(batch, batch.times[:, 0])[0]


def _predictions(batch: Batch) -> Array:
    slope, now = _line(batch, batch.evaluated)
    return slope * batch.params[0] + now


def _smoothed(batch: Batch) -> Array:
    """Smooth exponentially, twice.

    Source: C. Holt, Forecasting seasonals and trends by exponentially weighted averages, 1957.
    """
    smoothing, trending = batch.params
    old, new = np.zeros(len(batch.values)), batch.values[:, 0]
    trend = batch.values[:, 1] - batch.values[:, 0]
    for index in range(1, batch.values.shape[1]):
        if index > 1:
            trend = trending * (new - old) + (1 - trending) * trend
        old, new = new, smoothing * batch.values[:, index] + (1 - smoothing) * (new + trend)
    return new


def _times_of(batch: Batch, extreme: Any) -> Array:
    """Return when the extreme was last reached, in seconds."""
    best = extreme.reduce(batch.values, axis=1)[:, None]
    hit = (batch.values == best) | (np.isnan(best) & np.isnan(batch.values))
    last = batch.values.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    found: Array = batch.times[np.arange(len(last)), last] / 1000
    return found


OVER_WINDOWS: dict[str, Callable[..., Answer]] = {
    "rate": lambda w: _extrapolated(w, counter=True, per_second=True),
    "increase": lambda w: _extrapolated(w, counter=True, per_second=False),
    "delta": lambda w: _extrapolated(w, counter=False, per_second=False),
    "irate": lambda w: _two_newest(w, counter=True),
    "idelta": lambda w: _two_newest(w, counter=False),
    "resets": lambda w: _counted(w, lambda before, after: after < before),
    "changes": lambda w: _counted(w, _changed),
    "min_over_time": lambda w: _extreme(w, np.fmin),
    "max_over_time": lambda w: _extreme(w, np.fmax),
    "count_over_time": lambda w: (w.counts.astype(float), w.counts >= 1),
    "present_over_time": lambda w: (np.ones(len(w.counts)), w.counts >= 1),
    "absent_over_time": lambda w: (np.ones(len(w.counts)), w.counts >= 1),
    "first_over_time": lambda w: _at(w, w.low, w.values),
    "last_over_time": lambda w: _at(w, w.high - 1, w.values),
    "ts_of_first_over_time": lambda w: _at(w, w.low, w.times / 1000),
    "ts_of_last_over_time": lambda w: _at(w, w.high - 1, w.times / 1000),
    "ts_of_max_over_time": lambda w: _whole(w, 1, lambda b: _times_of(b, np.fmax)),
    "ts_of_min_over_time": lambda w: _whole(w, 1, lambda b: _times_of(b, np.fmin)),
    "sum_over_time": lambda w: _whole(w, 1, _sums),
    "avg_over_time": lambda w: _whole(w, 1, _means),
    "stdvar_over_time": lambda w: _whole(w, 1, _variances),
    "stddev_over_time": lambda w: _whole(w, 1, lambda b: np.sqrt(_variances(b))),
    "mad_over_time": lambda w: _whole(w, 1, _deviations, work=6),
    "quantile_over_time": lambda w, wanted: _whole(w, 1, _quantiles, wanted, work=3),
    "deriv": lambda w: _whole(w, 2, _slopes),
    "predict_linear": lambda w, ahead: _whole(w, 2, _predictions, ahead),
    "double_exponential_smoothing": lambda w, s, t: _whole(w, 2, _smoothed, s, t, work=3),
}
"""Functions of windows, and of parameters by window, by name."""
