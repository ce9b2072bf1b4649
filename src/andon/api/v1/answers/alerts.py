"""Alerts, silences and budgets."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from andon.api.v1.alerts import Severity
from andon.api.v1.answers.fields import Revision, Time
from andon.api.v1.answers.status import Sentence
from andon.api.v1.budgets import BudgetState


class Alert(TypedDict):
    """Something that somebody should know of."""

    name: str
    state: Literal["firing", "resolved"]
    severity: Severity
    summary: str
    source: Annotated[str, Meta(description="Who says so: `objective:shop`, `alertmanager`…")]
    service: str
    environment: str
    labels: dict[str, str]
    fingerprint: str
    startsAt: Time
    firedAt: Time
    resolvedAt: Time
    resolution: str
    told: Annotated[int, Meta(description="How often its source told of it.")]
    unknownSince: Annotated[float, Meta(description="Its source cannot say any more; 0: it can.")]
    acknowledgedAt: Time
    acknowledgedBy: str
    acknowledgedFor: str
    notified: Annotated[dict[str, float], Meta(description="When each receiver was last told.")]
    silencedBy: Annotated[str, Meta(description="The Silence that matches; empty: none does.")]
    inhibitedBy: Annotated[str, Meta(description="The alert that says more; empty: none does.")]
    hold: Annotated[str, Meta(description="The Hold that it pulled.")]
    revision: Revision


class PendingAlert(TypedDict):
    """An alert that burns in its short window only, or may still be chance."""

    objective: str
    name: str
    severity: Severity
    service: str
    environment: str
    summary: str


class RefusedAlert(TypedDict):
    """An alert that an Objective does not have, as it could never fire."""

    objective: str
    environment: str
    name: str
    reason: str


class ActiveAlert(TypedDict):
    """An alert in the words of Prometheus's HTTP API."""

    labels: dict[str, str]
    annotations: dict[str, str]
    state: Literal["firing", "pending"]
    activeAt: Annotated[str, Meta(description="RFC 3339; empty: not known.")]
    value: str
    environment: str


class ActiveAlerts(TypedDict):
    """What Prometheus's `/alerts` answers with."""

    alerts: list[ActiveAlert]


class Alerts(TypedDict):
    """What fires, what may yet, and what was refused."""

    alerts: list[Alert]
    pending: list[PendingAlert]
    refused: list[RefusedAlert]
    evaluatedAt: Annotated[
        float, Meta(description="When Objectives were last looked at; 0: never.")
    ]


class AlertsForAll(Alerts):
    """The same, where tools of Prometheus find theirs in `data`."""

    status: Literal["success"]
    data: ActiveAlerts


class AlertInFull(Alert):
    """An alert with its story."""

    details: str
    links: list[str]
    story: list[Sentence]


class AlertsTaken(TypedDict):
    """What became of another tool's alerts."""

    taken: Annotated[list[str], Meta(description="Their names here.")]
    alerts: Annotated[list[Alert], Meta(description="Those of them that the caller may see.")]


class PagerDutyTaken(TypedDict):
    """What PagerDuty answers to an event."""

    status: Literal["success"]
    message: str
    dedup_key: str


class Silence(TypedDict):
    """Nobody is told of alerts that match, for a while."""

    name: str
    matchers: list[str]
    reason: str
    by: str
    createdAt: Time
    until: Time
    endedAt: Time
    endedBy: str
    inForce: bool
    revision: Revision


class Budget(TypedDict):
    """How the error budgets of a service stand, as a BudgetPolicy sees them."""

    policy: str
    environment: str
    service: str
    state: BudgetState
    since: Time
    remaining: Annotated[float | None, Meta(description="Share that is left; null: not known.")]
    burn: Annotated[float | None, Meta(description="Times faster than allowed; null: not known.")]
    objective: Annotated[str, Meta(description="Whose budget is the worst.")]
    unknownSince: Annotated[float, Meta(description="Since when it cannot be seen; 0: it can.")]
    effects: Annotated[
        dict[str, str], Meta(description="What becomes of which deed; one not named is allowed.")
    ]
    hold: str
    override: Annotated[str, Meta(description="The override in force; empty: none is.")]
    said: Annotated[str, Meta(description="All that in a sentence.")]


class Override(TypedDict):
    """A person has set a BudgetPolicy aside for a while."""

    name: str
    policy: str
    environment: str
    service: str
    by: str
    reason: str
    createdAt: Time
    until: Time
    inForce: bool


class BudgetPolicy(TypedDict):
    """A BudgetPolicy, how its budgets stand, and who has set it aside."""

    name: str
    spec: dict[str, Any]
    budgets: list[Budget]
    overrides: list[Override]
