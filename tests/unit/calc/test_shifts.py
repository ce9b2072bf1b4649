"""A lasting move of a series is found where it was, and none where there was none."""

from __future__ import annotations

import numpy as np
import pytest

from andon.calc.shifts import find_shifts

NOISES = {
    "normal": (lambda chance, n: chance.normal(0, 1, n), 1.0),
    "heavy tails": (lambda chance, n: chance.standard_t(3, n), 3**0.5),
    "skewed": (lambda chance, n: chance.lognormal(0, 1, n), 2.16),
}


@pytest.mark.parametrize("name", NOISES)
def test_shift_of_one_deviation_is_found(name):
    make, deviation = NOISES[name]
    found = 0
    for seed in range(40):
        series = make(np.random.default_rng(seed), 300)
        series[150:] += deviation
        found += any(abs(one.at - 150) <= 15 for one in find_shifts(series))
    assert found >= 32


@pytest.mark.parametrize("name", NOISES)
def test_noise_alone_has_no_shift(name):
    make, _ = NOISES[name]
    series = [make(np.random.default_rng(seed), 300) for seed in range(200)]
    assert sum(bool(find_shifts(one)) for one in series) <= 2


def test_several_shifts_are_found_in_order():
    chance = np.random.default_rng(5)
    levels = np.repeat([0.0, 8.0, 3.0], 60)
    found = find_shifts(levels + chance.normal(0, 1, 180))
    assert [round(one.at / 10) for one in found] == [6, 12]
    assert [round(one.after) for one in found] == [8, 3]


@pytest.mark.parametrize("series", [[], [1.0], [2.0] * 100, list(range(15))])
def test_too_little_or_nothing_moving_is_no_shift(series):
    assert find_shifts(series) == ()
