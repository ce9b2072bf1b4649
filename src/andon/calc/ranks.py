"""By how much one sample lies above another, by ranks alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist

from msgspec import Struct

from andon.calc.zero import zero_between


class Shift(Struct, frozen=True):
    """By how much one sample lies above another.

    Args:
        low: Lower end of the interval.
        high: Upper end.
        estimate: The shift that makes them alike (Hodges and Lehmann).
    """

    low: float
    high: float
    estimate: float


def shift_between(above: Sequence[float], below: Sequence[float], confidence: float) -> Shift:
    """Return the shift with a two-sided interval, from inverting the rank-sum test.

    The statistic is taken as normal, corrected for ties and for continuity; where it does not change its
    sign within the possible shifts, the end is the largest or smallest of these.

    Args:
        above: Not empty.
        below: Not empty.
        confidence: Such as 0.98.

    Source: F. Wilcoxon (1945); H. B. Mann and D. R. Whitney, *Annals of Mathematical Statistics* 18
    (1947); M. Hollander and D. A. Wolfe, *Nonparametric Statistical Methods*, section 4.3.

    >>> shift = shift_between([5, 6, 7, 8, 9], [1, 2, 3, 4, 5], 0.9)
    >>> round(shift.low, 2), round(shift.high, 2), round(shift.estimate, 2)
    (2.0, 6.0, 4.0)
    """
    least, most = min(above) - max(below), max(above) - min(below)
    tail = NormalDist().inv_cdf((1 - confidence) / 2)

    def end(quantile: float) -> float:
        return _crossing(lambda shift: _rank_sum(above, below, shift) - quantile, least, most)

    return Shift(end(-tail), end(tail), end(0.0))


def _crossing(function: Callable[[float], float], least: float, most: float) -> float:
    if function(least) <= 0:
        return least
    if function(most) >= 0:
        return most
    return zero_between(function, least, most)


def _rank_sum(above: Sequence[float], below: Sequence[float], shift: float) -> float:
    """Return the standardised rank sum of the first sample, moved down by a shift."""
    moved = [value - shift for value in above]
    n, m = len(above), len(below)
    both = Counter([*moved, *below])
    ranks, done = {}, 0
    for value in sorted(both):
        ranks[value] = done + (both[value] + 1) / 2
        done += both[value]
    excess = math.fsum(ranks[value] for value in moved) - n * (n + 1) / 2 - n * m / 2
    ties = sum(count**3 - count for count in both.values()) / ((n + m) * (n + m - 1))
    sigma = math.sqrt(n * m / 12 * (n + m + 1 - ties))
    correction = math.copysign(0.5, excess) if excess else 0.0
    return (excess - correction) / sigma if sigma else 0.0
