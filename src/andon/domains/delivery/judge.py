"""The canary judge: is the new version harmful, is it fit, or is more traffic needed to tell?

Pure and replayable: the state is folded from stored samples (``evidence.py``), and ``replay`` decides
again, byte for byte, what was decided live. ``docs/judge.md`` says what the judge promises and what not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal, cast

from msgspec import Struct

from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.calc.sequential import log_weighted
from andon.domains.delivery.editions import VERSION
from andon.domains.delivery.evidence import (
    DEFAULT_ERROR_SHARE,
    FIT_WEIGHTS,
    METRIC_WEIGHT,
    JudgeState,
    edition,
    error_log,
    fold,
    gain_log,
    halves_log,
    harm_log,
    latency_log,
    start_state,
)
from andon.domains.delivery.slowness import frozen_thresholds
from andon.domains.delivery.wording import (
    caveat,
    strength,
    tell_errors,
    tell_idle,
    tell_loss,
    tell_slowness,
)
from andon.kernel.duration import format_duration

__all__ = [
    "ArmCounts",
    "JudgeState",
    "Judgement",
    "Sample",
    "decide",
    "fold",
    "frozen_thresholds",
    "judge",
    "judge_sample",
    "replay",
    "start_state",
]

JudgeVerdict = Literal["Advance", "RollBack", "Wait", "Untrustworthy"]
Guard = Literal["", "restarts", "excess-errors", "objective-burnt"]
GUARDS = ("restarts", "excess-errors", "objective-burnt")

BURNT_FACTOR, BURNT_ERRORS, BURNT_RISK = 10, 20, 2
"""Objective burnt: ten times the allowed errors, at least 20, and twice what stable explains."""

_DECIMALS = 6
"""Logs are rounded, so that the last bit of another machine's ``log`` changes no judgement."""


class Judgement(Struct, frozen=True, kw_only=True):
    """What the judge says now.

    Args:
        verdict: Advance, RollBack, Wait or Untrustworthy.
        reason: One sentence with the numbers.
        guard: The hard guard that decided, if one did.
        expected_seconds: With Wait: until the fit claim should be proven at today's traffic.
        harm_log: Largest ln E against "no more harm than tolerated" so far.
        harm_threshold: ln(1/alpha).
        fit_log: ln E of the claim that lets this step advance.
        fit_threshold: ln(1/beta).
    """

    verdict: JudgeVerdict
    reason: str
    guard: Guard = ""
    expected_seconds: float | None = None
    harm_log: float
    harm_threshold: float
    fit_log: float
    fit_threshold: float
    canary_requests: int
    canary_errors: int
    stable_requests: int
    stable_errors: int


def judge(
    state: JudgeState,
    policy: JudgePolicy,
    objective: ObjectiveSpec | None,
    *,
    last_step: bool,
    soak_done: bool,
    restarts: int = 0,
    consistent: bool = True,
) -> Judgement:
    """Say what the evidence so far allows.

    Args:
        state: From ``fold``.
        policy: Its error rates and guards.
        objective: Only names the service; its shares are in the state.
        last_step: The rollout is at its last step, where the Objective alone may not promote.
        soak_done: The planned soak is over.
        restarts: Restarts of canary replicas since the rollout began.
        consistent: The two independent counts agree.

    >>> state = start_state(JudgePolicy(), None)
    >>> judge(state, JudgePolicy(), None, last_step=False, soak_done=False).reason
    'canary: no traffic, so nothing is known'
    """
    case = _Case(state, policy, objective.service if objective else "canary", last_step)
    verdict, why = decide(
        state,
        policy,
        last_step=last_step,
        soak_done=soak_done,
        restarts=restarts,
        consistent=consistent,
    )
    if why == "undecided":
        return _wait(case)
    if why in GUARDS:
        return case.say(verdict, _guard_reason(why, state, restarts), why)
    return case.say(verdict, _REASONS[why](case))


