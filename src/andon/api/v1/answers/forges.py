"""Where commits come from: watched branches and hooks of forges."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Revision, Time
from andon.api.v1.answers.subscriptions import Subscription


class Branch(TypedDict):
    """Names a branch."""

    repository: str
    branch: str


class NewWatch(Branch):
    """A branch whose new commits ship by themselves."""

    intervalSeconds: float


class Watch(NewWatch):
    """A watched branch, with what was last seen of it."""

    sha: str
    message: Annotated[str, Meta(description="Why it cannot be reached; empty: it can.")]


class Hook(TypedDict):
    """A forge that is listened to."""

    name: str
    forge: Literal["github", "gitlab", "gitea"]
    repository: Annotated[str, Meta(description="Address that is shipped.")]
    branches: Annotated[list[str], Meta(description="None: the policy branch.")]
    pullRequests: bool
    api: Annotated[str, Meta(description="Empty: no statuses are reported.")]
    project: str
    url: Annotated[str, Meta(description="Where the forge posts to.")]
    createdBy: str
    createdAt: Time
    revision: Revision


class HookWithSecret(Hook):
    """A hook as it was made or got another secret."""

    secret: NotRequired[Annotated[str, Meta(description="What signs, if made here; shown once.")]]


class HookInFull(Hook):
    """A hook, with how telling its forge goes."""

    statuses: NotRequired[Subscription]


class Delivery(TypedDict):
    """What became of a forge's message."""

    taken: Annotated[bool, Meta(description="A commit is on its way.")]
    reason: NotRequired[Annotated[str, Meta(description="Why nothing was done.")]]
    command: NotRequired[Annotated[str, Meta(description="With which a person may do it.")]]
    change: NotRequired[str]
    sha: NotRequired[str]
    created: NotRequired[bool]
    ref: NotRequired[str]
