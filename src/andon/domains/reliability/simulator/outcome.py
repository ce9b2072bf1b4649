"""What became of many simulated rollouts, for one judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from andon.calc.intervals import exact_interval


class End(Struct, frozen=True, array_like=True):
    """How one rollout ended for one judge.

    Args:
        rolled_back_seconds: When it was rolled back; None: it was not.
        advanced_seconds: When it was first called fit for the next step; None: never.
        promoted: It was never rolled back, and called fit at the end.
        failed_requests: Requests of users that the canary failed until then.
    """

    rolled_back_seconds: float | None
    advanced_seconds: float | None
    promoted: bool
    failed_requests: int


class Times(Struct, frozen=True, kw_only=True, rename="camel"):
    """When something happened, in seconds, in those rollouts where it did."""

    p10: float | None
    median: float | None
    p90: float | None


class Outcome(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one judge made of one scenario.

    Args:
        rolled_back: Rollouts rolled back.
        share: Of all.
        low: Lower end of the exact interval (Clopper and Pearson, 95 %, two-sided).
        high: Its upper end.
        until_rollback: Seconds until the rollback.
        promoted: Rollouts called fit at the end.
        until_advance: Seconds until first called fit for the next step.
        failed_requests: Mean of the requests that the canary failed before the judge stopped it, or
            until the end.
        failed_requests_p90: Exceeded in one rollout of ten.
    """

    scenario: str
    harmful: bool
    promised: bool
    judge: str
    runs: int
    rolled_back: int
    share: float
    low: float
    high: float
    until_rollback: Times
    promoted: int
    until_advance: Times
    failed_requests: float
    failed_requests_p90: float

    def false_beyond_doubt(self, alpha: float) -> bool:
        """Say whether good releases were rolled back more often than promised, beyond doubt."""
        return not self.harmful and self.low > alpha


def outcome(
    scenario: str, judge: str, ends: Sequence[End], *, harmful: bool, promised: bool = True
) -> Outcome:
    """Sum up rollouts.

    >>> ends = [End(60.0, None, False, 7), End(None, 30.0, True, 1)]
    >>> told = outcome("bad", "andon", ends, harmful=True)
    >>> told.share, told.until_rollback.median, told.failed_requests
    (0.5, 60.0, 4.0)
    """
    back = [end.rolled_back_seconds for end in ends if end.rolled_back_seconds is not None]
    low, high = exact_interval(len(back), len(ends))
    failed = [end.failed_requests for end in ends]
    return Outcome(
        scenario=scenario,
        harmful=harmful,
        promised=promised,
        judge=judge,
        runs=len(ends),
        rolled_back=len(back),
        share=len(back) / len(ends) if ends else 0.0,
        low=low,
        high=high,
        until_rollback=_times(back),
        promoted=sum(end.promoted for end in ends),
        until_advance=_times(
            [end.advanced_seconds for end in ends if end.advanced_seconds is not None]
        ),
        failed_requests=sum(failed) / len(failed) if failed else 0.0,
        failed_requests_p90=_quantile(failed, 0.9) or 0.0,
    )


def _times(seconds: Sequence[float]) -> Times:
    return Times(
        p10=_quantile(seconds, 0.1), median=_quantile(seconds, 0.5), p90=_quantile(seconds, 0.9)
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share does not exceed; None without any."""
    if not values:
        return None
    return float(sorted(values)[max(0, math.ceil(share * len(values)) - 1)])
