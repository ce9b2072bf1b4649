"""What the judge will be able to see: of the next rollout of a service, and of those of a Change."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from andon.api.v1 import answers
from andon.api.v1.control import Selector
from andon.api.v1.definitions import RolloutPolicy
from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.records import (
    BUILD_ONLY,
    TERMINAL,
    ChangeSpec,
    EnvironmentRecordStatus,
    Object,
)
from andon.app.queries import will_be_judged
from andon.app.simulation import OwnJudge
from andon.app.why import find_change
from andon.domains.delivery.plan import environments_in_order, plan_rollout, services_in_order
from andon.domains.delivery.rotation import versions
from andon.domains.reliability.power import (
    Load,
    Seen,
    Way,
    expected_way,
    fewest_errors,
    foresee,
    seconds_at,
)
from andon.kernel.errors import NotFound, UsageError
from andon.ports.store import Tx

ASKED_RISK, EARLY_SECONDS = 3.0, 1.5
"""A tripling should be seen at the first step, and staying there may take half as long again."""

MOST_REMEMBERED = 64


class Coming(Struct, frozen=True, kw_only=True):
    """A rollout that a Change is going to bring.

    Args:
        service: Of what.
        environment: Where.
        policy: Its steps and its judge.
        objective: What is promised of the service there.
    """

    service: str
    environment: str
    policy: RolloutPolicy
    objective: ObjectiveSpec | None


def coming(tx: Tx, name: str) -> tuple[str, list[Coming]]:
    """Return a Change and the rollouts by canary that are still before it, in their order.

    What runs nowhere yet has nothing to be compared with, and no forecast.

    Raises:
        NotFound: There is no such Change.
    """
    change = find_change(tx, name)
    if change is None:
        raise NotFound(f"there is no change {name}", hint="`andon status` lists them")
    spec: ChangeSpec = change.spec
    if change.status.phase in TERMINAL or spec.until == BUILD_ONLY:
        return change.name, []
    way = environments_in_order(spec.environments)
    way = way[: way.index(spec.until) + 1] if spec.until in way else way
    return change.name, [one for place in way for one in _coming_to(tx, change, place)]


def _coming_to(tx: Tx, change: Object, environment: str) -> list[Coming]:
    record, spec = tx.get("Environment", environment), change.spec
    status: EnvironmentRecordStatus = record.status if record else EnvironmentRecordStatus()
    built = tx.list(Selector(kind="Artifact", labels={"change": change.name}))
    digests = {one.spec.service: one.spec.digest for one in built}
    secrets = versions(tx.list(Selector(kind="Secret", labels={"environment": environment})))
    found = []
    for service in services_in_order(spec.services):
        before = tx.get("Run", status.runs.get(service, ""))
        digest = digests.get(service, "")
        plan = plan_rollout(change.name, spec, service, environment, digest, secrets)
        if before is not None and will_be_judged(before.spec.rollout, plan):
            place = {"service": service, "environment": environment}
            found.append(Coming(policy=plan.rollout, objective=plan.objective, **place))
    return found


def coming_of(diff: answers.Diff) -> list[Coming]:
    """Return the rollouts that a ship would bring to an environment."""
    return [
        Coming(
            service=one["service"],
            environment=diff["environment"],
            policy=msgspec.convert(one["judged"]["rollout"], RolloutPolicy),
            objective=msgspec.convert(one["judged"]["objective"], ObjectiveSpec | None),
        )
        for one in diff["services"]
        if one["judged"]
    ]


def last_plan(tx: Tx, service: str, environment: str) -> tuple[RolloutPolicy, ObjectiveSpec | None]:
    """Return how the last rollout of a service went about it."""
    labels = {"service": service, "environment": environment}
    runs = tx.list(Selector(kind="Run", labels=labels), limit=20, newest_first=True)
    plans = [run.spec.rollout for run in runs if run.spec.rollout is not None]
    if not plans:
        raise NotFound(
            f"{service} was never rolled out in {environment}", hint="`andon status` lists services"
        )
    policy: RolloutPolicy = plans[0].rollout
    if policy.strategy != "canary":
        raise UsageError(
            f"rollouts of {service} in {environment} are `rolling`: nothing is judged",
            hint="set `rollout.strategy: canary` in the Environment",
        )
    return policy, plans[0].objective


class Foresight:
    """Forecasts, of which the last are remembered: a rare service's takes a second to work out."""

    def __init__(self) -> None:
        self._known: dict[bytes, answers.JudgeOutlook] = {}

    def forecast(
        self, policy: RolloutPolicy, objective: ObjectiveSpec | None, load: Load
    ) -> answers.JudgeOutlook:
        """Say what is seen at about this load."""
        about = Load(
            requests_per_second=_about(load.requests_per_second),
            error_share=_about(load.error_share),
        )
        key = msgspec.json.encode((policy, objective, about))
        if key not in self._known:
            while len(self._known) >= MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)), None)
            self._known[key] = forecast(policy, objective, about)
        return self._known[key]


def _about(value: float) -> float:
    """Return a number by its first two digits.

    >>> _about(1234.0), _about(0.00123)
    (1200.0, 0.0012)
    """
    return float(f"{value:.2g}")


def forecast(
    policy: RolloutPolicy, objective: ObjectiveSpec | None, load: Load
) -> answers.JudgeOutlook:
    """Say which rise of errors a plan shows, when, and what would help."""
    seen = foresee(OwnJudge, policy, objective, load)
    good = expected_way(OwnJudge, policy, objective, load, 1.0)
    first = policy.steps[0]
    few = fewest_errors(OwnJudge, policy, objective, load, first.weight)
    return {
        "requestsPerSecond": load.requests_per_second,
        "errorShare": load.error_share,
        "goodSeconds": good.seconds if good.end == "Advance" else None,
        "seen": [
            {
                "risk": one.risk,
                "afterSeconds": one.seconds,
                "weight": one.step,
                "failedRequests": one.failed_requests,
            }
            for one in seen
        ],
        "fewestErrors": few,
        "firstWeight": first.weight,
        "advice": _advice(policy, objective, load, good, seen),
    }


def _advice(
    policy: RolloutPolicy,
    objective: ObjectiveSpec | None,
    load: Load,
    good: Way,
    seen: Sequence[Seen],
) -> list[str]:
    """Say what would help, most important first."""
    advice = []
    if good.end != "Advance":
        advice.append(
            f"at {good.step:g} % even a good release gets no verdict in time: give that step more "
            "weight or time, or send it requests"
        )
    tripled = next((one for one in seen if one.risk == ASKED_RISK), None)
    if tripled and tripled.seconds is None:
        advice.append(_to_see(policy, objective, load))
    return advice


def _to_see(policy: RolloutPolicy, objective: ObjectiveSpec | None, load: Load) -> str:
    weights = sorted({step.weight for step in policy.steps if step.weight <= 50})
    needed = {
        weight: seconds
        for weight in weights
        if (seconds := seconds_at(OwnJudge, policy, objective, load, ASKED_RISK, weight))
    }
    if not needed:
        return (
            "a tripling of errors is not seen at any step within six hours: send mirrored or "
            "synthetic load, or judge by a latency or business metric"
        )
    weight = min(needed, key=lambda one: needed[one])
    first = min(needed)
    chosen = first if needed[first] <= EARLY_SECONDS * needed[weight] else weight
    return (
        f"to see a tripling of errors, stay at {chosen:g} %: "
        f"`minSeconds: {round(needed[chosen] * 1.25 / 60) * 60 or 60:g}`"
    )
