"""Counts of the last so many seconds: what a metrics store's rate window shows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from msgspec import Struct, field

from andon.api.v1.latency import upper_bound
from andon.api.v1.samples import ArmCounts, Sample
from andon.calc.histogram import quantile_bucket

_SLACK = 1e-9


class Sums(Struct):
    """What an arm did in a window."""

    requests: int = 0
    errors: int = 0
    latency: Counter[int] = field(default_factory=Counter)

    def add(self, arm: ArmCounts) -> None:
        """Add an interval."""
        self.requests += arm.requests
        self.errors += arm.errors
        self.latency.update(arm.latency)

    @property
    def error_share(self) -> float | None:
        """Errors per request; None without any."""
        return self.errors / self.requests if self.requests else None

    def quantile_seconds(self, quantile: float) -> float | None:
        """Return a quantile of the latency; None where nothing was timed."""
        return quantile_seconds(self.latency, quantile)


def quantile_seconds(latency: Mapping[int, int], quantile: float) -> float | None:
    """Return a quantile of a latency histogram; None where nothing was timed.

    >>> quantile_seconds({}, 0.99) is None
    True
    """
    return upper_bound(quantile_bucket(latency, quantile)) if any(latency.values()) else None


class Ticks:
    """Says at which samples so many seconds are over.

    Args:
        every_seconds: The rule looks that often.
        first_seconds: When it looks first; None: after ``every_seconds``.
    """

    def __init__(self, every_seconds: float, first_seconds: float | None = None) -> None:
        self._every = every_seconds
        self._first = every_seconds if first_seconds is None else first_seconds
        self._due: float | None = None

    def now(self, sample: Sample) -> bool:
        """Say whether the rule looks now."""
        if self._due is None:
            self._due = sample.at - sample.seconds + self._first
        if sample.at < self._due - _SLACK:
            return False
        self.again(sample, self._every)
        return True

    def again(self, sample: Sample, seconds: float) -> None:
        """Look again in so many seconds."""
        self._due = sample.at + seconds


class Window:
    """The canary's counts of the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """Add an interval; forget what is too old."""
        self._samples.append(sample)
        while self._samples[0].at <= sample.at - self._seconds + _SLACK:
            self._samples.popleft()

    def canary(self) -> Sums:
        """Add up."""
        sums = Sums()
        for sample in self._samples:
            sums.add(sample.canary)
        return sums
