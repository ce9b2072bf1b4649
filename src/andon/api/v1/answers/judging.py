"""Rollouts decided again, and the next one foreseen."""

from __future__ import annotations

from typing import Annotated, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time


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


class JudgeForecast(TypedDict):
    """What the judge will be able to see in the next rollout of a service."""

    service: str
    environment: str
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
