"""A bet on a mean: hardly ever won while the claim holds, whatever the distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest

from andon.calc.betting import Betting, bet_below, difference_value, null_mean, stake_part

ALPHA = 0.01


def ever_won(values, mean: float) -> bool:
    known = Betting(mean)
    for value in values:
        known = bet_below(known, value, ALPHA)
        if known.log >= -math.log(ALPHA):
            return True
    return False


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.beta(2, 2, 200),
        lambda chance: chance.integers(0, 2, 200).astype(float),
        lambda chance: np.full(200, 0.5),
        lambda chance: (chance.random(200) < 0.05) * 1.0 + 0.45 * (chance.random(200) >= 0),
    ],
    ids=["steady", "all or nothing", "constant", "rare jumps"],
)
def test_claim_that_holds_is_hardly_ever_lost(draw) -> None:
    wrong = 0
    for seed in range(300):
        values = np.clip(draw(np.random.default_rng(seed)), 0, 1)
        wrong += ever_won(values.tolist(), min(0.5, float(values.mean())) - 1e-9)
    assert wrong <= ALPHA * 300 + 3


def test_stake_never_goes_by_what_is_still_to_come() -> None:
    known = Betting(0.5)
    for value in (0.4, 0.6, 0.1):
        part = stake_part(known, ALPHA)
        after = bet_below(known, value, ALPHA)
        assert after.log - known.log == pytest.approx(math.log(1 + part * (0.5 - value)))
        assert 1 + part * (0.5 - 1.0) > 0
        known = after


def test_smaller_mean_is_found_and_sooner_where_numbers_are_steady() -> None:
    chance = np.random.default_rng(1)
    assert ever_won(chance.beta(40, 60, 150).tolist(), 0.5)
    assert not ever_won(chance.integers(0, 2, 150).astype(float).tolist(), 0.5)


def test_number_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="not between"):
        bet_below(Betting(0.5), 1.2, ALPHA)


def test_tolerated_loss_is_the_mean_claimed() -> None:
    for tolerated in (0.0, 0.1, 0.5):
        kept = 0.06 * (1 - tolerated)
        value = difference_value(kept, 0.06, tolerated, 0.2)
        assert value == pytest.approx(null_mean(tolerated))
        assert difference_value(kept * 0.9, 0.06, tolerated, 0.2) < null_mean(tolerated)
    assert 0 <= difference_value(-3.0, 99.0, 0.1, 0.2) <= difference_value(99.0, 0.0, 0.1, 0.2) <= 1
