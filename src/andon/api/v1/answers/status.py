"""What is, and why."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from andon.api.v1.answers.fields import Command, Time
from andon.api.v1.answers.line import Approval, Change, Hold, Run, VersionOf
from andon.api.v1.records import Verdict


class Canary(TypedDict):
    """A version that is being rolled out."""

    version: VersionOf
    run: Run


class Replicas(TypedDict):
    """How many processes serve."""

    ready: int
    wanted: int


class ServiceRow(TypedDict):
    """A service in an environment."""

    environment: str
    service: str
    address: str
    version: VersionOf
    phase: Annotated[str, Meta(description="Of the newest Run there; empty: there was none.")]
    weight: Annotated[float, Meta(description="Percent of the traffic that `version` has.")]
    canary: Canary | None
    replicas: Replicas
    holds: list[Hold]
    message: Annotated[str, Meta(description="Why it is not as desired; empty: it is.")]


class Agent(TypedDict, total=False):
    """The agent of the host, or why it does not answer."""

    version: str
    pid: int
    epoch: int
    startedAt: Time
    rssBytes: int
    jobs: list[str]
    error: str


class Status(TypedDict):
    """What runs where, and what moves."""

    environments: Annotated[list[str], Meta(description="In order of promotion.")]
    services: list[ServiceRow]
    changes: Annotated[list[Change], Meta(description="The newest ones, the newest first.")]
    runs: Annotated[list[Run], Meta(description="Those that have not ended.")]
    holds: list[Hold]
    paused: Annotated[str, Meta(description="Why no work is begun; empty: it is.")]
    problems: Annotated[dict[str, str], Meta(description="What goes wrong, with the reason.")]
    agent: Agent
    gateway: dict[str, Any]


class Missing(TypedDict):
    """Evidence that a gate waits for."""

    check: str
    environment: str
    reason: str
    since: Time
    opens: Command
    person: Annotated[bool, Meta(description="Only a person can provide it.")]


class Sentence(TypedDict):
    """One thing that happened, in words."""

    at: Time
    text: str
    id: Annotated[str, Meta(description="Of the event in the ledger.")]


class Evidence(TypedDict):
    """A claim about a subject."""

    name: str
    check: str
    verdict: Verdict
    message: str
    source: str
    observedAt: Time


class Why(TypedDict):
    """What holds a subject, and what would open it."""

    subject: str
    kind: Literal["run", "change", "environment", "service", "digest"]
    open: bool
    summary: str
    missing: list[Missing]
    holds: list[Hold]
    approvals: list[Approval]
    story: list[Sentence]
    evidence: list[Evidence]


FieldChange = TypedDict("FieldChange", {"field": str, "from": Any, "to": Any})
FieldChange.__doc__ = "A field that would be different."


class JudgedPlan(TypedDict):
    """By what a rollout would be judged."""

    rollout: Annotated[dict[str, Any], Meta(description="As an Environment writes it.")]
    objective: Annotated[dict[str, Any] | None, Meta(description="As its Objective writes it.")]


ServiceChange = TypedDict(
    "ServiceChange",
    {
        "service": str,
        "from": VersionOf | None,
        "to": VersionOf | None,
        "changes": list[FieldChange],
        "judged": Annotated[
            JudgedPlan | None,
            Meta(description="Of another version, by canary; null: nothing is judged."),
        ],
    },
)
ServiceChange.__doc__ = "What would be different of a service."


class Diff(TypedDict):
    """What a ship would change in an environment."""

    environment: str
    services: list[ServiceChange]


class ScheduleRow(TypedDict):
    """Something that is built again by the clock."""

    schedule: str
    repository: str
    pipeline: str
    cron: str
    timezone: str
    missed: Annotated[str, Meta(description="What becomes of times that were missed.")]
    nextAt: Time
    nextLocal: Annotated[str, Meta(description="ISO 8601, in its own zone; empty: not known.")]
    lastAt: Time
    lastRun: str
    lastPhase: str
    lastMessage: str
    missedCount: int


class Metadata(TypedDict):
    """Who an object is."""

    name: str
    uid: str
    generation: int
    labels: dict[str, str]


class Document(TypedDict):
    """A stored object, as documents are written."""

    apiVersion: Literal["andon/v1"]
    kind: str
    metadata: Metadata
    spec: dict[str, Any]
    status: dict[str, Any]


class Health(TypedDict):
    """Whether Andon answers; all but ``ok`` for those who may look only."""

    ok: bool
    version: NotRequired[str]
    state: NotRequired[str]
    pid: NotRequired[int]
    epoch: NotRequired[int]
    startedAt: NotRequired[Time]
    problems: NotRequired[dict[str, str]]
    agent: NotRequired[Agent]
    gateway: NotRequired[dict[str, Any]]
