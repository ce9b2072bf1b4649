"""How Flagger judges: each minute a check, a count of failed ones, and a weight that grows.

Source: the behaviour documented, and observed, of ``Canary`` analysis in Flagger 1.x.
"""

from __future__ import annotations

from andon.api.v1.samples import Sample
from andon.domains.reliability.baselines.window import Sums, Ticks, Window
from andon.domains.reliability.looking import Verdict

LEAST_INTERVAL_SECONDS = 10.0
WINDOW_SECONDS = 60.0


class Flagger:
    """Success rate and 99th percentile of the canary, as its documented example asks.

    Args:
        interval_seconds: Between ticks.
        threshold: Rolled back on the tick after so many failed checks; passes never lower the count.
        least_success_percent: A minute below it fails.
        most_milliseconds: A minute whose p99 is above it fails.
        step_weight: A pass adds so much weight.
        max_weight: Promoted beyond.
    """

    def __init__(
        self,
        interval_seconds: float = 60.0,
        threshold: int = 10,
        least_success_percent: float = 99.0,
        most_milliseconds: float = 500.0,
        step_weight: float = 2.0,
        max_weight: float = 50.0,
    ) -> None:
        self._ticks = Ticks(max(LEAST_INTERVAL_SECONDS, interval_seconds))
        self._window = Window(WINDOW_SECONDS)
        self._threshold, self._failed = threshold, 0
        self._least, self._most = least_success_percent, most_milliseconds
        self._step, self._until, self._weight = step_weight, max_weight, 0.0
        self._said: Verdict = "Wait"

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval."""
        self._window.add(sample)
        if self._said == "Wait" and self._ticks.now(sample):
            self._said = self._tick(self._window.canary())
        return self._said

    def _tick(self, canary: Sums) -> Verdict:
        if self._failed >= self._threshold:
            return "RollBack"
        if not self._passes(canary):
            self._failed += 1
            return "Wait"
        if self._weight >= self._until:
            return "Advance"
        self._weight += self._step
        return "Wait"

    def _passes(self, canary: Sums) -> bool:
        """Check both metrics; no data fails."""
        share = canary.error_share
        if share is None or 100 * (1 - share) < self._least:
            return False
        slowest = canary.quantile_seconds(0.99)
        return slowest is None or 1000 * slowest <= self._most
