"""What the gateway would have counted: one rollout's samples, drawn from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from msgspec import Struct

from andon.api.v1.latency import BUCKETS, upper_bound
from andon.api.v1.samples import ArmCounts, Sample
from andon.api.v1.simulation import Behaviour, Latency, ScenarioSpec
from andon.domains.reliability.simulator.people import (
    WINDOW_SECONDS,
    Failures,
    clients_of,
    draw_failed,
)

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


class Counted(Struct, frozen=True):
    """What the gateway counts for one version in each interval; see ``ArmCounts``.

    Args:
        requests: ``(n,) int64``, as are the next three.
        errors: Those that failed.
        client_errors: Once a client and window.
        clients: Distinct ones.
        half: ``(n, 3) int64``, requests, errors and client errors of one half of the clients.
        latency: ``(n, n_buckets) int64``; None: not timed.
    """

    requests: Array
    errors: Array
    client_errors: Array
    clients: Array
    half: Array
    latency: Array

    def rows(self) -> Iterator[ArmCounts]:
        """Return the counts interval by interval."""
        plain = (self.requests, self.errors, self.client_errors, self.clients, self.half)
        for index, row in enumerate(zip(*(one.tolist() for one in plain), strict=True)):
            yield ArmCounts(
                requests=row[0],
                errors=row[1],
                client_errors=row[2],
                clients=row[3],
                latency={} if self.latency is None else _histogram(self.latency[index]),
                half=tuple(row[4]),
            )


class Drawn(Struct, frozen=True):
    """One rollout's traffic.

    Args:
        time: Its intervals.
        canary: Counts of the canary.
        stable: Those of the version before; None: a first release.
    """

    time: _Time
    canary: Counted
    stable: Counted | None


def draw(scenario: ScenarioSpec, chance: np.random.Generator) -> Drawn:
    """Draw one rollout.

    Args:
        scenario: What happens.
        chance: Seeded generator; the same one gives the same rollout.
    """
    time = _time(scenario)
    storms = _storms(scenario, time, chance)
    at_canary = chance.random(len(time.at)) < time.share
    broken = chance.random(scenario.clients.broken)
    canary = _count_arm(scenario, "canary", time, storms * at_canary, broken, chance)
    if scenario.stable is None:
        return Drawn(time, canary, None)
    return Drawn(
        time, canary, _count_arm(scenario, "stable", time, storms * ~at_canary, broken, chance)
    )


def samples(scenario: ScenarioSpec, drawn: Drawn) -> Iterator[Sample]:
    """Return what was drawn, interval by interval."""
    time, end = drawn.time, len(drawn.time.at) - 1
    stable = drawn.stable.rows() if drawn.stable else repeat(None)
    told = zip(time.at.tolist(), time.share.tolist(), time.last.tolist(), strict=True)
    for index, ((at, share, last), canary, beside) in enumerate(
        zip(told, drawn.canary.rows(), stable, strict=False)
    ):
        yield Sample(
            at=at,
            seconds=scenario.interval_seconds,
            weight=100 * share,
            canary=canary,
            stable=beside,
            last_step=last,
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


def _count_arm(
    scenario: ScenarioSpec,
    name: str,
    time: _Time,
    storms: Array,
    broken: Array,
    chance: np.random.Generator,
) -> Counted:
    """Draw what one version answers, and who meets its errors."""
    mine = time.share if name == "canary" else 1 - time.share
    rate = time.rate * mine
    requests = chance.poisson(rate * scenario.interval_seconds)
    latency = _latency(scenario, name, time, requests, chance)
    errors = chance.binomial(requests, _error_shares(scenario, name, time))
    people, clients = clients_of(scenario.clients, mine, rate)
    failures = Failures.together(
        draw_failed(people, errors, np.ones(len(errors), int), chance),
        draw_failed(people, np.minimum(storms, 1), storms, chance),
        _broken(scenario, time, broken, chance, name == "canary"),
    )
    tries, firsts, odd_tries, odd_firsts = failures.count((time.at / WINDOW_SECONDS).astype(int))
    answered = requests - errors
    odd = chance.binomial(answered, np.array([one.odd for one in people]))
    return Counted(
        requests=answered + tries,
        errors=tries,
        client_errors=firsts,
        clients=clients,
        half=np.stack((odd + odd_tries, odd_tries, odd_firsts), axis=1),
        latency=latency,
    )


def _broken(
    scenario: ScenarioSpec,
    time: _Time,
    fates: Array,
    chance: np.random.Generator,
    canary: bool,
) -> Failures:
    """Return the clients that fail wherever they go, and how often they did.

    Args:
        scenario: What happens.
        time: Its intervals.
        fates: ``(n_broken,) float64``: who is below the canary's share meets the canary.
        chance: Seeded generator.
        canary: Whose clients.
    """
    here = (fates[:, None] < time.share) == canary
    expected = time.rate * scenario.interval_seconds / scenario.clients.count
    tries = chance.poisson(np.broadcast_to(expected, here.shape)) * here
    who, when = np.nonzero(tries)
    return Failures(when, -1 - who, tries[who, when])


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
