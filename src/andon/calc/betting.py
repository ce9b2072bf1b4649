"""Bets on the mean of bounded numbers, whatever their distribution: no model, no sample size, any look.

Before each number comes, a part of the stake is set on it being below a claimed mean; while the claim
holds, the stake can hardly grow (see ``sequential``).
"""

from __future__ import annotations

import math

from msgspec import Struct

MOST_OF_STAKE = 0.75
"""Never more than this part may be lost in one bet."""


class Betting(Struct, frozen=True, array_like=True):
    """A bet against "the mean of numbers from 0 to 1 is at least ``mean``".

    Args:
        mean: What is claimed.
        log: Log of the stake.
        count: So many numbers came.
        total: Their sum.
        squares: Sum of squared distances, each from the mean of those up to it.
    """

    mean: float
    log: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0


def stake_part(known: Betting, alpha: float) -> float:
    """Return which part to set on the next number, per unit below the claimed mean.

    It goes by what came before only: large where numbers were steady, small where they swung.

    Args:
        known: What came before.
        alpha: Chance of a false alarm that is aimed at.

    Source: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting",
    Journal of the Royal Statistical Society B 86 (2024), the predictable plug-in of section 3.2, with
    its truncation for the lower side.

    >>> 0 < stake_part(Betting(0.5), 0.01) <= MOST_OF_STAKE / 0.5
    True
    """
    number = known.count + 1
    variance = (0.25 + known.squares) / number
    plug_in = math.sqrt(2 * math.log(1 / alpha) / (variance * number * math.log1p(number)))
    return min(plug_in, MOST_OF_STAKE / (1 - known.mean))


def bet_below(known: Betting, value: float, alpha: float) -> Betting:
    """Settle the bet on one number and remember it.

    The factor is 1 + part * (mean - value); its mean is at most 1 while numbers are on average no smaller
    than claimed, given all before.

    Args:
        known: What came before.
        value: From 0 to 1.
        alpha: See ``stake_part``.

    Raises:
        ValueError: The number is out of bounds.

    >>> bet_below(Betting(0.5), 0.5, 0.01).log
    0.0
    >>> bet_below(Betting(0.5), 0.1, 0.01).log > 0 > bet_below(Betting(0.5), 0.9, 0.01).log
    True
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is not between 0 and 1")
    factor = 1 + stake_part(known, alpha) * (known.mean - value)
    count, total = known.count + 1, known.total + value
    average = (0.5 + total) / (count + 1)
    return Betting(
        mean=known.mean,
        log=known.log + math.log(factor),
        count=count,
        total=total,
        squares=known.squares + (value - average) ** 2,
    )


def difference_value(canary: float, stable: float, tolerated: float, most: float) -> float:
    """Map how much less the canary gains than is tolerated onto 0 to 1; ``null_mean`` is "just tolerated".

    Args:
        canary: Gained per occasion, 0 to ``most``.
        stable: The same of the version before.
        tolerated: Share of stable's gain that the canary may lose, such as 0.1.
        most: Largest gain per occasion; what is more counts as this.

    >>> difference_value(0.3, 0.3, 0.0, 1.0), difference_value(0.0, 1.0, 0.0, 1.0)
    (0.5, 0.0)
    """
    kept = 1 - tolerated
    low, high = (min(max(gain, 0.0), most) for gain in (canary, stable))
    return (low - kept * high + kept * most) / (most + kept * most)


def null_mean(tolerated: float) -> float:
    """Return the mean of ``difference_value`` while exactly so much is lost as is tolerated.

    >>> null_mean(0.0)
    0.5
    """
    return (1 - tolerated) / (2 - tolerated)
