"""The judge's arithmetic over a whole simulated rollout at once, so that thousands can be played.

The judge looks at 360 intervals one after the other; nearly all of that tells that nothing is wrong. Here
numpy finds a rollout's evidence of all intervals together. Where it is the judge's own number, it
decides; where it is only a bound (latency, crowded windows, a near tie), the bound tells that the judge
would never stop the rollout, or the judge itself is asked. Some are always put before the judge,
and must end alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.simulation import ScenarioSpec
from andon.calc import sequential
from andon.domains.delivery import evidence, slowness
from andon.domains.delivery.editions import EDITIONS, VERSION
from andon.domains.delivery.judge import BURNT_ERRORS, BURNT_FACTOR, BURNT_RISK
from andon.domains.reliability.simulator.traffic import Counted, Drawn

NEARLY = 1e-4
"""Evidence so close to the threshold is left to the judge."""

EDITION = EDITIONS[VERSION]
Array = Any


class Ask(Exception):
    """Only the judge itself can tell."""


def stopped_at(
    scenario: ScenarioSpec, policy: JudgePolicy, drawn: Drawn, before: Mapping[int, int]
) -> int | None:
    """Return the interval after which a rollout is rolled back; None: it never is.

    Args:
        scenario: Its Objective counts.
        policy: Its error rates.
        drawn: The traffic.
        before: Stable's latency before.

    Raises:
        Ask: Only the judge itself can tell.
    """
    if drawn.stable is None:
        raise Ask
    used = np.flatnonzero(drawn.canary.requests)
    canary, stable = (_part(arm, used) for arm in (drawn.canary, drawn.stable))
    if not len(used) or not stable.requests.all():
        raise Ask
    stakes = _Staggered(len(used), scenario.interval_seconds)
    crowded = _crowded(canary, scenario) | _crowded(stable, scenario)
    errors = _errors(canary, stable, policy, stakes, crowded)
    streams = _streams(scenario.objective, policy, canary, stable, before, stakes)
    harm = _weighted(errors, streams) if streams else errors
    threshold = -math.log(policy.alpha)
    guard = _guards(scenario.objective, policy, canary, stable)
    if harm.max() < threshold - NEARLY and not guard.any():
        return None
    exact = not streams and not crowded.any()
    if not exact or _halves(stable, policy, stakes).max() > threshold - NEARLY:
        raise Ask
    if (np.abs(harm - threshold) < NEARLY).any():
        raise Ask
    return int(used[np.argmax((harm > threshold) | guard)])


class _Arm(Struct, frozen=True):
    """Counts that a bet is about."""

    requests: Array
    errors: Array
    client_errors: Array
    clients: Array = None
    half: Array = None
    latency: Array = None


def _part(arm: Counted, used: Array) -> _Arm:
    latency = None if arm.latency is None else arm.latency[used]
    plain = (arm.requests, arm.errors, arm.client_errors, arm.clients, arm.half)
    return _Arm(*(one[used] for one in plain), latency)


class _Staggered:
    """When stake enters, for all bets of a rollout.

    Args:
        count: Intervals.
        seconds: Length of each.
    """

    def __init__(self, count: int, seconds: float) -> None:
        due = (np.arange(count) * seconds // evidence.START_EVERY_SECONDS).astype(int)
        before = np.concatenate(([0], due[:-1]))
        pairs = zip(before.tolist(), due.tolist(), strict=True)
        entering = [sequential.entering_stake(*pair, EDITION.stakes) for pair in pairs]
        entering[0] = EDITION.stakes.first
        self._waiting = np.log([sequential.waiting_stake(one, EDITION.stakes) for one in due])
        self._entering = np.log(np.maximum(entering, 1e-300))
        self._weights = np.log(EDITION.stakes.weights)

    def logs(self, factors: Array) -> Array:
        """Return ln E after each interval from ``(n_intervals, n_alternatives)`` log factors."""
        after = np.cumsum(factors, axis=0)
        entered = np.logaddexp.accumulate(self._entering[:, None] - (after - factors), axis=0)
        return np.logaddexp(
            np.logaddexp.reduce(after + entered + self._weights, axis=1), self._waiting
        )


def _factors(hits: Array, trials: Array, share: Array, odds: tuple[float, ...]) -> Array:
    multiples = np.array(odds)
    lost = np.log1p(share[:, None] * (multiples - 1))
    return hits[:, None] * np.log(multiples) - trials[:, None] * lost


def _share(requests: Array, beside: Array, risk: float) -> Array:
    return requests * risk / (requests * risk + beside)


def _dispersions(hits: Array, trials: Array, floor: float) -> Array:
    """Return what the intervals before each one taught; see ``calc.dispersion``."""
    hits_before, trials_before = (np.cumsum(one) - one for one in (hits, trials))
    forecast = np.where(trials_before > 0, trials * (hits_before + 0.5) / (trials_before + 1), 0.0)
    squares = np.where(trials_before > 0, (hits - forecast) ** 2, 0.0)
    known = (np.cumsum(squares) - squares + 5 * floor) / (np.cumsum(forecast) - forecast + 5)
    return np.maximum(floor, known)


def _crowded(arm: _Arm, scenario: ScenarioSpec) -> Array:
    answered = (arm.requests - arm.errors) * (
        evidence.CLIENT_WINDOW_SECONDS / scenario.interval_seconds
    )
    few = (arm.clients > 0) & (arm.clients < evidence.FEW_CLIENTS)
    return few & (answered > evidence.REQUESTS_PER_CLIENT * arm.clients)


def _errors(
    canary: _Arm, stable: _Arm, policy: JudgePolicy, stakes: _Staggered, crowded: Array
) -> Array:
    """Return ln E of the errors; where a window was crowded it is a bound, as the cap is left out."""
    hits = np.minimum(np.where(crowded, canary.errors, canary.client_errors), canary.requests)
    trials = hits + np.minimum(stable.errors, stable.requests)
    share = _share(canary.requests, stable.requests, policy.tolerance)
    noise = _dispersions(stable.errors, stable.requests, evidence.CROWDED_DISPERSION)
    factors = _factors(hits, trials, share, sequential.harm_odds(policy.tolerance))
    return stakes.logs(factors / np.where(crowded, noise, 1.0)[:, None])


def _halves(stable: _Arm, policy: JudgePolicy, stakes: _Staggered) -> Array:
    """Return ln E of the two halves of stable's clients."""
    one = _Arm(*stable.half.T)
    other = _Arm(
        stable.requests - one.requests,
        stable.errors - one.errors,
        stable.client_errors - one.client_errors,
    )
    calm = np.zeros(len(stable.requests), bool)
    both = [
        _errors(arm, beside, policy, stakes, calm) for arm, beside in ((one, other), (other, one))
    ]
    return np.logaddexp(*both) - math.log(2)


