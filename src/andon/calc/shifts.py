"""Where has a series moved for good? Change points by sums of ranks, found by halving.

Ranks do not care how values are spread: a few huge ones do not pass for a shift, and logarithms change
nothing.

Source: A. N. Pettitt, "A non-parametric approach to the change-point problem", Applied Statistics 28
(1979); L. J. Vostrikova (1981) for binary segmentation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

ALPHA = 1e-3
"""How often a series without a shift is said to have one, at most."""
LEAST = 10
"""Fewer values on a side are no lasting shift."""
MOST_SHIFTS = 16


class Shift(Struct, frozen=True):
    """A lasting move.

    Args:
        at: Index of the first value behind it.
        before: Median of the values before, as far as the last shift.
        after: Median of the values behind, as far as the next.
        likelihood: How likely so much was without a shift.
    """

    at: int
    before: float
    after: float
    likelihood: float


def find_shifts(values: Sequence[float], alpha: float = ALPHA) -> tuple[Shift, ...]:
    """Return the lasting shifts of a series, in order.

    Args:
        values: ``(n,)`` finite numbers, independent of each other but for the shifts.
        alpha: See ``ALPHA``.

    >>> calm = [1.0, 3.0, 2.0, 5.0, 4.0] * 8
    >>> find_shifts(calm)
    ()
    >>> [(one.at, one.before, one.after) for one in find_shifts(calm + [v + 9 for v in calm])]
    [(40, 3.0, 12.0)]
    """
    series = np.asarray(values, dtype=np.float64)
    found: list[tuple[int, float]] = []
    parts = [(0, len(series))]
    while parts and len(found) < MOST_SHIFTS:
        start, end = parts.pop()
        split = _split(series[start:end])
        if split is not None and split[1] < alpha:
            at = start + split[0]
            found.append((at, split[1]))
            parts += [(start, at), (at, end)]
    found.sort()
    edges = [0, *(at for at, _ in found), len(series)]
    medians = [float(np.median(series[a:b])) for a, b in itertools.pairwise(edges) if b > a]
    return tuple(
        Shift(at, medians[n], medians[n + 1], likely) for n, (at, likely) in enumerate(found)
    )


def _split(part: Any) -> tuple[int, float] | None:
    """Return where a part most likely falls into two, and how likely that was by chance.

    The largest sum of centred ranks, by its spread, is that of a Brownian bridge: the chance to exceed t
    is at most 2 exp(-2 t^2).
    """
    count = len(part)
    if count < 2 * LEAST:
        return None
    sums = np.cumsum(_ranks(part) - (count + 1) / 2)[LEAST - 1 : count - LEAST]
    best = int(np.argmax(np.abs(sums)))
    spread = float(np.std(_ranks(part)))
    if spread == 0:
        return None
    height = float(abs(sums[best])) / (spread * np.sqrt(count))
    return best + LEAST, min(1.0, 2 * float(np.exp(-2 * height * height)))


def _ranks(part: Any) -> Any:
    """Return ranks from 1; equal values share theirs."""
    _, inverse, counts = np.unique(part, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]
