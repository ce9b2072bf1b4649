"""What the canary judge remembers: samples of both arms, folded into a small state of bets.

``docs/judge.md`` explains in plain words each choice that the constants here make.
"""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.calc.dispersion import Dispersion, dispersion, learn
from andon.calc.sequential import (
    HARM_ODDS,
    NEVER,
    bet,
    enter,
    entering_stake,
    first_logs,
    harm_odds,
    log_mean,
    log_staggered,
    log_weighted,
    risk_share,
)
from andon.domains.delivery.editions import EDITIONS, VERSION, Edition
from andon.domains.delivery.gains import Gain, begin_gain, bet_on_gain
from andon.domains.delivery.slowness import (
    Stream,
    begin_stream,
    bet_on_latency,
    tolerated_rate,
)

DEFAULT_ERROR_SHARE = 0.01
"""Errors allowed where no Objective says otherwise."""

METRIC_WEIGHT = 0.2
"""What business metrics have of the whole stake, where there are any."""

START_EVERY_SECONDS = 60.0
RATE_SECONDS = 30.0
"""Memory of the traffic estimate behind ``expected_seconds``."""

FIT_SHARES, FIT_WEIGHTS = (0.01, 0.1, 0.25, 0.5), (0.5, 1 / 6, 1 / 6, 1 / 6)
"""Alternatives of "errors reach the Objective's share", as odds of that share."""

FIT_RISK = 2.0
FIT_RISKS = (0.125, 0.25, 0.5)
"""Alternatives of "risk is twice stable's or more": relative risks 0.25, 0.5 and 1."""

CLIENT_WINDOW_SECONDS = 10.0
FEW_CLIENTS, REQUESTS_PER_CLIENT = 10, 4
CROWDED_DISPERSION, CROWDED_NATS_PER_SECOND = 3.0, 1.0
"""Errors behind one address may have one cause: that many count as one, at least, and slowly."""


class JudgeState(Struct, frozen=True, kw_only=True):
    """Everything the judge remembers; about 2 kB of JSON.

    What a rollout began with, it keeps: ``version`` says by which edition of the rules samples are folded,
    so that an old Run is decided again as it was.
    """

    version: int = 1
    error_share: float
    tolerance: float
    streams: tuple[Stream, ...]
    errors: tuple[float, ...] = first_logs()
    error_noise: Dispersion = Dispersion()
    halves: tuple[tuple[float, ...], tuple[float, ...]] = (first_logs(), first_logs())
    gains: tuple[Gain, ...] = ()
    begun: int = 0
    peak_log: float = 0.0
    objective_fit: tuple[float, ...] = (0.0,) * len(FIT_SHARES)
    risk_fit: tuple[float, ...] = (0.0,) * len(FIT_RISKS)
    elapsed_seconds: float = 0.0
    idle_seconds: float = 0.0
    requests_per_second: float = 0.0
    crowded: bool = False
    canary_requests: int = 0
    canary_errors: int = 0
    counted_errors: int = 0
    stable_requests: int = 0
    stable_errors: int = 0
    explained_errors: float = 0.0
    excess_errors: float = 0.0


# --- Start --------------------------------------------------------------------------------------


def start_state(
    policy: JudgePolicy,
    objective: ObjectiveSpec | None,
    frozen: tuple[int, ...] = (),
    version: int = VERSION,
) -> JudgeState:
    """Begin with nothing known.

    Args:
        policy: Its tolerance holds for the whole rollout.
        objective: None means ``DEFAULT_ERROR_SHARE`` errors and no latency limit.
        frozen: From ``frozen_thresholds``.
        version: Edition of the rules; another than the present one only for old Runs.

    >>> start_state(JudgePolicy(), None).error_share
    0.01
    """
    availability = objective.availability if objective else None
    stakes = EDITIONS[version].stakes
    logs = first_logs(stakes=stakes)
    return JudgeState(
        version=version,
        error_share=DEFAULT_ERROR_SHARE if availability is None else 1 - availability,
        tolerance=policy.tolerance,
        streams=tuple(
            begin_stream(bucket, objective, policy.tolerated_slowdown, stakes) for bucket in frozen
        ),
        errors=logs,
        halves=(logs, logs),
        gains=tuple(begin_gain(one, policy.alpha) for one in policy.metrics),
    )


def edition(state: JudgeState) -> Edition:
    """Return the rules of a rollout.

    >>> edition(start_state(JudgePolicy(), None)).latency_weight
    0.35
    """
    return EDITIONS[state.version]


# --- Fold ---------------------------------------------------------------------------------------