def _streams(
    objective: ObjectiveSpec | None,
    policy: JudgePolicy,
    canary: _Arm,
    stable: _Arm,
    before: Mapping[int, int],
    stakes: _Staggered,
) -> list[Array]:
    """Return a bound of ln E for each latency threshold: gains count at once and in full."""
    found = []
    for bucket in slowness.frozen_thresholds(before, objective):
        stream = slowness.begin_stream(bucket, objective, policy.tolerated_slowdown, EDITION.stakes)
        timed, stable_timed = canary.latency.sum(axis=1), stable.latency.sum(axis=1)
        if not timed.all() or not stable_timed.all():
            raise Ask
        hits = canary.latency[:, stream.allowed + 1 :].sum(axis=1)
        slow = stable.latency[:, stream.bucket + 1 :].sum(axis=1)
        share = _share(timed, stable_timed, policy.tolerance)
        forgiving = stream.allowed > stream.bucket
        least = EDITION.latency_dispersion if forgiving else 1.0
        noise = _dispersions(slow, stable_timed, least)
        factors = _factors(hits, hits + slow, share, sequential.HARM_ODDS)
        found.append(stakes.logs(factors / noise[:, None]))
    return found


def _weighted(errors: Array, streams: list[Array]) -> Array:
    latency = np.logaddexp.reduce(streams, axis=0) - math.log(len(streams))
    part = EDITION.latency_weight
    return np.logaddexp(errors + math.log(1 - part), latency + math.log(part))


def _guards(
    objective: ObjectiveSpec | None, policy: JudgePolicy, canary: _Arm, stable: _Arm
) -> Array:
    """Say after which intervals a hard guard would have tripped."""
    allowed = evidence.start_state(policy, objective).error_share
    counted = np.minimum(canary.client_errors, canary.requests)
    explained = canary.requests * stable.errors / stable.requests
    excess = counted - np.maximum(canary.requests * allowed, policy.tolerance * explained)
    counted, requests = np.cumsum(counted), np.cumsum(canary.requests)
    burnt = counted > np.maximum(BURNT_ERRORS - 1, BURNT_FACTOR * allowed * requests)
    burnt &= counted > BURNT_RISK * np.cumsum(explained)
    return burnt | (np.cumsum(excess) > policy.max_excess_errors)
