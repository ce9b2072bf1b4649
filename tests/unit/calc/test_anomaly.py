"""The detector tells what is odd and little else, whatever the noise."""

from __future__ import annotations

import numpy as np
import pytest

from andon.calc.anomaly import REFRACTORY, Detector

CHANCE = np.random.default_rng


def oddities(values) -> list[tuple[int, str]]:
    watch = Detector()
    seen = ((n, watch.see(float(value))) for n, value in enumerate(values))
    return [(n, odd.kind) for n, odd in seen if odd is not None]


def usual(seed: int, count: int = 1000):
    return CHANCE(seed).normal(100, 5, count)


@pytest.mark.parametrize("seed", range(20))
def test_jump_of_twelve_deviations_is_told_within_moments(seed):
    jump = usual(seed + 100, 20) + 60
    found = oddities(np.concatenate((usual(seed), jump)))
    assert [n for n, _ in found if 1000 <= n < 1005]


def test_series_that_grows_restless_is_told():
    calm, restless = usual(1), CHANCE(2).normal(100, 30, 30)
    found = oddities(np.concatenate((calm, restless)))
    assert found
    assert min(n for n, _ in found) >= 1000


@pytest.mark.parametrize(
    ("name", "make", "most_a_day"),
    [
        ("normal", lambda chance, n: chance.normal(100, 5, n), 0.2),
        (
            "daily",
            lambda chance, n: 100 + 50 * np.sin(np.arange(n) / 229) + chance.normal(0, 5, n),
            0.3,
        ),
        ("counts", lambda chance, n: chance.poisson(3, n), 0.5),
        ("heavy tails", lambda chance, n: 100 + 5 * chance.standard_t(3, n), 3),
        ("skewed", lambda chance, n: chance.lognormal(3, 0.5, n), 3),
    ],
)
def test_little_is_told_of_a_series_as_it_always_was(name, make, most_a_day):
    runs, minutes = 8, 5000
    found = sum(len(oddities(make(CHANCE(seed), minutes))) for seed in range(runs))
    assert found / (runs * minutes) * 1440 <= most_a_day, name


def test_nothing_more_is_told_for_a_while():
    watch = Detector()
    for value in usual(3):
        watch.see(float(value))
    assert watch.see(900.0) is not None
    assert not any(watch.see(900.0 * (-1) ** n) for n in range(REFRACTORY))


def test_constant_series_is_not_odd_until_it_moves():
    watch = Detector()
    assert not any(watch.see(0.0) for _ in range(500))
    assert watch.see(1.0) is not None


def test_first_values_are_never_odd():
    assert not oddities([0, 1e9, -1e9, 3, 5] * 10)
