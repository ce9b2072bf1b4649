"""Counts what became of the load's requests."""

from __future__ import annotations

import os
from collections import Counter, deque
from pathlib import Path

import msgspec

from andon.api.v1.latency import BUCKETS, bucket_of, upper_bound

FAILURES_LIMIT = 1_000
SERIES_SECONDS = 120


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a user would complain about.

    Args:
        at: When it was to be sent, in seconds since the Unix epoch.
        ended_at: When it was known to have failed; later than ``at`` by what the user waited.
        method: HTTP method.
        path: What was asked.
        client: Who asked.
        reason: Status of 500 or more, or why no answer came.
    """

    at: float
    ended_at: float
    method: str
    path: str
    client: str
    reason: str


class Second(msgspec.Struct, kw_only=True):
    """Requests that were to be sent within one second, as far as they have ended.

    Args:
        at: Its start, in whole seconds since the Unix epoch.
        completed: Answered with less than 500.
        failed: The others.
        slowest_ms: Longest latency of an answer, in milliseconds.
    """

    at: int
    completed: int = 0
    failed: int = 0
    slowest_ms: float = 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How the load stands; ``sent = completed + failed + in_flight``.

    Args:
        final: Whether the load has ended.
        sent: Requests sent.
        completed: Answered with less than 500.
        failed: Answered with 500 or more, or not at all.
        in_flight: Still waiting; of a final report, given up when the load ended.
        retried: Sent a second time because a reused connection turned out to be closed.
        p50_ms: Median latency of all answers from the intended send time; None without answers.
        p99_ms: 99th percentile of the same.
        reasons: Failures by reason.
        failures: The first thousand failures.
        seconds: The last two minutes, oldest first.
    """

    final: bool
    sent: int
    completed: int
    failed: int
    in_flight: int
    retried: int
    p50_ms: float | None
    p99_ms: float | None
    reasons: dict[str, int]
    failures: list[Failure]
    seconds: list[Second]


class Tally:
    """Counts requests and their ends."""

    def __init__(self) -> None:
        self.sent = 0
        self.completed = 0
        self.retried = 0
        self._reasons: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._buckets = [0] * BUCKETS
        self._seconds: deque[Second] = deque(maxlen=SERIES_SECONDS)

    def answer(self, at: float, latency_seconds: float) -> None:
        """Count the latency of an answer of any status.

        Args:
            at: Intended send time, in seconds since the Unix epoch.
            latency_seconds: From then to the end of the answer.
        """
        self._buckets[bucket_of(latency_seconds)] += 1
        second = self._second(at)
        second.slowest_ms = max(second.slowest_ms, round(latency_seconds * 1000, 1))

    def complete(self, at: float) -> None:
        """Count a request that was answered well."""
        self.completed += 1
        self._second(at).completed += 1

    def fail(self, failure: Failure) -> None:
        """Count a request that failed."""
        self._reasons[failure.reason] += 1
        self._second(failure.at).failed += 1
        if len(self._failures) < FAILURES_LIMIT:
            self._failures.append(failure)

    def report(self, *, final: bool = False) -> Report:
        """Return how things stand."""
        failed = self._reasons.total()
        return Report(
            final=final,
            sent=self.sent,
            completed=self.completed,
            failed=failed,
            in_flight=self.sent - self.completed - failed,
            retried=self.retried,
            p50_ms=self._quantile_ms(0.5),
            p99_ms=self._quantile_ms(0.99),
            reasons=dict(self._reasons),
            failures=self._failures,
            seconds=sorted(self._seconds, key=lambda second: second.at),
        )

    def _second(self, at: float) -> Second:
        """Find a second among the latest; late ones that have left the series get a throw-away."""
        for second in reversed(self._seconds):
            if second.at == int(at):
                return second
        new = Second(at=int(at))
        if not self._seconds or new.at > self._seconds[0].at:
            self._seconds.append(new)
        return new

    def _quantile_ms(self, share: float) -> float | None:
        """Return the upper bound of the bucket that holds a quantile."""
        left = share * sum(self._buckets)
        if not left:
            return None
        for bucket, count in enumerate(self._buckets):
            left -= count
            if left <= 0:
                return round(upper_bound(bucket) * 1000, 3)
        raise AssertionError("the counts of the buckets add up to more than their sum")


def write_file(file: Path, content: bytes) -> None:
    """Replace a file at once: a reader sees the old content or the new one, never a part."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)
