"""Budgets come of counts, alerts that could never fire are known, and no data is no number."""

from __future__ import annotations

import math

import pytest

from andon.api.burnrates import DAY, can_fire, factor, lowest_target
from andon.calc.burn import (
    Counts,
    add,
    budget_spent,
    burn,
    error_rate,
    remaining,
    slice_target_fits,
    surely_above,
    time_to_empty,
)
from andon.calc.intervals import exact_interval


def test_the_factors_of_the_workbook_follow_from_a_month():
    told = [(0.02, 3600), (0.05, 6 * 3600), (0.10, DAY), (0.10, 3 * DAY)]
    assert [round(factor(p, w, 30 * DAY), 2) for p, w in told] == [14.4, 6, 3, 1]
    assert round(factor(0.02, 3600, 28 * DAY), 2) == 13.44


@pytest.mark.parametrize(("burn_factor", "target"), [(14.4, 0.9306), (6, 0.8334)])
def test_an_alert_fires_only_above_its_lowest_target(burn_factor: float, target: float):
    assert can_fire(burn_factor, target)
    assert not can_fire(burn_factor, lowest_target(burn_factor))


def test_an_empty_window_is_no_data_and_spoils_no_sum():
    empty = Counts(seconds=300, covered_seconds=300)
    assert error_rate(empty) is burn(empty, 0.99) is remaining(empty, 0.99) is None
    assert burn(add(Counts(1, 100, 300, 300), empty), 0.99) == 1


def test_an_average_of_ratios_would_say_something_else():
    busy, idle = Counts(0, 10_000, 300, 300), Counts(1, 1, 300, 300)
    assert error_rate(add(busy, idle)) == pytest.approx(1 / 10_001)


def test_slices_are_divided_by_those_expected():
    assert error_rate(Counts(bad=1, total=10, expected=100)) == 0.01


def test_what_a_window_spends_is_its_part_of_the_period():
    hour = Counts(bad=144, total=10_000, seconds=3600)
    assert budget_spent(hour, 0.999, 30 * DAY) == pytest.approx(0.02)


def test_a_budget_that_does_not_burn_lasts_for_ever():
    assert time_to_empty(0.5, 0, DAY) == math.inf
    assert time_to_empty(-0.1, 3, DAY) == 0
    assert time_to_empty(None, 3, DAY) is time_to_empty(0.5, None, DAY) is None
    assert time_to_empty(0.5, 2, 30 * DAY) == 7.5 * DAY


@pytest.mark.parametrize(("bad", "total"), [(1, 10), (2, 40), (3, 40), (9, 600), (40, 600)])
@pytest.mark.parametrize("rate", [0.0144, 0.06])
def test_the_guard_says_what_the_exact_bound_says(bad: int, total: int, rate: float):
    low, _ = exact_interval(bad, total, confidence=0.9)
    assert surely_above(bad, total, rate) == (low > rate)


def test_a_slice_may_be_worse_than_the_whole_and_no_better():
    assert slice_target_fits(0.95, 0.99)
    assert not slice_target_fits(0.999, 0.999)
