"""Sequential tests that may be looked at after every interval without spending their error rate.

Everything here bets on one question: of so many *trials*, how many *hits* fall on the canary, when at
most a share ``share`` of them should? A bet multiplies the stake by a factor whose mean is at most 1
while the claim under test is true, so by Ville's inequality the stake (an *e-process*) ever reaches
``1/alpha`` with a chance of at most ``alpha``, however often one looks. All values are natural logs.

Source: J. Ville, *Étude critique de la notion de collectif* (1939); A. Ramdas, P. Grünwald, V. Vovk,
G. Shafer, *Game-theoretic statistics and safe anytime-valid inference*, Statistical Science 38 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

HARM_ODDS = (1.2, 1.6, 2.4, 4.0, 8.0, 24.0)
"""Alternatives of a harm bet; at a tolerance of 1.25 they mean relative risks 1.5, 2, 3, 5, 10, 30."""

ODDS_TOLERANCE = 1.25
"""At this tolerance ``HARM_ODDS`` mean those risks; below it, the odds grow to mean the same ones."""

NEVER = math.inf


class Stakes(Struct, frozen=True):
    """How the stake of a staggered bet is divided; all of it together is 1.

    Args:
        first: Part that plays from the very beginning; the rest enters start by start.
        fading: Start j and all later ones have (1-first)/j**fading.
        weights: Of the alternatives; none: all have the same.
    """

    first: float = 0.5
    fading: float = 1.0
    weights: tuple[float, ...] = ()


EVEN = Stakes()
FAVOURED = Stakes(first=0.8, fading=1 / 3, weights=(0.05, 0.12, 0.33, 0.15, 0.15, 0.2))
"""Most plays at once, on what releases are stopped for: a tripling of errors, and a breakdown."""


def log_sum(logs: Sequence[float]) -> float:
    """Return ``ln sum(exp(x))`` without overflow.

    >>> round(math.exp(log_sum([math.log(2), math.log(3)])), 12)
    5.0
    """
    top = max(logs)
    return top + math.log(math.fsum(math.exp(value - top) for value in logs))


def log_mean(logs: Sequence[float]) -> float:
    """Return the log of the plain average; an average of e-processes is one again.

    >>> round(math.exp(log_mean([math.log(2), math.log(4)])), 12)
    3.0
    """
    return log_sum(logs) - math.log(len(logs))


def risk_share(canary_trials: float, stable_trials: float, relative_risk: float) -> float:
    """Return the share of all hits expected on the canary at a relative risk.

    With rho = nc/(nc+ns) it is rho*r / (1 - rho + rho*r). Only this share enters a comparison of two
    arms, so an outage that both share, or a drifting rate, cancels.

    Source: judgement of a conditional binomial, e.g. E. L. Lehmann, *Testing Statistical Hypotheses*,
    section 4.5 (comparing two Poisson means).

    >>> round(risk_share(100, 900, 1.0), 12), round(risk_share(100, 900, 1.25), 5)
    (0.1, 0.12195)
    """
    weighted = canary_trials * relative_risk
    return weighted / (weighted + stable_trials)


def harm_odds(tolerance: float) -> tuple[float, ...]:
    """Return the alternatives of a harm bet at a tolerance.

    >>> harm_odds(1.0)
    (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
    >>> harm_odds(1.25) == harm_odds(2.0) == HARM_ODDS
    True
    """
    if tolerance >= ODDS_TOLERANCE:
        return HARM_ODDS
    return tuple(odds * ODDS_TOLERANCE / tolerance for odds in HARM_ODDS)


def log_factor(hits: float, trials: float, share: float, odds: float) -> float:
    """Return the log of one interval's factor for the alternative ``odds`` times the odds of ``share``.

    It is the likelihood ratio of two binomials, ``k ln(odds) - n ln(1 - share + share*odds)``.

    For one arm against a fixed rate its mean is ((1-p+p*odds)/(1-share+share*odds))^n, at most 1 when
    p is on the claimed side of ``share``. For two arms (``trials`` are the hits of both, ``share`` is
    ``risk_share``) write c = 1/(1-share+share*odds), p for stable's rate and r0*p for the canary's:
    the mean is (1 + r0*p*(odds*c-1))^nc * (1 + p*(c-1))^ns, whose logarithm is at most
    p*(nc*r0*(odds*c-1) + ns*(c-1)) = 0. So it holds for frequent hits (slow requests) as for rare ones
    (errors), for any common rate, and for an interval of any length.

    Args:
        hits: Hits on the canary.
        trials: All hits (two arms), or all requests (one arm).
        share: Largest (odds > 1) or smallest (odds < 1) share of hits that the claim allows.
        odds: Alternative, as a multiple of the odds of ``share``.

    Source: A. Wald, *Sequential Analysis* (1947), section 3; the bound above is our own algebra and
    ``tests/unit/calc`` checks it by enumeration.

    >>> log_factor(0, 0, 0.1, 8.0)
    0.0
    >>> round(math.exp(log_factor(1, 1, 0.125, 8.0)), 3)
    4.267
    """
    if not trials:
        return 0.0
    return hits * math.log(odds) - trials * math.log(1 - share + share * odds)


def entering_stake(begun: int, due: int, stakes: Stakes = EVEN) -> float:
    """Return the stake of starts ``begun + 1`` to ``due``.

    Those stakes and the first one sum to 1 over unlimited time, so a fault that begins late still meets
    a bet that has lost nothing to the good minutes before it.

    >>> entering_stake(0, 1), entering_stake(3, 3)
    (0.25, 0.0)
    """
    return (1 - stakes.first) * (
        1 / math.pow(begun + 1, stakes.fading) - 1 / math.pow(due + 1, stakes.fading)
    )


def waiting_stake(begun: int, stakes: Stakes = EVEN) -> float:
    """Return the stake that has not entered yet; it counts at its face value.

    >>> EVEN.first + entering_stake(0, 9) + waiting_stake(9)
    1.0
    """
    return (1 - stakes.first) / math.pow(begun + 1, stakes.fading)


def first_logs(count: int = len(HARM_ODDS), stakes: Stakes = EVEN) -> tuple[float, ...]:
    """Return the logs of a staggered bet that nothing has happened to yet, one an alternative."""
    return (math.log(stakes.first),) * count


def enter(logs: Sequence[float], stake: float) -> tuple[float, ...]:
    """Add freshly entering stake to each alternative.

    All started bets on one alternative are multiplied by the same factor from now on, so their sum
    is all that has to be kept, however many starts there have been.

    Source: the recursion of Shiryaev and Roberts; M. Pollak, *Annals of Statistics* 13 (1985).
    """
    if not stake:
        return tuple(logs)
    return tuple(log_sum((value, math.log(stake))) for value in logs)


def bet(
    logs: Sequence[float],
    hits: float,
    trials: float,
    share: float,
    odds: Sequence[float] = HARM_ODDS,
    *,
    temper: float = 1.0,
    cap: float = NEVER,
) -> tuple[float, ...]:
    """Multiply each alternative's stake by its factor for one interval.

    Args:
        logs: Logs of the stakes, one an alternative.
        hits: Hits on the canary.
        trials: See ``log_factor``.
        share: See ``log_factor``.
        odds: The alternatives.
        temper: Divisor of the log factor, at least 1: the dispersion of hits that come in clusters.
            By Jensen's inequality the mean of a factor to the power 1/temper stays at most 1.
        cap: Largest gain; a smaller factor only lowers the stake.
    """
    if not trials:
        return tuple(logs)
    return tuple(
        value + min(cap, log_factor(hits, trials, share, multiple) / temper)
        for value, multiple in zip(logs, odds, strict=True)
    )


def log_staggered(logs: Sequence[float], begun: int, stakes: Stakes = EVEN) -> float:
    """Return the log of a staggered bet: started alternatives by their weights, and waiting stake.

    >>> log_staggered(first_logs(), 0)
    0.0
    """
    started = log_weighted(logs, stakes.weights) if stakes.weights else log_mean(logs)
    return log_sum((started, math.log(waiting_stake(begun, stakes))))


def log_weighted(logs: Sequence[float], weights: Sequence[float]) -> float:
    """Return the log of a weighted average of e-processes.

    >>> log_weighted([0.0, 0.0], [0.5, 0.5])
    0.0
    """
    return log_sum([value + math.log(weight) for value, weight in zip(logs, weights, strict=True)])
