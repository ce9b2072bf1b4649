"""The one latency scale: gateway counters, frozen quantiles and the judge speak in these buckets."""

from __future__ import annotations

import math

FIRST_SECONDS = 0.0005
GROWTH = 1.1
BUCKETS = 140
"""The last bound is about 310 s."""

_LOG_GROWTH = math.log(GROWTH)


def bucket_of(seconds: float) -> int:
    """Return the smallest bucket whose upper bound is at least ``seconds``.

    >>> bucket_of(0.0), bucket_of(0.0005), bucket_of(0.00051)
    (0, 0, 1)
    """
    if seconds <= FIRST_SECONDS:
        return 0
    index = math.ceil(math.log(seconds / FIRST_SECONDS) / _LOG_GROWTH - 1e-9)
    return min(index, BUCKETS - 1)


def upper_bound(bucket: int) -> float:
    """Return a bucket's upper bound in seconds.

    >>> round(upper_bound(bucket_of(0.1)), 4) >= 0.1
    True
    """
    return float(FIRST_SECONDS * GROWTH**bucket)
