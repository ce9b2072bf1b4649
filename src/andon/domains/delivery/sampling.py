"""Turns cumulative counts of the gateway into samples for the judge."""

from __future__ import annotations

import msgspec

from andon.api.v1.actions import Counts, TrafficObserved
from andon.api.v1.definitions import RolloutStep
from andon.api.v1.samples import ArmCounts, MetricCounts, Sample
from andon.domains.delivery.rollout import Rollout


def plan_of(rollout: Rollout, step: str) -> tuple[RolloutStep, bool]:
    """Return the step's plan and whether it is the last one."""
    steps = rollout.plan.rollout.steps
    weight = float(step.removeprefix("canary-"))
    found = next((plan for plan in steps if plan.weight == weight), steps[-1])
    return found, found is steps[-1]


def counts_of(rollout: Rollout, seen: TrafficObserved, *, stable: bool) -> Counts | None:
    """Return the cumulative counts of one arm; None for the stable arm of a first release."""
    if not stable:
        return seen.versions.get(rollout.plan.version.key, Counts())
    if rollout.previous is None:
        return None
    return seen.versions.get(rollout.previous.key, Counts())


def remember(rollout: Rollout, seen: TrafficObserved) -> None:
    """Keep an observation as the baseline of the next sample."""
    arms = {"canary": counts_of(rollout, seen, stable=False)}
    arms["stable"] = counts_of(rollout, seen, stable=True)
    rollout.memory["last"] = {
        "at": seen.at,
        "source": seen.source,
        "arms": msgspec.to_builtins(arms, str_keys=True),
        "metrics": {name: _gained(rollout, seen, name) for name in seen.metrics},
    }


def next_sample(rollout: Rollout, step: str, seen: TrafficObserved) -> Sample | None:
    """Return what happened since the last look; None when the counters began anew."""
    last = rollout.memory["last"]
    if last["source"] != seen.source or seen.at <= last["at"]:
        return None
    before = msgspec.convert(last["arms"], dict[str, Counts | None], str_keys=True, strict=False)
    canary = _delta(before["canary"], counts_of(rollout, seen, stable=False))
    if canary is None:
        return None
    stable = _delta(before["stable"], counts_of(rollout, seen, stable=True))
    _, last_step = plan_of(rollout, step)
    soak = rollout.plan.rollout.soak_seconds
    return Sample(
        at=seen.at,
        seconds=seen.at - last["at"],
        weight=rollout.status.weight,
        canary=canary,
        stable=stable,
        last_step=last_step,
        soak_done=last_step and rollout.now - rollout.memory["since"] >= soak,
        restarts=rollout.memory.get("restarts", 0),
        consistent=seen.consistent,
        metrics=_metrics(rollout, seen),
    )


def _gained(rollout: Rollout, seen: TrafficObserved, name: str) -> list[float]:
    """Return what a metric gained at the canary and at stable, each with its occasions."""
    versions = seen.metrics[name]
    previous = rollout.previous.key if rollout.previous else ""
    nothing = (0.0, 0.0)
    return [
        *versions.get(rollout.plan.version.key, nothing),
        *versions.get(previous, nothing),
    ]


def _metrics(rollout: Rollout, seen: TrafficObserved) -> dict[str, MetricCounts]:
    """Return what metrics did since the last look; those that were not known at both are left out."""
    before = rollout.memory["last"].get("metrics", {})
    found = {}
    for name in seen.metrics:
        now = _gained(rollout, seen, name)
        grown = [one - then for one, then in zip(now, before.get(name, ()), strict=False)]
        if len(grown) == len(now) and min(grown) >= 0:
            found[name] = MetricCounts(*grown)
    return found


def _delta(before: Counts | None, after: Counts | None) -> ArmCounts | None:
    if before is None or after is None:
        return None
    latency = {
        bucket: count - before.latency.get(bucket, 0)
        for bucket, count in sorted(after.latency.items())
        if count > before.latency.get(bucket, 0)
    }
    attributed = after.attributed_errors - before.attributed_errors
    return ArmCounts(
        requests=max(0, after.requests - before.requests),
        errors=max(0, after.errors - before.errors + attributed),
        client_errors=max(0, after.client_errors - before.client_errors + attributed),
        clients=after.clients,
        latency=latency,
        half=_half(before, after),
    )


def _half(before: Counts, after: Counts) -> tuple[int, int, int]:
    """Return what one half of the clients did; nothing if an agent of before does not tell."""
    grown = [now - then for now, then in zip(after.half, before.half, strict=True)]
    requests, errors, client_errors = (max(0, one) for one in grown)
    return requests, errors, client_errors