def decide(
    state: JudgeState,
    policy: JudgePolicy,
    *,
    last_step: bool,
    soak_done: bool,
    restarts: int = 0,
    consistent: bool = True,
) -> tuple[JudgeVerdict, str]:
    """Return the verdict alone, and the one word why; see ``judge``.

    >>> decide(start_state(JudgePolicy(), None), JudgePolicy(), last_step=True, soak_done=True)
    ('Wait', 'idle')
    """
    case = _Case(state, policy, "", last_step)
    guard = _tripped(state, policy, restarts, consistent)
    if guard:
        return "RollBack", guard
    if not consistent:
        return "Untrustworthy", "disagreement"
    if _unlike(case):
        return "Untrustworthy", "unlike-halves"
    if case.harm_log >= case.harm_threshold:
        return "RollBack", "harm"
    if state.idle_seconds or not state.canary_requests:
        return "Wait", "idle"
    if _suspicious(case):
        return "Wait", "suspicion"
    if _burning(state):
        return "Wait", "burning"
    if case.fit_log >= case.fit_threshold:
        return "Advance", "fit"
    if last_step and soak_done:
        return "Advance", "soak"
    return "Wait", "undecided"


def _suspicious(case: _Case) -> bool:
    """Say whether the evidence of harm of this moment is too strong to go on."""
    half = case.harm_threshold / 2
    return case.state.peak_log >= half and harm_log(case.state) >= half


def _unlike(case: _Case) -> bool:
    """Say whether two halves of stable differ, as if one of them did harm."""
    return halves_log(case.state) >= case.harm_threshold


def replay(
    policy: JudgePolicy,
    objective: ObjectiveSpec | None,
    frozen: tuple[int, ...],
    samples: Iterable[Sample],
    version: int = VERSION,
) -> tuple[Judgement, ...]:
    """Decide again from stored samples: one judgement after each.

    Args:
        policy: As it was.
        objective: As it was.
        frozen: The thresholds that were frozen.
        samples: In their order.
        version: Edition of the rules by which it was decided.

    >>> replay(JudgePolicy(), None, (), [])
    ()
    """
    state = start_state(policy, objective, frozen, version)
    said = []
    for sample in samples:
        state = fold(state, sample)
        said.append(judge_sample(state, sample, policy, objective))
    return tuple(said)


def judge_sample(
    state: JudgeState, sample: Sample, policy: JudgePolicy, objective: ObjectiveSpec | None
) -> Judgement:
    """Say what the evidence allows at the moment of a sample, which is folded in already."""
    return judge(
        state,
        policy,
        objective,
        last_step=sample.last_step,
        soak_done=sample.soak_done,
        restarts=sample.restarts,
        consistent=sample.consistent,
    )


class _Case(Struct, frozen=True):
    """One question put to the judge, with the numbers every answer shows."""

    state: JudgeState
    policy: JudgePolicy
    service: str
    last_step: bool

    @property
    def harm_log(self) -> float:
        return round(self.state.peak_log, _DECIMALS)

    @property
    def harm_threshold(self) -> float:
        return round(-math.log(self.policy.alpha), _DECIMALS)

    @property
    def fit_threshold(self) -> float:
        return round(-math.log(self.policy.beta), _DECIMALS)

    @property
    def fit_log(self) -> float:
        return round(max(log_weighted(*claim) for claim in self.claims()), _DECIMALS) + 0.0

    def claims(self) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        """Return stakes and weights of the claims that may advance this step."""
        risks = self.state.risk_fit
        risk = (risks, (1 / len(risks),) * len(risks))
        if self.last_step and self.state.stable_requests:
            return [risk]
        return [risk, (self.state.objective_fit, FIT_WEIGHTS)]

    def say(
        self,
        verdict: JudgeVerdict,
        reason: str,
        guard: str = "",
        expected_seconds: float | None = None,
    ) -> Judgement:
        return Judgement(
            verdict=verdict,
            reason=f"{self.service}: {reason}",
            guard=cast(Guard, guard),
            expected_seconds=expected_seconds,
            harm_log=self.harm_log,
            harm_threshold=self.harm_threshold,
            fit_log=self.fit_log,
            fit_threshold=self.fit_threshold,
            canary_requests=self.state.canary_requests,
            canary_errors=self.state.canary_errors,
            stable_requests=self.state.stable_requests,
            stable_errors=self.state.stable_errors,
        )


# --- Hard guards --------------------------------------------------------------------------------


