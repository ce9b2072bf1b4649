"""What the gateway would have counted: one rollout's samples, drawn from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct

from andon.api.v1.latency import BUCKETS, upper_bound
from andon.api.v1.samples import ArmCounts, Sample
from andon.api.v1.simulation import Behaviour, Clients, Latency, ScenarioSpec

WINDOW_SECONDS = 10.0
BEFORE_SECONDS = 600.0
STALL_SECONDS = 0.5

Array = Any
"""A numpy array: over the intervals, unless told."""


class _Time(Struct, frozen=True):
    """The intervals of a scenario.

    Args:
        at: Their ends, in seconds.
        share: The canary's share of the traffic.
        rate: Requests per second of both.
        last: Whether the plan is at its last stage.
    """

    at: Array
    share: Array
    rate: Array
    last: Array


def stable_before(scenario: ScenarioSpec, chance: np.random.Generator) -> dict[int, int]:
    """Return the latency of the running version in the ten minutes before the rollout, by bucket."""
    latency = scenario.stable.latency if scenario.stable else None
    if latency is None:
        return {}
    requests = chance.poisson(scenario.requests_per_second * BEFORE_SECONDS)
    return _histogram(chance.multinomial(requests, _bucket_shares(latency)))


def samples(scenario: ScenarioSpec, chance: np.random.Generator) -> Iterator[Sample]:
    """Draw one rollout, interval by interval.

    Args:
        scenario: What happens.
        chance: Seeded generator; the same one gives the same rollout.
    """
    time = _time(scenario)
    storms = _storms(scenario, time, chance)
    at_canary = chance.random(len(time.at)) < time.share
    broken = chance.random(scenario.clients.broken)
    canary = _Arm(scenario, "canary", time, storms * at_canary, broken, chance)
    stable = (
        _Arm(scenario, "stable", time, storms * ~at_canary, broken, chance)
        if scenario.stable
        else None
    )
    end = len(time.at) - 1
    for index, at in enumerate(time.at.tolist()):
        yield Sample(
            at=at,
            seconds=scenario.interval_seconds,
            weight=100 * float(time.share[index]),
            canary=canary.counts(index),
            stable=stable.counts(index) if stable else None,
            last_step=bool(time.last[index]),
            soak_done=scenario.last_step and index == end,
        )


def _time(scenario: ScenarioSpec) -> _Time:
    count = max(1, int(scenario.minutes * 60 / scenario.interval_seconds))
    at = scenario.interval_seconds * np.arange(1, count + 1)
    done = np.arange(count) / count
    ends = np.cumsum([stage.part for stage in scenario.plan])
    stage = np.minimum(np.searchsorted(ends / ends[-1], done, side="right"), len(ends) - 1)
    weights = np.array([one.weight for one in scenario.plan]) / 100
    share = weights[stage] if scenario.stable else np.ones(count)
    load = _between(scenario.load_drift.begin, scenario.load_drift.end, done)
    last = (stage == len(ends) - 1) & scenario.last_step
    return _Time(at, share, scenario.requests_per_second * load, last)


def _between(begin: float, end: float, done: Array) -> Array:
    return begin + (end - begin) * done


def _storms(scenario: ScenarioSpec, time: _Time, chance: np.random.Generator) -> Array:
    """Return the errors of the storm in each interval, mostly none."""
    if scenario.storms is None:
        return np.zeros(len(time.at), int)
    begins = chance.random(len(time.at)) < scenario.storms.per_second * scenario.interval_seconds
    return begins * chance.geometric(1 / scenario.storms.errors, len(time.at))


class _People(Struct, frozen=True):
    """The clients of one version, by number; those with an odd one are one half.

    Args:
        count: How many.
        until: ``(count,) float64``, up to where each one's part of the requests reaches; None: all alike.
    """

    count: int
    until: Array = None

    def draw(self, chance: np.random.Generator, size: int) -> list[int]:
        """Return who sends the next requests."""
        if self.until is None:
            return [int(one) for one in chance.integers(self.count, size=size)]
        return [int(one) for one in np.searchsorted(self.until, chance.random(size))]

    @property
    def odd(self) -> float:
        """The requests of those with an odd number, as a share of all."""
        if self.until is None:
            return (self.count // 2) / self.count
        return float(np.diff(self.until, prepend=0.0)[1::2].sum())

    def seen(self, requests: float) -> int:
        """Return how many different ones so many requests come from, on average."""
        if self.until is None:
            return round(self.count * -math.expm1(requests * math.log1p(-1 / max(self.count, 2))))
        parts = np.diff(self.until, prepend=0.0)
        return round(float((1 - (1 - parts) ** requests).sum()))


@lru_cache(maxsize=256)
def _people(count: int, skew: float) -> _People:
    if not skew:
        return _People(count)
    parts = np.arange(1, count + 1) ** -skew
    return _People(count, np.cumsum(parts) / parts.sum())


class _Arm:
    """One version's counts: drawn for all intervals at once, but for who met the errors."""

    def __init__(
        self,
        scenario: ScenarioSpec,
        name: str,
        time: _Time,
        storms: Array,
        broken: Array,
        chance: np.random.Generator,
    ) -> None:
        self._chance, self._storms = chance, storms.tolist()
        mine = time.share if name == "canary" else 1 - time.share
        rate = time.rate * mine
        requests = chance.poisson(rate * scenario.interval_seconds)
        self._latency = _latency(scenario, name, time, requests, chance)
        self._errors = chance.binomial(requests, _error_shares(scenario, name, time)).tolist()
        self._requests = requests.tolist()
        self._broken = _broken(scenario, time, broken, chance, name == "canary")
        self._people, self._clients = _clients(scenario.clients, mine, rate)
        self._windows = (time.at / WINDOW_SECONDS).astype(int).tolist()
        self._window, self._failed = -1, set[int]()

    def counts(self, index: int) -> ArmCounts:
        """Return what the gateway counts in an interval; to be asked in their order."""
        if self._windows[index] != self._window:
            self._window, self._failed = self._windows[index], set()
        failures = self._failures(index)
        all_, odd = _count(failures, self._failed)
        answered = self._requests[index] - self._errors[index]
        answered_odd = int(self._chance.binomial(answered, self._people[index].odd))
        return ArmCounts(
            requests=answered + all_[0],
            errors=all_[0],
            client_errors=all_[1],
            clients=self._clients[index],
            latency=_histogram(self._latency[index]) if self._latency is not None else {},
            half=(answered_odd + odd[0], odd[0], odd[1]),
        )

    def _failures(self, index: int) -> list[tuple[int, int]]:
        """Return clients and how often each of them failed."""
        storm, people = self._storms[index], self._people[index]
        found = [(client, 1) for client in people.draw(self._chance, self._errors[index])]
        if storm:
            found += [(client, storm) for client in people.draw(self._chance, 1)]
        return found + self._broken[index] if self._broken else found


