"""Exact bounds, against another library's."""

from __future__ import annotations

import pytest
from scipy.stats import beta

from andon.calc.intervals import at_least, exact_interval


@pytest.mark.parametrize(
    ("hits", "trials"), [(0, 1), (1, 1), (1, 2), (3, 50), (20, 20), (7, 1000), (4999, 10000)]
)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_bounds_are_those_of_the_beta_distribution(
    hits: int, trials: int, confidence: float
) -> None:
    low, high = exact_interval(hits, trials, confidence)
    missed = (1 - confidence) / 2
    expected_low = beta.ppf(missed, hits, trials - hits + 1) if hits else 0.0
    expected_high = beta.ppf(1 - missed, hits + 1, trials - hits) if hits < trials else 1.0
    assert low == pytest.approx(expected_low, rel=1e-9)
    assert high == pytest.approx(expected_high, rel=1e-9)


def test_bounds_hold_the_truth_as_often_as_they_say() -> None:
    trials, share = 30, 0.07
    missed = sum(
        at_least(hits, trials, share) - at_least(hits + 1, trials, share)
        for hits in range(trials + 1)
        if not exact_interval(hits, trials)[0] <= share <= exact_interval(hits, trials)[1]
    )
    assert missed <= 0.05


def test_more_hits_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="3 hits among 2 trials"):
        exact_interval(3, 2)
