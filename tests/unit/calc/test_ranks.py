"""The interval that users of a rank test printed, and one that scipy knows."""

from __future__ import annotations

import pytest

from andon.calc.ranks import shift_between
from andon.calc.zero import zero_between


def test_interval_and_estimate_printed_in_an_issue_come_out_again() -> None:
    """spinnaker#6278."""
    shift = shift_between([100.0] * 7 + [1.0] * 3, [1.0] * 10, 0.98)
    assert shift.low == pytest.approx(6.825022991538781e-05, rel=1e-12)
    assert (shift.high, round(shift.estimate, 5)) == (99.0, 98.99993)


def test_estimate_is_the_median_of_all_differences() -> None:
    above, below = [5.1, 7.3, 9.9, 4.2], [1.7, 3.4, 2.2, 6.0, 5.5]
    differences = sorted(x - y for x in above for y in below)
    assert shift_between(above, below, 0.9).estimate == pytest.approx(
        (differences[9] + differences[10]) / 2, abs=0.3
    )


def test_interval_that_never_crosses_ends_at_the_largest_shift() -> None:
    shift = shift_between([1.0, 2.0], [1.5, 2.5], 0.99)
    assert (shift.low, shift.high) == (-1.5, 0.5)


def test_zero_needs_a_change_of_sign() -> None:
    assert zero_between(lambda x: x**3 - 8, -5, 5, 1e-10) == pytest.approx(2)
    with pytest.raises(ValueError, match="no change of sign"):
        zero_between(lambda x: x * x + 1, -1, 1)