def _count(failures: list[tuple[int, int]], failed: set[int]) -> tuple[list[int], list[int]]:
    """Count errors and clients that failed for the first time: of all, and of the odd ones."""
    both = [0, 0], [0, 0]
    for client, tries in failures:
        first = client not in failed
        failed.add(client)
        for counts in both[: 1 + client % 2]:
            counts[0] += tries
            counts[1] += first
    return both


def _clients(clients: Clients, mine: Array, rate: Array) -> tuple[list[_People], list[int]]:
    """Return who calls a version in each interval, and how many of them a window sees."""
    people = [
        _people(max(1, round(clients.count * share)), clients.skew) for share in mine.tolist()
    ]
    seen: dict[tuple[int, float], int] = {}
    for one, requests in zip(people, (rate * WINDOW_SECONDS).tolist(), strict=True):
        if (one.count, requests) not in seen:
            seen[one.count, requests] = one.seen(requests)
    return people, [
        seen[one.count, requests]
        for one, requests in zip(people, (rate * WINDOW_SECONDS).tolist(), strict=True)
    ]


def _broken(
    scenario: ScenarioSpec,
    time: _Time,
    fates: Array,
    chance: np.random.Generator,
    canary: bool,
) -> list[list[tuple[int, int]]]:
    """Return, for each interval, the clients that fail wherever they go, and how often they did.

    Args:
        scenario: What happens.
        time: Its intervals.
        fates: ``(n_broken,) float64``: who is below the canary's share meets the canary.
        chance: Seeded generator.
        canary: Whose clients.
    """
    if not len(fates):
        return []
    here = (fates[:, None] < time.share) == canary
    expected = time.rate * scenario.interval_seconds / scenario.clients.count
    tries = chance.poisson(np.broadcast_to(expected, here.shape)) * here
    return [
        [(-1 - int(who), int(tries[who, index])) for who in np.flatnonzero(tries[:, index])]
        for index in range(len(time.at))
    ]


