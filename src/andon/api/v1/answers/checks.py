"""Checks from the outside, and what they found."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time

CheckStanding = Literal["passing", "failing", "unsteady", "unknown"]


class CheckView(TypedDict):
    """How a Check stands as one worker sees it."""

    worker: Annotated[str, Meta(description="Who asks; `here`: the installation itself.")]
    standing: CheckStanding
    since: Time
    message: Annotated[str, Meta(description="What the last answer was not; empty: as expected.")]
    lastAt: Time
    seconds: Annotated[float, Meta(description="How long the last one took.")]


class Check(TypedDict):
    """What is asked of a running system again and again."""

    name: str
    kind: Annotated[str, Meta(description="`http`, `steps`, `tcp`, `tls`, `dns` or `browser`.")]
    service: Annotated[str, Meta(description="What it tells something of; empty: nothing of ours.")]
    environment: str
    everySeconds: float
    standing: Annotated[
        CheckStanding, Meta(description="Failing: most of the workers that know say so.")
    ]
    views: list[CheckView]


class CheckResultRow(TypedDict):
    """What came of asking once."""

    worker: str
    at: Time
    passed: bool
    seconds: float
    tries: int
    message: str
    phases: Annotated[dict[str, float], Meta(description="Seconds since it began, by part.")]
    daysLeft: Annotated[float | None, Meta(description="Of a certificate.")]


class CheckHistory(TypedDict):
    """A Check and its newest results."""

    check: Check
    results: Annotated[list[CheckResultRow], Meta(description="Newest first.")]


class CheckOrder(TypedDict):
    """What a worker on another machine is to ask."""

    name: str
    spec: Annotated[str, Meta(description="The Check's spec as JSON.")]


class CheckTaken(TypedDict):
    """What became of results."""

    counted: int
    late: Annotated[int, Meta(description="Were there already, or told as missed.")]