def _tripped(state: JudgeState, policy: JudgePolicy, restarts: int, consistent: bool) -> Guard:
    if restarts > policy.max_restarts:
        return "restarts"
    if not consistent:
        return ""
    if state.excess_errors > policy.max_excess_errors:
        return "excess-errors"
    return "objective-burnt" if _burnt(state) else ""


def _burnt(state: JudgeState) -> bool:
    return _burning(state) and state.counted_errors > BURNT_RISK * state.explained_errors


def _burning(state: JudgeState) -> bool:
    allowed = BURNT_FACTOR * state.error_share * state.canary_requests
    return state.counted_errors > max(BURNT_ERRORS - 1, allowed)


def _guard_reason(guard: str, state: JudgeState, restarts: int) -> str:
    if guard == "restarts":
        return f"canary replicas were restarted {restarts} times"
    if guard == "excess-errors":
        return f"{tell_errors(state)}; {state.excess_errors:.0f} more than can be tolerated"
    return f"{tell_errors(state)}; more than {BURNT_FACTOR} times what its Objective allows"


# --- Words --------------------------------------------------------------------------------------


def _harm_reason(case: _Case) -> str:
    state = case.state
    part = edition(state).latency_weight
    errors = math.log(1 - part) + error_log(state)
    slow = math.log(part) + latency_log(state)
    what = tell_slowness(state) if state.streams and slow > errors else tell_errors(state)
    if state.gains and gain_log(state) + math.log(METRIC_WEIGHT) > max(errors, slow):
        what = tell_loss(state)
    needed = strength(case.harm_threshold)
    return f"{what}; evidence of harm {strength(case.harm_log)} >= {needed}{caveat(state)}"


def _suspicion(case: _Case) -> str:
    now, needed = strength(harm_log(case.state)), strength(case.harm_threshold)
    return f"evidence of harm {now} of {needed} is too close to advance"


def _halves(case: _Case) -> str:
    now, needed = strength(halves_log(case.state)), strength(case.harm_threshold)
    return (
        f"one half of stable's own clients fails more than the other ({now} >= {needed}), so "
        "a difference between the versions says nothing"
    )


def _fit(case: _Case) -> str:
    fit = f"fit to promote {strength(case.fit_log)} >= {strength(case.fit_threshold)}"
    return f"{fit}{_default_share(case)}"


def _default_share(case: _Case) -> str:
    if case.service != "canary":
        return ""
    return f" (no Objective: judged against {DEFAULT_ERROR_SHARE:.0%} errors)"


_REASONS: dict[str, Callable[[_Case], str]] = {
    "disagreement": lambda _: "the two independent counts of the gateway disagree",
    "unlike-halves": lambda case: f"{tell_errors(case.state)}; {_halves(case)}",
    "harm": lambda case: _harm_reason(case),
    "idle": lambda case: tell_idle(case.state),
    "suspicion": lambda case: f"{tell_errors(case.state)}; {_suspicion(case)}",
    "burning": lambda case: (
        f"{tell_errors(case.state)}; both fail far more than the Objective allows"
    ),
    "fit": lambda case: f"{tell_errors(case.state)}; {_fit(case)}",
    "soak": lambda case: f"{tell_errors(case.state)}; soaked as planned without an alarm",
}


# --- Waiting ------------------------------------------------------------------------------------


def _wait(case: _Case) -> Judgement:
    expected = _expected_seconds(case)
    when = "no end in sight at this rate" if expected is None else _in(expected)
    fit = f"fit to promote {strength(case.fit_log)} of {strength(case.fit_threshold)}"
    reason = f"{tell_errors(case.state)}; {fit}, {when}{_default_share(case)}"
    return case.say("Wait", reason, expected_seconds=expected)


def _in(seconds: float) -> str:
    return f"expected in {format_duration(seconds)}"


def _expected_seconds(case: _Case) -> float | None:
    """Extend each alternative's average growth a request to the threshold; take the soonest."""
    done, pace = case.state.canary_requests, case.state.requests_per_second
    if not done or not pace:
        return None
    needed = [
        (case.fit_threshold - math.log(weight) - log) / (log / done)
        for logs, weights in case.claims()
        for log, weight in zip(logs, weights, strict=True)
        if log > 0
    ]
    return round(max(0.0, min(needed)) / pace, 1) if needed else None
