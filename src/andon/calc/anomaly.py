"""Is the next value of a series odd? A detector that sees one value at a time and keeps a few numbers.

Three looks at once: how far the value is from what a moving average foretold, measured by how far values
usually are; whether the series has become much more or less restless than it usually is; and whether a
value lies beyond all that was ever seen. After an answer it is quiet for a while, as it would only say the
same again.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

Kind = Literal["value", "unrest", "range"]

LEVEL_WEIGHT = 0.05
"""Of the newest value in the forecast."""
ERROR_WEIGHT = 0.002
"""Of the newest error in what is usual."""
SHORT_WEIGHT = 0.2
"""Of the newest error in how restless the series is just now."""
WARM_UP = 60
REFRACTORY = 100
LIKELY = 1e-6
"""How unlikely a value must be, if errors were normal."""
UNREST = 1e-7
RANGE_MARGIN = 0.2
"""How far beyond all that was seen, as a part of the range, a value must lie."""
BEYOND, FADING, FARTHEST = 1.25, 0.9995, 20.0
"""A value is odd only so much farther out than the farthest of late, which fades: some series jump."""
TAIL = 3.0
"""Larger errors than so many deviations teach the usual only so much: one outlier is not the new normal."""


class Oddity(Struct, frozen=True):
    """A value that is odd.

    Args:
        kind: What is odd: the ``value``, the ``unrest`` of the series, or that it left its ``range``.
        value: The value.
        expected: What was foretold.
        likelihood: How likely so much was, if errors were normal.
    """

    kind: Kind
    value: float
    expected: float
    likelihood: float


class Detector:
    """Watches one series.

    >>> watch = Detector()
    >>> usual = [watch.see(10 + n % 3) for n in range(200)]
    >>> any(usual), watch.see(60.0).kind
    (False, 'range')
    """

    __slots__ = (
        "_count",
        "_high",
        "_level",
        "_low",
        "_quiet",
        "_short",
        "_unrest",
        "_unrest_spread",
        "_usual",
        "_worst",
    )

    def __init__(self) -> None:
        self._count = 0
        self._level = 0.0
        self._usual = 0.0
        self._short = 0.0
        self._unrest = 0.0
        self._unrest_spread = 1.0
        self._low = math.inf
        self._high = -math.inf
        self._quiet = 0
        self._worst = 0.0

    @property
    def expected(self) -> float:
        """What the next value should be about."""
        return self._level

    def see(self, value: float) -> Oddity | None:
        """Take the next value; return what is odd about it, if anything is.

        Args:
            value: A finite number.
        """
        self._count += 1
        if self._count == 1:
            self._level = self._low = self._high = value
            return None
        error = value - self._level
        odd = self._judge(value, error) if self._count > WARM_UP else None
        self._learn(value, error)
        if self._quiet:
            self._quiet -= 1
            return None
        if odd is not None:
            self._quiet = REFRACTORY
        return odd

    def _judge(self, value: float, error: float) -> Oddity | None:
        span = self._high - self._low
        floor = 1e-9 + 1e-3 * abs(self._level)
        beyond = RANGE_MARGIN * max(span, floor)
        if value > self._high + beyond or value < self._low - beyond:
            return Oddity("range", value, self._level, 0.0)
        deviation = math.sqrt(self._usual) + floor
        far = abs(error) / deviation
        likely = math.erfc(far / math.sqrt(2))
        if likely < LIKELY and far > BEYOND * self._worst:
            return Oddity("value", value, self._level, likely)
        short = (1 - SHORT_WEIGHT) * self._short + SHORT_WEIGHT * error * error
        distance = abs(_log(short, floor) - self._unrest) / math.sqrt(self._unrest_spread)
        restless = math.erfc(distance / math.sqrt(2))
        return Oddity("unrest", value, self._level, restless) if restless < UNREST else None

    def _learn(self, value: float, error: float) -> None:
        floor = 1e-9 + 1e-3 * abs(self._level)
        weight = max(ERROR_WEIGHT, 1 / self._count)
        if self._count > WARM_UP / 2:
            far = abs(error) / (math.sqrt(self._usual) + floor)
            self._worst = max(min(far, FARTHEST), self._worst * FADING)
        most = TAIL * (math.sqrt(self._usual) + floor) if self._count > WARM_UP else math.inf
        bounded = max(-most, min(most, error))
        self._usual += weight * (bounded * bounded - self._usual)
        self._short += SHORT_WEIGHT * (error * error - self._short)
        unrest = _log(self._short, floor) - self._unrest
        self._unrest += weight * unrest
        self._unrest_spread += weight * (min(unrest * unrest, 9.0) - self._unrest_spread)
        self._level += max(LEVEL_WEIGHT, 1 / self._count) * error
        self._low = min(self._low, value)
        self._high = max(self._high, value)


def _log(variance: float, floor: float) -> float:
    return math.log(variance + floor * floor)
