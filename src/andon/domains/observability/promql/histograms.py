"""Classic histograms: series of buckets, each with its upper bound in the label ``le``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from andon.domains.observability.promql.grid import Array, Meter, Vector, at_any, stack
from andon.domains.observability.promql.nodes import NAME, Labels

BOUND = "le"
SMALL_SHARE = 1e-12
"""Neighbouring counts that differ by less are the same: arithmetic, not observations."""
SMALLEST_NORMAL = 2.2250738585072014e-308


def quantile_of_buckets(vector: Vector, wanted: Array, meter: Meter) -> Vector:
    """Estimate a quantile of each histogram, linear within a bucket.

    Args:
        vector: Buckets.
        wanted: The quantile at every step, ``(n_steps,) float64``.
        meter: What it costs.

    Source: Prometheus, promql/quantile.go, ``BucketQuantile``.
    """
    odd = wanted[~((wanted >= 0) & (wanted <= 1))]
    if len(odd):
        meter.warn(f"quantile value should be between 0 and 1, got {odd[0]:g}")

    def compute(bounds: Array, counts: Array, steps: Array) -> Array:
        return _quantiles(bounds, counts, wanted[steps], meter)

    return _by_histogram(vector, compute, meter)


def fraction_of_buckets(vector: Vector, lower: Array, upper: Array, meter: Meter) -> Vector:
    """Estimate which share of each histogram lies between two bounds.

    Source: Prometheus, promql/quantile.go, ``BucketFraction``.
    """
    meter.spend(10 * vector.values.size)  # Each is looked at one by one.

    def compute(bounds: Array, counts: Array, steps: Array) -> Array:
        return _fractions(bounds, counts, lower[steps], upper[steps])

    return _by_histogram(vector, compute, meter)


def _by_histogram(
    vector: Vector, compute: Callable[[Array, Array, Array], Array], meter: Meter
) -> Vector:
    steps = vector.values.shape[1]
    rows = []
    meter.spend(vector.values.size)
    for labels, group in _histograms(vector, meter).items():
        bounds = np.array([bound for bound, _ in group])
        members = [row for _, row in group]
        order = np.argsort(bounds, kind="stable")
        values, there = vector.values[members][order], vector.there[members][order]
        found = np.full(steps, np.nan)
        for mask, chosen in _alike(there):
            unique, counts = _coalesced(bounds[order][mask], values[mask][:, chosen])
            found[chosen] = compute(unique, counts, chosen)
        rows.append((labels, found, at_any(there), True))
    return stack(rows, steps)


def _histograms(vector: Vector, meter: Meter) -> dict[Labels, list[tuple[float, int]]]:
    """Return the buckets of each histogram, as bound and row."""
    found: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        text = dict(labels).get(BOUND, "")
        try:
            bound = float(text)
        except ValueError:
            name = dict(labels).get(NAME, "")
            told = f' for metric name "{name}"' if name else ""
            meter.warn(f'bucket label "le" is missing or has a malformed value of "{text}"{told}')
            continue
        rest = tuple(pair for pair in labels if pair[0] != BOUND)
        found.setdefault(rest, []).append((bound, row))
    return found


def _alike(there: Array) -> Iterator[tuple[Array, Array]]:
    """Return steps that have the same buckets, as a mask of these and the steps."""
    if there.all():
        yield np.ones(len(there), bool), np.arange(there.shape[1])
        return
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    which = which.ravel()
    for index in range(patterns.shape[1]):
        if patterns[:, index].any():
            yield patterns[:, index], np.flatnonzero(which == index)


def _coalesced(bounds: Array, counts: Array) -> tuple[Array, Array]:
    """Add up buckets of the same bound."""
    unique, first = np.unique(bounds, return_index=True)
    return unique, np.add.reduceat(counts, first, axis=0)


def _quantiles(bounds: Array, counts: Array, wanted: Array, meter: Meter) -> Array:
    ordinary = np.isfinite(wanted) & (wanted >= 0) & (wanted <= 1)
    found = np.where(wanted < 0, -np.inf, np.where(wanted > 1, np.inf, np.nan))
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return np.where(ordinary, np.nan, found)
    counts = _rising(bounds, counts.copy(), meter)
    total = counts[-1]
    rank = np.nan_to_num(wanted) * total
    last = len(bounds) - 1
    reached = counts[:-1] >= rank
    bucket = np.where(reached.any(axis=0), reached.argmax(axis=0), last)
    below = np.maximum(bucket - 1, 0)
    at = np.arange(counts.shape[1])
    first = bucket == 0
    start = np.where(first, 0.0, bounds[below])
    before = np.where(first, 0.0, counts[below, at])
    inside = start + (bounds[bucket] - start) * ((rank - before) / (counts[bucket, at] - before))
    inside = np.where(first & (bounds[0] <= 0), bounds[0], inside)
    inside = np.where(bucket == last, bounds[-2], inside)
    return np.where(ordinary, np.where(total == 0, np.nan, inside), found)


def _rising(bounds: Array, counts: Array, meter: Meter) -> Array:
    """Make counts never fall from bucket to bucket; tell if one fell by more than arithmetic does."""
    before = counts[0]
    forced = False
    for index in range(1, len(counts)):
        current = counts[index]
        stays = _about_equal(before, current)
        forced = forced or bool((~stays & (current < before)).any())
        stays |= current < before
        counts[index] = before = np.where(stays, before, current)
    if forced:
        meter.inform("input to histogram_quantile needed to be fixed for monotonicity")
    return counts


def _about_equal(one: Array, other: Array) -> Array:
    apart, size = np.abs(one - other), np.abs(one) + np.abs(other)
    tiny = (one == 0) | (other == 0) | (size < SMALLEST_NORMAL)
    bar = np.where(tiny, SMALL_SHARE * SMALLEST_NORMAL, SMALL_SHARE * size)
    found: Array = (one == other) | (apart < bar)
    return found


def _fractions(bounds: Array, counts: Array, lower: Array, upper: Array) -> Array:
    if bounds[-1] != np.inf:
        return np.full(counts.shape[1], np.nan)
    total = counts[-1]
    low, high = _ranks(bounds, counts, lower), _ranks(bounds, counts, upper)
    found = np.where(lower >= upper, 0.0, (high - low) / total)
    return np.where((total == 0) | np.isnan(lower) | np.isnan(upper), np.nan, found)


def _ranks(bounds: Array, counts: Array, values: Array) -> Array:
    """Return how many observations lie below a value, at every step."""
    found: Array = counts[-1].copy()
    floor = 0.0 if bounds[0] > 0 else -np.inf
    for step, value in enumerate(values):
        start, before = floor, 0.0
        for bound, count in zip(bounds, counts[:, step], strict=True):
            if start >= value:
                found[step] = min(before, found[step])
                break
            if bound > value:
                share = (value - start) / (bound - start) if np.isfinite(start) else 1.0
                found[step] = min(before + (count - before) * share, found[step])
                break
            start, before = bound, count
    return found
