"""How clustered events are: one cause that hits many requests must not count as many causes."""

from __future__ import annotations

from msgspec import Struct

_PRIOR_EVENTS = 5.0


class Dispersion(Struct, frozen=True, array_like=True):
    """What the stable arm taught so far.

    Args:
        hits: Events.
        trials: Requests.
        squares: Sum of squared distances between each interval's events and their forecast.
        expected: Sum of the forecasts.
    """

    hits: float = 0
    trials: float = 0
    squares: float = 0
    expected: float = 0


def learn(known: Dispersion, hits: float, trials: float) -> Dispersion:
    """Add one interval, forecast from those before it.

    >>> learn(Dispersion(), 3, 100).hits
    3
    """
    if not trials:
        return known
    if not known.trials:
        return Dispersion(hits, trials)
    forecast = trials * (known.hits + 0.5) / (known.trials + 1)
    return Dispersion(
        known.hits + hits,
        known.trials + trials,
        known.squares + (hits - forecast) ** 2,
        known.expected + forecast,
    )


def dispersion(known: Dispersion, floor: float = 1.0) -> float:
    """Return the ratio of variance to mean of the counts, never below ``floor``.

    For events in independent clusters of size K it is E[K^2]/E[K]. A prior worth five events at the
    floor keeps the first few from swinging it.

    Source: compound Poisson moments; W. Feller, *An Introduction to Probability Theory*, vol. 1, XII.2.

    >>> dispersion(Dispersion(), 3.0)
    3.0
    >>> dispersion(Dispersion(hits=100, trials=1000, squares=995.0, expected=95.0))
    10.0
    """
    return max(floor, (known.squares + _PRIOR_EVENTS * floor) / (known.expected + _PRIOR_EVENTS))


def share_of(known: Dispersion) -> float:
    """Return events per request, 0 when there were none.

    >>> share_of(Dispersion(hits=5, trials=100)), share_of(Dispersion())
    (0.05, 0.0)
    """
    return known.hits / known.trials if known.trials else 0.0
