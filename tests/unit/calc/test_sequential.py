"""The bets never gain on average while their claim is true, checked by enumeration."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from andon.calc.sequential import (
    EVEN,
    FAVOURED,
    HARM_ODDS,
    bet,
    enter,
    entering_stake,
    first_logs,
    log_factor,
    log_mean,
    log_staggered,
    log_sum,
    log_weighted,
    risk_share,
    waiting_stake,
)

FIT_RISKS = (0.125, 0.25, 0.5)


def mean_two_arms(canary: tuple[int, float], stable: tuple[int, float], risk: float, odds: float):
    """Exact mean of a factor for independent requests, by enumerating both arms' hits."""
    (nc, pc), (ns, ps) = canary, stable
    share = risk_share(nc, ns, risk)
    pmf_c = stats.binom.pmf(range(nc + 1), nc, pc)
    pmf_s = stats.binom.pmf(range(ns + 1), ns, ps)
    return sum(
        pmf_c[kc] * pmf_s[ks] * math.exp(log_factor(kc, kc + ks, share, odds))
        for kc, ks in product(range(nc + 1), range(ns + 1))
    )


@pytest.mark.parametrize("tolerance", [1.0, 1.25, 2.0])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 0.5])
@pytest.mark.parametrize(("nc", "ns"), [(3, 27), (1, 1), (20, 10), (30, 0), (0, 9)])
def test_harm_factor_never_gains_while_risk_is_tolerated(tolerance, rate, nc, ns) -> None:
    for odds in HARM_ODDS:
        for canary_rate in (rate * tolerance, rate):
            canary_rate = min(canary_rate, 1.0)
            mean = mean_two_arms((nc, canary_rate), (ns, rate), tolerance, odds)
            assert mean <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3])
def test_risk_fit_factor_never_gains_while_risk_is_double_or_more(rate) -> None:
    for odds, worse in product(FIT_RISKS, (2.0, 3.0)):
        assert mean_two_arms((5, rate * worse), (25, rate), 2.0, odds) <= 1 + 1e-9


@pytest.mark.parametrize(("nc", "ns", "hits"), [(10, 90, 7), (50, 50, 20), (3, 4, 5)])
def test_factor_given_all_hits_never_gains_for_exchangeable_arms(nc, ns, hits) -> None:
    possible = range(max(0, hits - ns), min(hits, nc) + 1)
    for odds in HARM_ODDS:
        mean = sum(
            stats.hypergeom.pmf(kc, nc + ns, nc, hits)
            * math.exp(log_factor(kc, hits, risk_share(nc, ns, 1.0), odds))
            for kc in possible
        )
        assert mean <= 1 + 1e-9


@pytest.mark.parametrize("odds", [*HARM_ODDS, 0.01, 0.1, 0.5])
def test_one_arm_factor_has_mean_one_at_the_boundary_and_less_inside(odds) -> None:
    share, trials = 0.02, 60
    for rate in (0.02, 0.01 if odds > 1 else 0.04):
        pmf = stats.binom.pmf(range(trials + 1), trials, rate)
        mean = sum(pmf[k] * math.exp(log_factor(k, trials, share, odds)) for k in range(trials + 1))
        assert mean <= 1 + 1e-9
        assert (mean > 1 - 1e-9) == (rate == share)


def test_factor_is_the_likelihood_ratio_of_two_binomials() -> None:
    share, odds = 0.1, 3.0
    other = odds * share / (1 - share + odds * share)
    for hits in range(8):
        ratio = stats.binom.logpmf(hits, 7, other) - stats.binom.logpmf(hits, 7, share)
        assert log_factor(hits, 7, share, odds) == pytest.approx(ratio)


def test_bet_on_nothing_keeps_its_stakes() -> None:
    assert bet(first_logs(), 0, 0, 0.1) == first_logs()


def test_tempering_and_capping_only_ever_weaken_a_gain() -> None:
    plain = bet(first_logs(), 5, 5, 0.1)
    assert all(a < b for a, b in zip(bet(first_logs(), 5, 5, 0.1, temper=3), plain, strict=True))
    capped = bet(first_logs(), 5, 5, 0.1, cap=0.2)
    assert max(capped) == pytest.approx(math.log(EVEN.first) + 0.2)


@pytest.mark.parametrize("stakes", [EVEN, FAVOURED])
def test_stakes_of_all_starts_and_alternatives_sum_to_one(stakes) -> None:
    entered = stakes.first + sum(entering_stake(j, j + 1, stakes) for j in range(1000))
    assert entered + waiting_stake(1000, stakes) == pytest.approx(1.0)
    assert sum(stakes.weights or (1.0,)) == pytest.approx(1.0)
    assert len(stakes.weights or HARM_ODDS) == len(HARM_ODDS)


@pytest.mark.parametrize("stakes", [EVEN, FAVOURED])
def test_recursion_equals_the_sum_over_every_start_kept_apart(stakes) -> None:
    chance = np.random.default_rng(3)
    factors = chance.normal(0, 0.5, size=(20, len(HARM_ODDS)))
    logs, begun = first_logs(stakes=stakes), 0
    starts = [(stakes.first, 0)]
    starts += [(entering_stake(j, j + 1, stakes), j + 1) for j in range(19)]
    for index, factor in enumerate(factors):
        logs = enter(logs, entering_stake(begun, index, stakes))
        begun = index
        logs = tuple(log + gain for log, gain in zip(logs, factor, strict=True))
    grown = sum(stake * np.exp(factors[first:].sum(axis=0)) for stake, first in starts)
    apart = np.average(grown, weights=stakes.weights or None) + waiting_stake(19, stakes)
    assert log_staggered(logs, begun, stakes) == pytest.approx(math.log(apart))


def test_logs_of_sums_survive_values_beyond_floats() -> None:
    assert log_sum((5000.0, 5000.0)) == pytest.approx(5000 + math.log(2))
    assert log_mean((-5000.0, -5000.0)) == pytest.approx(-5000)
    assert log_weighted((0.0, 5000.0), (0.5, 0.5)) == pytest.approx(5000 - math.log(2))
