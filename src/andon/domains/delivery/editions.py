"""Editions of the judge's rules: a rollout keeps the one it began with, and is decided again by it."""

from __future__ import annotations

from msgspec import Struct

from andon.calc.sequential import EVEN, FAVOURED, Stakes

VERSION = 3
"""The present edition."""


class Edition(Struct, frozen=True, kw_only=True):
    """What differs between editions; a number once used is never changed.

    Args:
        stakes: How a bet divides its stake between alternatives and starts.
        latency_weight: What latency has of the whole stake; errors have the rest.
        latency_dispersion: Slow requests come in spells: at least so many count as one.
        same_risks: The alternatives mean the same risks at a smaller tolerance.
        answers_crowd: Only answers make a window a crowded one, not what a client tries again.
    """

    stakes: Stakes = EVEN
    latency_weight: float = 0.3
    latency_dispersion: float = 2.0
    same_risks: bool = True
    answers_crowd: bool = True


EDITIONS = {
    1: Edition(same_risks=False, answers_crowd=False),
    2: Edition(),
    3: Edition(stakes=FAVOURED, latency_weight=0.35, latency_dispersion=1.5),
}
"""What changed with each.

2: What a client tries again makes no crowd; alternatives mean the same risks at any tolerance up to 1.25.
3: More of the stake plays at once, and on what releases are stopped for; slow requests are discounted less,
as latency's cap is what keeps a single spell from deciding.
"""