# --- Versions -----------------------------------------------------------------------------------


def _error_shares(scenario: ScenarioSpec, name: str, time: _Time) -> Array:
    drift = scenario.error_drift
    done = np.arange(len(time.at)) / len(time.at)
    shares = np.where(
        _faulty(scenario, name, time), scenario.canary.errors, _stable(scenario).errors
    ) * _between(drift.begin, drift.end, done)
    minute = time.at / 60
    for outage in scenario.outages:
        if outage.arm in ("both", name):
            during = (minute > outage.from_minute) & (minute <= outage.from_minute + outage.minutes)
            shares = np.where(during, np.maximum(shares, outage.errors), shares)
    return np.clip(shares, 0.0, 1.0)


def _faulty(scenario: ScenarioSpec, name: str, time: _Time) -> Array:
    """Say when an arm behaves as the canary does at its worst."""
    return (name == "canary") & (time.at > 60 * scenario.fault_after_minutes)


def _stable(scenario: ScenarioSpec) -> Behaviour:
    return scenario.stable or Behaviour()


def _latency(
    scenario: ScenarioSpec,
    name: str,
    time: _Time,
    requests: Array,
    chance: np.random.Generator,
) -> Array:
    """Return requests by interval and bucket, ``(n_intervals, n_buckets) int64``; None: not timed."""
    faulty = _faulty(scenario, name, time)
    usual, worst = _stable(scenario).latency, scenario.canary.latency
    if usual is None and worst is None:
        return None
    counts = np.zeros((len(requests), BUCKETS), int)
    for latency, which in ((usual or worst, ~faulty), (worst or usual, faulty)):
        if latency is not None and which.any():
            counts[which] = _timed(latency, requests[which], scenario.interval_seconds, chance)
    return counts


def _timed(latency: Latency, requests: Array, seconds: float, chance: np.random.Generator) -> Array:
    counts = chance.multinomial(requests, _bucket_shares(latency))
    if not latency.stalls_per_second:
        return counts
    stalled = np.flatnonzero(chance.random(len(requests)) < latency.stalls_per_second * seconds)
    late = chance.binomial(requests[stalled], min(1.0, latency.stalled_share / seconds))
    counts[stalled] = chance.multinomial(requests[stalled] - late, _bucket_shares(latency))
    counts[stalled] += chance.multinomial(late, _bucket_shares(latency, STALL_SECONDS))
    return counts


@lru_cache(maxsize=64)
def _bucket_shares(latency: Latency, later_seconds: float = 0.0) -> Array:
    """Return the chance of each bucket, ``(n_buckets,) float64``.

    Args:
        latency: The mixture.
        later_seconds: All of it takes so much longer.
    """
    bounds = [upper_bound(bucket) - later_seconds for bucket in range(BUCKETS - 1)]
    slow = latency.slow_share
    reached = [
        (1 - slow) * _reached(latency, bound)
        + slow * _reached(latency, bound - latency.slow_seconds)
        for bound in bounds
    ]
    shares = np.diff(np.array([*reached, 1.0]), prepend=0.0)
    return shares / shares.sum()


def _reached(latency: Latency, seconds: float) -> float:
    """Return the lognormal distribution function."""
    if seconds <= 0:
        return 0.0
    normed = math.log(seconds / latency.median_seconds) / latency.spread
    return 0.5 * math.erfc(-normed / math.sqrt(2))


def _histogram(counts: Array) -> dict[int, int]:
    used = np.flatnonzero(counts)
    return dict(zip(used.tolist(), counts[used].tolist(), strict=True))