def fold(state: JudgeState, sample: Sample) -> JudgeState:
    """Add one interval. Without canary requests nothing moves but the idle time.

    >>> state = start_state(JudgePolicy(), None)
    >>> idle = Sample(at=5, seconds=5, weight=10, canary=ArmCounts())
    >>> fold(state, idle) == replace(state, idle_seconds=5.0)
    True
    """
    if not sample.canary.requests:
        return replace(state, idle_seconds=state.idle_seconds + sample.seconds)
    stable = sample.stable or ArmCounts()
    crowded = _is_crowded(state, sample, stable)
    state = _begin_due(state)
    if 0 < stable.half[0] < stable.requests:
        state = _bet_on_halves(state, stable, sample.seconds, crowded)
    if state.gains:
        state = replace(state, gains=tuple(bet_on_gain(one, sample) for one in state.gains))
    state = _bet_on_harm(state, sample, stable, crowded)
    state = _bet_on_fit(state, sample, stable, crowded)
    return _count(state, sample, stable)


def _begin_due(state: JudgeState) -> JudgeState:
    """Let the starts enter whose minute came before this interval."""
    due = int(state.elapsed_seconds // START_EVERY_SECONDS)
    stake = entering_stake(state.begun, due, edition(state).stakes)
    if not stake:
        return state
    return replace(
        state,
        begun=due,
        errors=enter(state.errors, stake),
        halves=(enter(state.halves[0], stake), enter(state.halves[1], stake)),
        streams=tuple(replace(one, logs=enter(one.logs, stake)) for one in state.streams),
    )


def _bet_on_harm(state: JudgeState, sample: Sample, stable: ArmCounts, crowded: bool) -> JudgeState:
    hits = _counted(sample.canary, crowded)
    trials, share = _error_trials(state, sample.canary.requests, hits, stable)
    return replace(
        state,
        crowded=state.crowded or crowded,
        errors=bet(
            state.errors,
            hits,
            trials,
            share,
            _odds(state),
            temper=dispersion(state.error_noise, CROWDED_DISPERSION) if crowded else 1.0,
            cap=CROWDED_NATS_PER_SECOND * sample.seconds if crowded else NEVER,
        ),
        error_noise=learn(state.error_noise, stable.errors, stable.requests),
        streams=tuple(
            bet_on_latency(one, state.tolerance, edition(state), sample, stable)
            for one in state.streams
        ),
    )


def _bet_on_halves(
    state: JudgeState, stable: ArmCounts, seconds: float, crowded: bool
) -> JudgeState:
    """Ask of each half of stable's clients what is asked of the canary: is it worse than the other?"""
    requests, errors, client_errors = stable.half
    one = ArmCounts(requests=requests, errors=errors, client_errors=client_errors)
    other = ArmCounts(
        requests=stable.requests - requests,
        errors=max(0, stable.errors - errors),
        client_errors=max(0, stable.client_errors - client_errors),
    )
    temper = dispersion(state.error_noise, CROWDED_DISPERSION) if crowded else 1.0
    cap = CROWDED_NATS_PER_SECOND * seconds if crowded else NEVER

    def asked(logs: tuple[float, ...], arm: ArmCounts, beside: ArmCounts) -> tuple[float, ...]:
        hits = _counted(arm, crowded)
        trials, share = _error_trials(state, arm.requests, hits, beside)
        return bet(logs, hits, trials, share, _odds(state), temper=temper, cap=cap)

    return replace(
        state, halves=(asked(state.halves[0], one, other), asked(state.halves[1], other, one))
    )


def _odds(state: JudgeState) -> tuple[float, ...]:
    return harm_odds(state.tolerance) if edition(state).same_risks else HARM_ODDS


def _is_crowded(state: JudgeState, sample: Sample, stable: ArmCounts) -> bool:
    """Tell whether few keys stand for many callers, so that errors per client say too little.

    What one client tries again, as it fails, tells nothing of that: answers count, unless there is no
    stable version that gives some.
    """
    answers_only = edition(state).answers_crowd and sample.stable is not None
    return any(_crowded(arm, sample.seconds, answers_only) for arm in (sample.canary, stable))


def _crowded(arm: ArmCounts, seconds: float, answers_only: bool) -> bool:
    requests = arm.requests - arm.errors * answers_only
    per_window = requests * CLIENT_WINDOW_SECONDS / max(seconds, 1e-9)
    return 0 < arm.clients < FEW_CLIENTS and per_window > REQUESTS_PER_CLIENT * arm.clients


def _counted(arm: ArmCounts, crowded: bool) -> int:
    return min(arm.errors if crowded else arm.client_errors, arm.requests)


def _error_trials(
    state: JudgeState, requests: int, hits: int, stable: ArmCounts
) -> tuple[int, float]:
    """Return trials and the tolerated share of them.

    Stable's errors count in full where the canary's count once a client: counting both once a client
    would favour the arm with more requests a client, and roll a good canary back in a shared outage.
    """
    if stable.requests:
        share = risk_share(requests, stable.requests, state.tolerance)
        return hits + min(stable.errors, stable.requests), share
    before = state.stable_errors / state.stable_requests if state.stable_requests else 0.0
    return requests, tolerated_rate(state.error_share, before, state.tolerance)


def _bet_on_fit(state: JudgeState, sample: Sample, stable: ArmCounts, crowded: bool) -> JudgeState:
    """Count against the canary here: all its errors, and stable's once a client."""
    requests = sample.canary.requests
    hits = min(max(sample.canary.errors, sample.canary.client_errors), requests)
    stable_hits = _counted(stable, crowded)
    risk_fit = state.risk_fit
    if stable.requests:
        share = risk_share(requests, stable.requests, FIT_RISK)
        risk_fit = bet(risk_fit, hits, hits + stable_hits, share, FIT_RISKS)
    return replace(
        state,
        objective_fit=bet(state.objective_fit, hits, requests, state.error_share, FIT_SHARES),
        risk_fit=risk_fit,
    )


def _count(state: JudgeState, sample: Sample, stable: ArmCounts) -> JudgeState:
    canary = sample.canary
    counted = _counted(canary, crowded=False)
    explained = canary.requests * stable.errors / stable.requests if stable.requests else 0.0
    tolerated = max(canary.requests * state.error_share, state.tolerance * explained)
    state = replace(
        state,
        elapsed_seconds=state.elapsed_seconds + sample.seconds,
        idle_seconds=0.0,
        requests_per_second=_traffic(state, sample),
        canary_requests=state.canary_requests + canary.requests,
        canary_errors=state.canary_errors + max(canary.errors, canary.client_errors),
        counted_errors=state.counted_errors + counted,
        stable_requests=state.stable_requests + stable.requests,
        stable_errors=state.stable_errors + stable.errors,
        explained_errors=state.explained_errors + explained,
        excess_errors=state.excess_errors + counted - tolerated,
    )
    return replace(state, peak_log=max(state.peak_log, harm_log(state)))


def _traffic(state: JudgeState, sample: Sample) -> float:
    now = sample.canary.requests / max(sample.seconds, 1e-9)
    if not state.canary_requests:
        return now
    keep = math.exp(-sample.seconds / RATE_SECONDS)
    return keep * state.requests_per_second + (1 - keep) * now


def error_log(state: JudgeState) -> float:
    """Return ln E against "errors no more frequent than tolerated", as of now.

    >>> abs(error_log(start_state(JudgePolicy(), None))) < 1e-9
    True
    """
    return log_staggered(state.errors, state.begun, edition(state).stakes)


def halves_log(state: JudgeState) -> float:
    """Return ln E against "both halves of stable's clients fail alike", as of now.

    >>> abs(halves_log(start_state(JudgePolicy(), None))) < 1e-9
    True
    """
    stakes = edition(state).stakes
    return log_mean([log_staggered(logs, state.begun, stakes) for logs in state.halves])


def latency_log(state: JudgeState) -> float:
    """Return ln E against "slow requests no more frequent than tolerated", as of now.

    >>> abs(latency_log(start_state(JudgePolicy(), None, (40,)))) < 1e-9
    True
    """
    stakes = edition(state).stakes
    logs = [log_staggered(one.logs, state.begun, stakes) for one in state.streams]
    return log_mean(logs or [0.0])


def gain_log(state: JudgeState) -> float:
    """Return ln E against "no business metric loses more than tolerated", as of now.

    >>> gain_log(start_state(JudgePolicy(), None))
    0.0
    """
    return log_mean([one.betting.log for one in state.gains] or [0.0])


def harm_log(state: JudgeState) -> float:
    """Return ln E against "no more harm than tolerated", as of now.

    >>> abs(harm_log(start_state(JudgePolicy(), None))) < 1e-9
    True
    """
    log = error_log(state)
    if state.streams:
        part = edition(state).latency_weight
        log = log_weighted((log, latency_log(state)), (1 - part, part))
    if state.gains:
        log = log_weighted((log, gain_log(state)), (1 - METRIC_WEIGHT, METRIC_WEIGHT))
    return log
