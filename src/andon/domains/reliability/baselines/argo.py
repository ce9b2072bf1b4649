"""How an analysis of Argo Rollouts judges: measurements at intervals, and how many may fail.

Source: the behaviour documented, and observed, of ``AnalysisTemplate`` (success condition, failure,
inconclusive and consecutive error limits) in Argo Rollouts 1.x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from andon.api.v1.samples import Sample
from andon.domains.reliability.baselines.window import Ticks, Window
from andon.domains.reliability.looking import Verdict

Measurement = Literal["Successful", "Failed", "Inconclusive", "Error"]
Phase = Literal["Running", "Successful", "Failed", "Inconclusive", "Error"]
Condition = Callable[[float], bool]

ERROR_AGAIN_SECONDS = 10.0
CONSECUTIVE_ERROR_LIMIT = 4
OFF = -1


def measured(
    value: float | None, success: Condition | None, failure: Condition | None
) -> Measurement:
    """Say what one measurement comes to; None is an answer that could not be evaluated.

    >>> measured(0.9, lambda share: share >= 0.95, None)
    'Failed'
    >>> measured(0.9, lambda share: share >= 0.95, lambda share: share < 0.5)
    'Inconclusive'
    >>> measured(float("nan"), lambda share: share >= 0.95, None), measured(None, None, None)
    ('Failed', 'Error')
    """
    if value is None:
        return "Error"
    if failure is not None and failure(value):
        return "Failed"
    if success is None or success(value):
        return "Successful"
    return "Failed" if failure is None else "Inconclusive"


class Tally:
    """One metric's measurements so far.

    Args:
        failure_limit: So many may fail; -1: any number.
        inconclusive_limit: So many may be inconclusive.
        success_limit: So many in a row are enough; 0: that rule is off.
        count: So many are taken; None: for ever.
    """

    def __init__(
        self,
        failure_limit: int = 0,
        inconclusive_limit: int = 0,
        success_limit: int = 0,
        count: int | None = None,
    ) -> None:
        self._failure_limit, self._inconclusive_limit = failure_limit, inconclusive_limit
        self._success_limit, self._count = success_limit, count
        self._failed = self._inconclusive = self._taken = 0
        self._errors_in_a_row = self._successes_in_a_row = 0

    def add(self, measurement: Measurement) -> Phase:
        """Count a measurement; say how the metric stands. Errors do not count as taken."""
        error = measurement == "Error"
        self._errors_in_a_row = self._errors_in_a_row + 1 if error else 0
        self._taken += not error
        self._failed += measurement == "Failed"
        self._inconclusive += measurement == "Inconclusive"
        successful = measurement == "Successful"
        self._successes_in_a_row = self._successes_in_a_row + 1 if successful else 0
        return self._phase()

    def _phase(self) -> Phase:
        if self._errors_in_a_row > CONSECUTIVE_ERROR_LIMIT:
            return "Error"
        if self._failure_limit != OFF and self._failed > self._failure_limit:
            return "Failed"
        if self._inconclusive > self._inconclusive_limit:
            return "Inconclusive"
        if self._success_limit and self._successes_in_a_row >= self._success_limit:
            return "Successful"
        if self._count is None or self._taken < self._count:
            return "Running"
        if not self._success_limit:
            return "Successful"
        return "Failed" if self._failure_limit == OFF else "Inconclusive"


class Argo:
    """The canary's success rate in the background of a rollout.

    Args:
        interval_seconds: Between measurements, and how far each looks back.
        least_success: A measurement below it fails.
        failure_limit: So many may fail.
        initial_delay_seconds: Before the first measurement.
    """

    def __init__(
        self,
        interval_seconds: float = 300.0,
        least_success: float = 0.95,
        failure_limit: int = 3,
        initial_delay_seconds: float = 0.0,
    ) -> None:
        self._least = least_success
        self._ticks = Ticks(interval_seconds, first_seconds=initial_delay_seconds)
        self._window, self._tally = Window(interval_seconds), Tally(failure_limit)
        self._said: Verdict = "Advance"

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval. A run in the background has succeeded as long as no limit is broken."""
        self._window.add(sample)
        if self._said != "RollBack" and self._ticks.now(sample):
            self._said = self._measure(sample)
        return self._said

    def _measure(self, sample: Sample) -> Verdict:
        share = self._window.canary().error_share
        success = None if share is None else 1 - share
        measurement = measured(success, lambda value: value >= self._least, None)
        if measurement == "Error":
            self._ticks.again(sample, ERROR_AGAIN_SECONDS)
        return "RollBack" if self._tally.add(measurement) in ("Failed", "Error") else "Advance"
