"""Alerts: what was seen that somebody should know of, who is told, and what is kept quiet for a while."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from andon.api.v1.words import Name, Record, Spec

Severity = Literal["page", "ticket", "question", "info"]
"""``page``: somebody is woken; ``ticket``: within days; ``question``: what a machine found odd, never a
page; ``info``: for the record."""
SEVERITIES: tuple[Severity, ...] = ("page", "ticket", "question", "info")

# --- records ------------------------------------------------------------------------------------


class AlertSpec(Record, kw_only=True, frozen=True):
    """Something to be known, from when it began to when it is over: one such object each time.

    Args:
        fingerprint: Digest of the sorted labels: of two with the same, one is active at most.
        labels: What it is about, such as ``alertname``, ``service``, ``environment``.
        source: Who says so: ``objective:<name>``, ``alertmanager``, ``pagerduty``, ``anomaly``…
        severity: How soon somebody must look.
        summary: In one line.
        details: Whatever else there is to say.
        links: Where to read more.
        starts_at: When it began, as its source says; seconds since the Unix epoch.
    """

    fingerprint: str
    labels: dict[str, str]
    source: str
    severity: Severity
    summary: str
    details: str = ""
    links: tuple[str, ...] = ()
    starts_at: float = 0


class AlertStatus(Record, kw_only=True, frozen=True):
    """Where an alert stands.

    Args:
        state: ``firing`` until it is ``resolved``; what may yet fire is pending, and no object.
        fired_at: When it was taken in.
        resolved_at: When it was over; 0: it is not.
        resolution: Why it is over.
        told: How often its source told of it.
        told_at: When its source last did.
        unknown_since: Since when its source cannot say any more; 0: it can.
        acknowledged_at: When a person took it on; 0: nobody did.
        acknowledged_by: Who.
        acknowledged_for: What they said.
        notified: When each receiver was last told, by receiver.
        hold: The Hold that it pulled.
    """

    state: Literal["firing", "resolved"] = "firing"
    fired_at: float = 0
    resolved_at: float = 0
    resolution: str = ""
    told: int = 1
    told_at: float = 0
    unknown_since: float = 0
    acknowledged_at: float = 0
    acknowledged_by: str = ""
    acknowledged_for: str = ""
    notified: dict[str, float] = field(default_factory=dict)
    hold: str = ""


class SilenceSpec(Record, kw_only=True, frozen=True):
    """Nobody is told of alerts that match, for a while.

    Args:
        matchers: All must match, such as ``service="shop"``.
        reason: Why.
        by: Who.
        created_at: Seconds since the Unix epoch.
        until: When it ends; always later than it began.
    """

    matchers: tuple[str, ...]
    reason: str
    by: str
    created_at: float
    until: float


class SilenceStatus(Record, kw_only=True, frozen=True):
    """Whether somebody ended it before its time."""

    ended_at: float = 0
    ended_by: str = ""


# --- settings -----------------------------------------------------------------------------------

LONGEST_MATCHER = 500
SecretFile = Annotated[
    str, Meta(pattern=r"^/\S*$", description="Absolute path on the host; its first line counts.")
]
LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Matchers = Annotated[
    tuple[Annotated[str, Meta(min_length=2, max_length=LONGEST_MATCHER)], ...],
    Meta(max_length=20, description='All must match, such as `severity="page"`, `service=~"a|b"`.'),
]


class WebhookReceiver(Spec, kw_only=True, frozen=True):
    """Anything that takes the JSON of Alertmanager's webhooks (version 4)."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$", description="Where; `urlFile` if the address is a secret."
        ),
    ] = ""
    url_file: SecretFile | None = None
    secret_file: Annotated[
        SecretFile | None, Meta(description="What messages are signed with (Standard Webhooks).")
    ] = None


class ReceiverSpec(Spec, kw_only=True, frozen=True):
    """Who is told, in one or several ways."""

    name: Name
    webhook: WebhookReceiver | None = None
    mail: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")], ...],
        Meta(max_length=50, description="Addresses; the installation needs `mail`."),
    ] = ()
    chat_file: Annotated[
        SecretFile | None,
        Meta(description="Holds the address of an incoming webhook as Slack has them."),
    ] = None
    apprise_file: Annotated[
        SecretFile | None,
        Meta(description="Holds Apprise URLs, one a line; needs the extra `notify`."),
    ] = None


class AlertRoute(Spec, kw_only=True, frozen=True):
    """Which alerts go to whom. The first route that matches counts, and those behind it on `goOn`."""

    receivers: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)]
    match: Matchers = ()
    group_by: Annotated[
        tuple[LabelName, ...], Meta(description="Alerts with the same of these are one message.")
    ] = ("environment", "service")
    wait_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Before the first message, for others to join.")
    ] = 10
    interval_seconds: Annotated[
        float, Meta(ge=0, le=86400, description="Before a group that has changed is told again.")
    ] = 300
    repeat_seconds: Annotated[
        float, Meta(ge=60, le=30 * 86400, description="Before a group that has not is told again.")
    ] = 4 * 3600
    go_on: bool = False


class Inhibition(Spec, kw_only=True, frozen=True):
    """While one fires nobody is told of the other: a database of the services that need it, say."""

    source: Annotated[Matchers, Meta(min_length=1)]
    target: Annotated[Matchers, Meta(min_length=1)]
    equal: Annotated[
        tuple[LabelName, ...], Meta(description="Both must have the same of these.")
    ] = ("environment",)


class AlertHold(Spec, kw_only=True, frozen=True):
    """Alerts that pull the cord; it is lifted when they are resolved."""

    match: Annotated[Matchers, Meta(min_length=1)]
    service: Annotated[
        str, Meta(description="What is held; empty: the service that the alert names.")
    ] = ""
    environment: Annotated[str, Meta(description="Where; empty: where the alert says.")] = ""


class AlertsSpec(Spec, kw_only=True, frozen=True):
    """Who is told of alerts, and what they do."""

    receivers: Annotated[tuple[ReceiverSpec, ...], Meta(max_length=100)] = ()
    routes: Annotated[tuple[AlertRoute, ...], Meta(max_length=200)] = ()
    inhibitions: Annotated[tuple[Inhibition, ...], Meta(max_length=200)] = ()
    holds: Annotated[tuple[AlertHold, ...], Meta(max_length=100)] = ()
    interval_seconds: Annotated[float, Meta(ge=1, le=600, description="Between two looks.")] = 15
    questions: Annotated[
        bool, Meta(description="Ask about anomalies and lasting shifts of services.")
    ] = True
    longest_silence_seconds: Annotated[float, Meta(ge=60, le=365 * 86400)] = 30 * 86400.0
    severities: Annotated[
        dict[str, Severity],
        Meta(description="What the severities of other tools come to; others are tickets."),
    ] = field(
        default_factory=lambda: {
            "critical": "page",
            "page": "page",
            "error": "page",
            "warning": "ticket",
            "ticket": "ticket",
            "info": "info",
            "none": "info",
        }
    )
