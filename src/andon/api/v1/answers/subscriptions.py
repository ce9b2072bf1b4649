"""Who outside is told what happens."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Time


class Subscription(TypedDict):
    """Somebody outside who is told what happens."""

    name: str
    url: Annotated[str, Meta(description="Without what may be secret.")]
    types: list[str]
    stream: str
    mode: Literal["structured", "binary"]
    signedWith: Annotated[int, Meta(description="So many secrets sign.")]
    state: Literal["active", "failing", "paused"]
    paused: str
    cursor: int
    lag: Annotated[int, Meta(description="Events to be told, of the next 1000 in the ledger.")]
    lagMore: bool
    waitingSince: Time
    delivered: int
    deliveredAt: Time
    attempts: int
    error: str
    failedAt: Time
    nextAt: Time
    dead: int
    createdAt: Time
    createdBy: str


class SubscriptionWithSecret(Subscription):
    """A subscription as it was made or got another secret."""

    secret: NotRequired[
        Annotated[str, Meta(description="What it is signed with, if made here; shown once.")]
    ]


class UntoldEvent(TypedDict):
    """An event that could not be told."""

    event: str
    error: str
    attempts: int
    at: Time


class SubscriptionWithLetters(Subscription):
    """A subscription with what could not be told."""

    letters: list[UntoldEvent]


class FailedEvent(TypedDict):
    """An event that could not be told this time, either."""

    event: str
    error: str


class Retried(TypedDict):
    """What became of dead letters."""

    delivered: list[str]
    failed: list[FailedEvent]
