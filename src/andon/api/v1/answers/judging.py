"""Rollouts decided again, and the next one foreseen."""

from __future__ import annotations

from typing import Annotated, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time
from andon.api.v1.answers.status import Diff


class JudgeDecision(TypedDict):
    """What was claimed of a step, and what comes out when it is decided again."""

    step: str
    sample: Annotated[int, Meta(description="So many counts had been seen.")]
    at: Time
    verdict: str
    reason: str
    verdictNow: str
    reasonNow: str
    same: Annotated[bool, Meta(description="Byte for byte.")]


class JudgeBeside(TypedDict):
    """What a rule would have made of a rollout."""

    judge: str
    verdict: Annotated[str, Meta(description="RollBack, or what it said at the end.")]
    rollbackAfterSeconds: float | None
    failedRequests: Annotated[int, Meta(description="Of the new version, until then.")]


class JudgeReplay(TypedDict):
    """A rollout, decided again from its stored counts."""

    run: str
    service: str
    environment: str
    samples: int
    rules: Annotated[int, Meta(description="Edition of the rules it was decided by.")]
    same: Annotated[bool, Meta(description="All that was decided comes out again.")]
    sameState: Annotated[
        bool, Meta(description="So does all that the judge remembered at the end.")
    ]
    decisions: list[JudgeDecision]
    judges: Annotated[list[JudgeBeside], Meta(description="Andon's own first.")]


class JudgeSight(TypedDict):
    """When a rise of errors would be seen."""

    risk: Annotated[float, Meta(description="So many times the errors of the running version.")]
    afterSeconds: Annotated[float | None, Meta(description="null: it passes in this plan.")]
    weight: Annotated[float, Meta(description="Of the step at which it is seen; 0: none.")]
    failedRequests: int


class JudgedPlace(TypedDict):
    """Where a service is rolled out."""

    service: str
    environment: str


class JudgeOutlook(TypedDict):
    """What the judge will be able to see by a plan, at a load."""

    requestsPerSecond: float
    errorShare: float
    goodSeconds: Annotated[
        float | None, Meta(description="A good release takes so long; null: it waits for a person.")
    ]
    seen: list[JudgeSight]
    fewestErrors: Annotated[
        int | None,
        Meta(description="So many of the new version alone can roll it back at the first step."),
    ]
    firstWeight: float
    advice: list[str]


class JudgeForecast(JudgedPlace, JudgeOutlook):
    """What the judge will be able to see in the next rollout of a service."""


class RolloutForecast(JudgedPlace):
    """What the judge will be able to see in one of the rollouts that a Change brings."""

    forecast: Annotated[
        JudgeForecast | None, Meta(description="At the traffic of the last hour; null: unknown.")
    ]
    unknown: Annotated[str, Meta(description="Why nothing can be said; empty: it is.")]


class ChangeForecast(TypedDict):
    """What the judge will be able to see of a Change."""

    change: str
    rollouts: Annotated[
        list[RolloutForecast],
        Meta(description="Those by canary that are still before it, in their order."),
    ]


class DiffForeseen(Diff):
    """What a ship would change in an environment, and what the judge would see of it."""

    forecasts: list[RolloutForecast]


class JudgeRound(TypedDict):
    """One look of the judge. Counts are of the whole rollout so far."""

    at: Time
    weight: Annotated[float, Meta(description="Percent of the traffic that the new version had.")]
    verdict: str
    reason: str
    harmLog: Annotated[float, Meta(description="Largest evidence of harm so far, as a logarithm.")]
    fitLog: Annotated[float, Meta(description="Evidence that it is fit for the next step.")]
    canaryRequests: int
    canaryErrors: int
    stableRequests: int
    stableErrors: int


class JudgeRounds(TypedDict):
    """A rollout as its judge saw it."""

    run: str
    service: str
    environment: str
    harmThreshold: Annotated[float, Meta(description="Evidence of harm beyond rolls it back.")]
    fitThreshold: Annotated[float, Meta(description="Evidence that it is fit beyond lets it on.")]
    looks: int
    rounds: Annotated[
        list[JudgeRound], Meta(description="Of more than 600 looks those that said something new.")
    ]
