"""Quantiles and exceedances of latency histograms (``andon.api.v1.latency``)."""

from __future__ import annotations

from collections.abc import Mapping


def quantile_bucket(histogram: Mapping[int, int], quantile: float) -> int:
    """Return the smallest bucket that at least this share of the requests does not exceed.

    Args:
        histogram: Requests by bucket; must not be empty.
        quantile: Between 0 and 1.

    Source: the inverse of the empirical distribution function (type 1 of Hyndman and Fan,
    *The American Statistician* 50, 1996).

    >>> quantile_bucket({10: 90, 20: 9, 30: 1}, 0.9), quantile_bucket({10: 90, 20: 9, 30: 1}, 0.91)
    (10, 20)
    """
    needed = quantile * sum(histogram.values())
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= needed:
            return bucket
    return max(histogram)


def exceeding(histogram: Mapping[int, int], bucket: int) -> int:
    """Return how many requests were slower than a bucket's upper bound.

    >>> exceeding({10: 90, 20: 9, 30: 1}, 10)
    10
    """
    return sum(count for key, count in histogram.items() if key > bucket)
