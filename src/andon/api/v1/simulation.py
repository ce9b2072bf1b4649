"""Scenarios of the rollout simulator: what traffic comes, and how both versions behave."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.words import Positive, Seconds, Spec

Share = Annotated[float, Meta(ge=0, le=1)]


class Latency(Spec, kw_only=True, frozen=True):
    """How long requests take: lognormal, with slow ones among them."""

    median_seconds: Positive
    spread: Annotated[
        float, Meta(ge=0.01, le=5, description="Standard deviation of the logarithm.")
    ] = 0.6
    slow_share: Annotated[Share, Meta(description="Requests that take `slowSeconds` longer.")] = 0.0
    slow_seconds: Seconds = 1.0
    stalls_per_second: Annotated[
        Share, Meta(description="Chance that one replica stalls, each second.")
    ] = 0.0
    stalled_share: Annotated[
        Share, Meta(description="Of a stalled second's requests: they take half a second longer.")
    ] = 0.3


class Behaviour(Spec, kw_only=True, frozen=True):
    """How a version behaves."""

    errors: Annotated[Share, Meta(description="Share of requests that fail.")] = 0.0
    latency: Latency | None = None


class Stage(Spec, kw_only=True, frozen=True):
    """A weight, for a share of the scenario's time."""

    weight: Annotated[float, Meta(gt=0, le=100, description="Percent of the traffic.")]
    part: Annotated[Positive, Meta(description="Its part of the time, beside the others'.")] = 1.0


class Outage(Spec, kw_only=True, frozen=True):
    """A time during which requests fail."""

    from_minute: Seconds
    minutes: Positive
    errors: Share = 0.9
    arm: Annotated[
        Literal["both", "canary", "stable"], Meta(description="Whose requests fail.")
    ] = "both"


class Storms(Spec, kw_only=True, frozen=True):
    """Bursts of errors that a single client brings about, as it tries again and again."""

    per_second: Annotated[Share, Meta(description="Chance that one begins, each second.")]
    errors: Annotated[float, Meta(ge=1, description="How many errors, on average.")] = 30.0


class Clients(Spec, kw_only=True, frozen=True):
    """Who calls. A client stays with one version as long as the weights do."""

    count: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000
    skew: Annotated[float, Meta(ge=0, le=3, description="0: all call alike; 1: Zipf's law.")] = 0.0
    broken: Annotated[
        int, Meta(ge=0, le=1000, description="So many fail whatever version they meet.")
    ] = 0


class Change(Spec, kw_only=True, frozen=True):
    """A factor that grows or shrinks evenly over the scenario."""

    begin: Seconds = 1.0
    end: Seconds = 1.0


class ScenarioSpec(Spec, kw_only=True, frozen=True):
    """One rollout, to be simulated many times."""

    description: str = ""
    harmful: Annotated[bool, Meta(description="Whether rolling back is right.")]
    promised: Annotated[
        bool, Meta(description="False: outside of what the judge promises; told, not certified.")
    ] = True
    requests_per_second: Annotated[float, Meta(gt=0, le=100_000)] = 100.0
    minutes: Annotated[float, Meta(gt=0, le=1440)] = 30.0
    interval_seconds: Annotated[float, Meta(ge=0.5, le=300)] = 5.0
    plan: Annotated[tuple[Stage, ...], Meta(min_length=1)] = (Stage(weight=10),)
    last_step: Annotated[
        bool, Meta(description="The last stage is the plan's last step, where more is asked.")
    ] = False
    canary: Behaviour
    stable: Annotated[
        Behaviour | None, Meta(description="Left out: a first release, with nothing beside it.")
    ] = None
    fault_after_minutes: Annotated[
        Seconds, Meta(description="Until then the canary behaves as stable does.")
    ] = 0.0
    error_drift: Annotated[Change, Meta(description="Of both versions' errors.")] = Change()
    load_drift: Annotated[Change, Meta(description="Of the requests per second.")] = Change()
    outages: tuple[Outage, ...] = ()
    storms: Storms | None = None
    clients: Clients = Clients()
    judge: JudgePolicy = JudgePolicy()
    objective: ObjectiveSpec | None = None


SCENARIO: dict[str, type[ScenarioSpec]] = {"Scenario": ScenarioSpec}
"""The kind that `andon simulate` reads, by name."""
