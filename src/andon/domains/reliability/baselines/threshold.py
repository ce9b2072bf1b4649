"""Two plain rules: a limit on the canary's error share, and a significance test taken again and again."""

from __future__ import annotations

import math

from andon.api.v1.latency import bucket_of
from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.samples import Sample
from andon.calc.histogram import exceeding
from andon.domains.reliability.baselines.window import Sums, Ticks, Window
from andon.domains.reliability.looking import Verdict

DEFAULT_ERROR_SHARE = 0.01
SIGNIFICANT = 1.6448536269514722
"""One-sided, 5 %."""


class Threshold:
    """Rolls back once a minute of the canary breaks what the Objective allows.

    Args:
        objective: Without one: 1 % errors.
        every_seconds: How often it looks, and how far back.
    """

    def __init__(self, objective: ObjectiveSpec | None, every_seconds: float = 60.0) -> None:
        availability = objective.availability if objective else None
        self._share = DEFAULT_ERROR_SHARE if availability is None else 1 - availability
        self._latency = objective.latency if objective else None
        self._ticks, self._window = Ticks(every_seconds), Window(every_seconds)
        self._said: Verdict = "Wait"

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval."""
        self._window.add(sample)
        if self._ticks.now(sample):
            self._said = self._judge(self._window.canary())
        return self._said

    def _judge(self, canary: Sums) -> Verdict:
        if canary.error_share is None:
            return "Wait"
        broken = canary.error_share > self._share or self._is_slow(canary)
        return "RollBack" if broken else "Advance"

    def _is_slow(self, canary: Sums) -> bool:
        if self._latency is None or not canary.latency:
            return False
        slow = exceeding(canary.latency, bucket_of(self._latency.threshold_seconds))
        return slow > (1 - self._latency.target) * canary.latency.total()


class ZTest:
    """Compares all errors so far each minute and rolls back as soon as they differ significantly.

    Args:
        every_seconds: How often it looks.
    """

    def __init__(self, every_seconds: float = 60.0) -> None:
        self._ticks = Ticks(every_seconds)
        self._canary, self._stable = Sums(), Sums()
        self._said: Verdict = "Wait"

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval."""
        self._canary.add(sample.canary)
        if sample.stable is not None:
            self._stable.add(sample.stable)
        if self._ticks.now(sample):
            harmful = difference(self._canary, self._stable) > SIGNIFICANT
            self._said = "RollBack" if harmful else "Advance"
        return self._said


def difference(canary: Sums, stable: Sums) -> float:
    """Return by how many standard errors the canary's error share is above stable's.

    Source: two proportions, pooled; e.g. E. L. Lehmann, *Testing Statistical Hypotheses*, section 4.5.

    >>> round(difference(Sums(100, 10), Sums(100, 2)), 2)
    2.38
    >>> difference(Sums(0, 0), Sums(100, 2))
    0.0
    """
    requests = canary.requests + stable.requests
    pooled = (canary.errors + stable.errors) / requests if requests else 0.0
    if not (canary.requests and stable.requests and 0 < pooled < 1):
        return 0.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / canary.requests + 1 / stable.requests))
    return (canary.errors / canary.requests - stable.errors / stable.requests) / error
