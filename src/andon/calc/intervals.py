"""How sure a share is: exact bounds for hits among trials."""

from __future__ import annotations

import math
from collections.abc import Callable

_STEPS = 60
"""Halvings of the unit interval: finer than a float near 1 can tell."""


def exact_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return bounds that hold the true share at least as often as ``confidence`` says, whatever it is.

    Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
    case of the binomial", Biometrika 26 (1934), 404-413.

    Args:
        hits: How often it happened.
        trials: How often it could have.
        confidence: Between 0 and 1; what may be missed is shared by both sides.

    >>> low, high = exact_interval(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    >>> exact_interval(0, 0)
    (0.0, 1.0)
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits among {trials} trials")
    missed = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _solve(lambda share: at_least(hits, trials, share), missed)
    high = 1.0
    if hits < trials:
        high = 1 - _solve(lambda share: at_least(trials - hits, trials, share), missed)
    return low, high


def at_least(hits: int, trials: int, share: float) -> float:
    """Return the probability of so many hits or more.

    >>> round(at_least(2, 2, 0.5), 6), at_least(0, 5, 0.1), at_least(1, 5, 0.0)
    (0.25, 1.0, 0.0)
    """
    if hits <= 0:
        return 1.0
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    # The shorter tail is summed: the terms beyond it are added from large to small.
    if hits > trials * share:
        return _tail(range(hits, trials + 1), trials, share)
    return 1 - _tail(range(hits - 1, -1, -1), trials, share)


def _tail(numbers: range, trials: int, share: float) -> float:
    total = 0.0
    for number in numbers:
        term = math.exp(_log_term(number, trials, share))
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, total)


def _log_term(number: int, trials: int, share: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(number + 1) - math.lgamma(trials - number + 1)
    return ways + number * math.log(share) + (trials - number) * math.log1p(-share)


def _solve(probability: Callable[[float], float], wanted: float) -> float:
    """Return where a growing function of a share reaches what is wanted."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if probability(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
