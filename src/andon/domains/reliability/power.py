"""What a judge will be able to see, before a rollout begins: the same judge, on traffic that is as expected.

Errors arrive evenly, so that what comes out is about the middle of what will happen; the simulator tells
how far it spreads.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from andon.api.v1.definitions import RolloutPolicy, RolloutStep
from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.domains.reliability.looking import Judge, Maker

RISKS = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
INTERVAL_SECONDS = 5.0
WEIGHTS = (5.0, 10.0, 25.0, 50.0)
LONGEST_SECONDS = 6 * 3600.0
MOST_ERRORS = 100
CLIENTS = 1000
"""So many that every error counts as a client's first."""


class Load(Struct, frozen=True, kw_only=True):
    """What a service has to do.

    Args:
        requests_per_second: Of all versions.
        error_share: Of the running version.
    """

    requests_per_second: float
    error_share: float


class Seen(Struct, frozen=True, kw_only=True):
    """When a rise of errors is seen.

    Args:
        risk: So many times the errors of the running version.
        seconds: From the first traffic to the rollback; None: it passes, or is never decided.
        step: Weight of the step at which it is seen; 0: none.
        failed_requests: Requests of users that fail by then, or until the version has everything.
    """

    risk: float
    seconds: float | None
    step: float
    failed_requests: int


class Way(Struct, frozen=True, kw_only=True):
    """How one rollout goes.

    Args:
        end: RollBack, Advance (it gets through), or Wait (a step waits longer than it may).
        seconds: Until then.
        step: Weight of the step where it ends.
        failed_requests: Of the new version until then.
    """

    end: str
    seconds: float
    step: float
    failed_requests: int


class _Arrivals:
    """Turns a steady flow into whole numbers, the first half-way through its time."""

    def __init__(self) -> None:
        self._expected, self._done = 0.5, 0

    def take(self, expected: float) -> int:
        self._expected += expected
        now = int(self._expected) - self._done
        self._done += now
        return now


class Flow:
    """A load, shared between a stable version and one that fails more.

    Args:
        load: What there is to do.
        risk: So many times stable's errors at the canary.
    """

    def __init__(self, load: Load, risk: float) -> None:
        self._load = load
        self._shares = (min(1.0, load.error_share * risk), load.error_share)
        self._arrivals = [(_Arrivals(), _Arrivals()) for _ in self._shares]
        self.failed = 0

    def sample(
        self,
        at: float,
        seconds: float,
        step: RolloutStep,
        *,
        last_step: bool = False,
        soak_done: bool = False,
    ) -> Sample:
        """Return the interval that ends at a moment."""
        weight = min(step.weight, 100.0) / 100
        canary, stable = (
            self._arm(index, share, seconds) for index, share in enumerate((weight, 1 - weight))
        )
        self.failed += canary.errors
        return Sample(
            at=at,
            seconds=seconds,
            weight=step.weight,
            canary=canary,
            stable=stable,
            last_step=last_step,
            soak_done=soak_done,
        )

    def _arm(self, index: int, share: float, seconds: float) -> ArmCounts:
        expected = self._load.requests_per_second * share * seconds
        requests, errors = self._arrivals[index]
        count = requests.take(expected)
        failed = min(count, errors.take(expected * self._shares[index]))
        return ArmCounts(requests=count, errors=failed, client_errors=failed, clients=CLIENTS)


def expected_way(
    maker: Maker, policy: RolloutPolicy, objective: ObjectiveSpec | None, load: Load, risk: float
) -> Way:
    """Follow a rollout through its plan.

    Args:
        maker: Begins the judge.
        policy: The plan.
        objective: What the judge holds it to.
        load: What there is to do.
        risk: So many times the errors of the running version.
    """
    judge, flow = maker(policy.judge, objective, {}), Flow(load, risk)
    at = 0.0
    for step in policy.steps:
        end, seconds = _stay(judge, flow, policy, step, at)
        at += seconds
        if end != "Advance":
            return Way(end=end, seconds=at, step=step.weight, failed_requests=flow.failed)
    return Way(end="Advance", seconds=at, step=policy.steps[-1].weight, failed_requests=flow.failed)


def _stay(
    judge: Judge, flow: Flow, policy: RolloutPolicy, step: RolloutStep, began: float
) -> tuple[str, float]:
    """Stay at a step; how it ends and after how long."""
    last = step is policy.steps[-1]
    for waited in _times(max(step.max_seconds, policy.soak_seconds if last else 0.0)):
        sample = flow.sample(
            began + waited,
            INTERVAL_SECONDS,
            step,
            last_step=last,
            soak_done=last and waited >= policy.soak_seconds,
        )
        if began + waited <= policy.warmup_seconds:
            continue
        verdict = judge.look(sample)
        if verdict == "RollBack" or (verdict == "Advance" and waited >= step.min_seconds):
            return verdict, waited
    return "Wait", step.max_seconds


def _times(longest: float) -> Iterator[float]:
    for index in range(1, int(min(longest, LONGEST_SECONDS) / INTERVAL_SECONDS) + 2):
        yield index * INTERVAL_SECONDS


def foresee(
    maker: Maker,
    policy: RolloutPolicy,
    objective: ObjectiveSpec | None,
    load: Load,
    risks: tuple[float, ...] = RISKS,
) -> list[Seen]:
    """Say when each rise of errors is seen in a plan."""
    ways = [(risk, expected_way(maker, policy, objective, load, risk)) for risk in risks]
    return [
        Seen(
            risk=risk,
            seconds=way.seconds if way.end == "RollBack" else None,
            step=way.step if way.end == "RollBack" else 0.0,
            failed_requests=way.failed_requests,
        )
        for risk, way in ways
    ]


def seconds_at(
    maker: Maker,
    policy: RolloutPolicy,
    objective: ObjectiveSpec | None,
    load: Load,
    risk: float,
    weight: float,
) -> float | None:
    """Return how long one would have to stay at a weight to see a rise; None: more than six hours."""
    judge, flow = maker(policy.judge, objective, {}), Flow(load, risk)
    for at in _times(LONGEST_SECONDS):
        if judge.look(flow.sample(at, INTERVAL_SECONDS, RolloutStep(weight=weight))) == "RollBack":
            return at
    return None


def fewest_errors(
    maker: Maker, policy: RolloutPolicy, objective: ObjectiveSpec | None, load: Load, weight: float
) -> int | None:
    """Return how many errors of the canary alone roll it back at once, while stable has none."""
    for errors in range(1, MOST_ERRORS + 1):
        judge = maker(policy.judge, objective, {})
        requests = max(2 * errors, round(load.requests_per_second * INTERVAL_SECONDS))
        canary = max(errors, round(requests * weight / 100))
        sample = Sample(
            at=INTERVAL_SECONDS,
            seconds=INTERVAL_SECONDS,
            weight=weight,
            canary=ArmCounts(requests=canary, errors=errors, client_errors=errors, clients=CLIENTS),
            stable=ArmCounts(requests=round(canary * (100 - weight) / weight), clients=CLIENTS),
        )
        if judge.look(sample) == "RollBack":
            return errors
    return None
