"""Error budgets in numbers: how fast one burns, and what is left of it.

T is the target, ``b = 1 - T`` the share that may fail, P the period the target holds for, all times in
seconds. Everything is computed from counts: an average of ratios weighs an empty minute like a full one.
Where nothing happened or nothing was seen the answer is None: no data is neither good nor bad.

Source: B. Beyer et al., *The Site Reliability Workbook* (O'Reilly 2018), chapter 5.
"""

from __future__ import annotations

import math

from msgspec import Struct

from andon.api.burnrates import DAY as DAY
from andon.calc.intervals import at_least


class Counts(Struct, frozen=True):
    """What happened in a window, as far as it was seen.

    Args:
        bad: Events (requests, checks, slices of time) that failed.
        total: Events that were judged.
        seconds: How long the window is.
        covered_seconds: How much of it was observed; the rest is unknown.
        expected: Slices of time in the window, seen or not; 0: events are counted, not slices.
    """

    bad: float = 0.0
    total: float = 0.0
    seconds: float = 0.0
    covered_seconds: float = 0.0
    expected: float = 0.0

    @property
    def coverage(self) -> float:
        """Share of the window that was observed, 0 to 1."""
        return min(1.0, self.covered_seconds / self.seconds) if self.seconds > 0 else 0.0

    @property
    def denominator(self) -> float:
        """What failures are divided by: events judged, or slices *expected*."""
        return self.expected or self.total


def error_rate(counts: Counts) -> float | None:
    """Return the share that failed; None: no data.

    >>> error_rate(Counts(bad=1, total=200)), error_rate(Counts(seconds=60, covered_seconds=60))
    (0.005, None)
    """
    if counts.total <= 0:
        return None
    return min(1.0, counts.bad / counts.denominator)


def burn(counts: Counts, target: float) -> float | None:
    """Return how many times faster than allowed the budget is spent; None: no data.

    >>> burn(Counts(bad=1, total=100), 0.999)
    10.0
    """
    rate = error_rate(counts)
    return None if rate is None else _round(rate / (1 - target))


def budget_spent(counts: Counts, target: float, period_seconds: float) -> float | None:
    """Return the share of the period's budget that a window spent: burn times w / P; None: no data.

    >>> round(budget_spent(Counts(bad=144, total=10_000, seconds=3600), 0.999, 30 * DAY), 4)
    0.02
    """
    rate = burn(counts, target)
    return None if rate is None else rate * counts.seconds / period_seconds


def weighted_spent(counts: Counts, target: float, expected_events: float) -> float | None:
    """Return the share of the budget that a window spent where traffic is uneven; None: no data.

    Args:
        counts: Of the window.
        target: T.
        expected_events: Events of the whole period, N(P).

    >>> weighted_spent(Counts(bad=20, total=40), 0.99, 10_000)
    0.2
    """
    if counts.total <= 0 or expected_events <= 0:
        return None
    return _round(counts.bad / ((1 - target) * expected_events))


def remaining(counts: Counts, target: float) -> float | None:
    """Return the share of the budget left at the end of a whole period; negative: overdrawn.

    >>> remaining(Counts(bad=4, total=1000), 0.99), remaining(Counts(), 0.99)
    (0.6, None)
    """
    spent = burn(counts, target)
    return None if spent is None else _round(1 - spent)


def time_to_empty(left: float | None, rate: float | None, period_seconds: float) -> float | None:
    """Return the seconds until the budget is spent at this burn; infinity: never; None: no data.

    >>> time_to_empty(0.5, 10, 30 * DAY) / 3600, time_to_empty(0.5, 0, 30 * DAY)
    (36.0, inf)
    """
    if left is None or rate is None:
        return None
    if left <= 0:
        return 0.0
    return left * period_seconds / rate if rate > 0 else math.inf


def surely_above(bad: float, total: float, rate: float, alpha: float = 0.05) -> bool:
    """Say whether the true error rate exceeds ``rate``, by the one-sided Clopper-Pearson lower bound.

    The bound ``BetaInv(alpha; bad, total - bad + 1)`` lies above ``rate`` exactly where so many failures
    have a chance below ``alpha`` at that rate, which needs no search.

    >>> surely_above(1, 10, 0.0144), surely_above(3, 10, 0.0144)
    (False, True)
    """
    hits, trials = math.floor(bad + 1e-9), max(math.ceil(total - 1e-9), math.floor(bad + 1e-9))
    return hits > 0 and at_least(hits, trials, min(rate, 1.0)) < alpha


def slice_target_fits(slice_target: float, target: float) -> bool:
    """Say whether a slice may be worse than the whole: with equal targets a healthy service alarms.

    >>> slice_target_fits(0.95, 0.99), slice_target_fits(0.999, 0.999)
    (True, False)
    """
    return slice_target < target


def add(one: Counts, other: Counts) -> Counts:
    """Return the counts of two windows, one after the other.

    >>> add(Counts(1, 10, 60, 60), Counts(0, 5, 60, 30))
    Counts(bad=1, total=15, seconds=120, covered_seconds=90, expected=0.0)
    """
    return Counts(
        one.bad + other.bad,
        one.total + other.total,
        one.seconds + other.seconds,
        one.covered_seconds + other.covered_seconds,
        one.expected + other.expected,
    )


def _round(value: float) -> float:
    """Drop what binary fractions add: ``1 - 0.999`` is not a thousandth."""
    return float(f"{value:.12g}")
