"""Where a function crosses zero."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

_MOST_STEPS = 1000


def zero_between(
    function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-4
) -> float:
    """Return a point within ``tolerance`` of where a function changes its sign.

    Secants and inverse parabolas while they close in, halving where they do not. Which side of a jump
    it ends on depends on the steps, so that these are the published ones.

    Args:
        function: Its values at the two ends must differ in sign.
        low: One end.
        high: The other.
        tolerance: Absolute.

    Raises:
        ValueError: Both ends have the same sign.

    Source: R. P. Brent, *Algorithms for Minimization without Derivatives* (1973), chapter 4.

    >>> round(zero_between(lambda x: x * x - 2, 0, 2, 1e-12), 10)
    1.4142135624
    """
    a, b, c = low, high, low
    at_a, at_b = function(a), function(b)
    at_c = at_a
    if at_a * at_b > 0:
        raise ValueError(f"no change of sign between {low:g} and {high:g}")
    for _ in range(_MOST_STEPS):
        before = b - a
        if abs(at_c) < abs(at_b):
            a, b, c = b, c, b
            at_a, at_b, at_c = at_b, at_c, at_b
        smallest = 2 * sys.float_info.epsilon * abs(b) + tolerance / 2
        step = (c - b) / 2
        if abs(step) <= smallest or at_b == 0:
            return b
        if abs(before) >= smallest and abs(at_a) > abs(at_b):
            step = _bolder((a, b, c), (at_a, at_b, at_c), before, step, smallest)
        a, at_a = b, at_b
        b += step if abs(step) >= smallest else math.copysign(smallest, step)
        at_b = function(b)
        if at_b * at_c > 0:
            c, at_c = a, at_a
    return b


def _bolder(
    points: tuple[float, float, float],
    values: tuple[float, float, float],
    before: float,
    halving: float,
    smallest: float,
) -> float:
    """Return the step that an interpolation proposes, or the halving one if that is too bold."""
    (a, b, c), (at_a, at_b, at_c) = points, values
    width, ratio = c - b, at_b / at_a
    if a == c:
        rise, run = width * ratio, 1 - ratio
    else:
        q, other = at_a / at_c, at_b / at_c
        rise = ratio * (width * q * (q - other) - (b - a) * (other - 1))
        run = (q - 1) * (other - 1) * (ratio - 1)
    rise, run = (rise, -run) if rise > 0 else (-rise, run)
    if rise < 0.75 * width * run - abs(smallest * run) / 2 and rise < abs(before * run / 2):
        return rise / run
    return halving
