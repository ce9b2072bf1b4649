"""What the API answers about objectives."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

Share = Annotated[float | None, Meta(description="A share, 1 being all; null: no data.")]
Seconds = Annotated[float, Meta(description="Seconds since the Unix epoch, UTC; 0: never.")]
State = Literal["met", "missed", "unknown"]


class Standing(TypedDict):
    """How one promise stands in one environment."""

    id: Annotated[str, Meta(description="`objective/environment/target`.")]
    objective: str
    name: Annotated[str, Meta(description="Which of its targets; `composite`: all together.")]
    service: str
    environment: str
    default: Annotated[bool, Meta(description="Nobody wrote it: every Service has it.")]
    target: float
    budgeting: str
    window: str
    timeZone: Annotated[str, Meta(description="Of calendar windows; empty: it is a rolling one.")]
    begin: Seconds
    end: Seconds
    state: State
    reason: str
    message: str
    silent: Annotated[bool, Meta(description="It spoke once, and nothing is heard any more.")]
    bad: float
    total: float
    errorRate: Share
    remaining: Annotated[
        float | None,
        Meta(description="Share of the budget left, below 0: overdrawn; null: no data."),
    ]
    burn: Annotated[
        float | None,
        Meta(description="In the last hour, 1 being as fast as allowed; null: no data."),
    ]
    emptySeconds: Annotated[
        float | None,
        Meta(description="Until nothing is left at this burn; null: never, or no data."),
    ]
    coverage: Annotated[float, Meta(description="Share of the window that was observed.")]
    since: Seconds
    heardAt: Seconds
    spark: Annotated[
        list[float | None], Meta(description="The budget left in the last day, oldest first.")
    ]


class Board(TypedDict):
    """All promises, those to look at first before others."""

    at: Annotated[float, Meta(description="When they were last evaluated.")]
    objectives: list[Standing]


class HistoryPoint(TypedDict):
    """How a promise stood at a moment."""

    at: float
    state: State
    remaining: float | None
    burn: float | None


class CountPoint(TypedDict):
    """What was counted until a moment, since the one before."""

    at: float
    bad: float
    total: float
    coverage: float


class AlertOf(TypedDict):
    """An alert that a promise has."""

    name: str
    severity: str
    burn: Annotated[float, Meta(description="Fires above it.")]
    windowSeconds: float
    shortSeconds: Annotated[float, Meta(description="It must burn as fast in these, too.")]
    afterSeconds: Annotated[float, Meta(description="For so long it must have been so.")]
    own: Annotated[bool, Meta(description="The document says so; the others follow from it.")]
    receivers: Annotated[list[str], Meta(description="Who is told; empty: as routed.")]
    unknown: Annotated[
        list[str],
        Meta(description="Receivers that this installation has not: it is told as routed."),
    ]


class AlertLost(TypedDict):
    """An alert that a promise has not, and why."""

    name: str
    reason: str


class Told(TypedDict):
    """A promise with its history."""

    standing: Standing
    history: list[HistoryPoint]
    counts: list[CountPoint]
    alerts: list[AlertOf]
    refused: Annotated[
        list[AlertLost], Meta(description="Alerts that could never fire: there are none.")
    ]


class Objective(TypedDict):
    """An Objective: all its promises."""

    name: str
    promises: list[Told]


class Excused(TypedDict):
    """Time that was agreed not to count."""

    begin: float
    end: float
    reason: str
    counts: bool
    because: Annotated[str, Meta(description="Why it counts all the same; empty: it does not.")]


class ReportLine(TypedDict):
    """How a promise was kept in a period."""

    id: str
    objective: str
    name: str
    service: str
    environment: str
    default: bool
    target: float
    state: State
    achieved: Share
    bad: float
    total: float
    coverage: Annotated[float, Meta(description="Share that was observed since counting began.")]
    since: Annotated[float, Meta(description="When that was, if within the period.")]
    spent: Annotated[float | None, Meta(description="Share of the period's budget.")]
    excused: list[Excused]
    excusedSeconds: float


class Report(TypedDict):
    """How promises were kept in a period."""

    begin: float
    end: float
    madeAt: float
    lines: list[ReportLine]


class Exported(TypedDict):
    """Objectives as OpenSLO documents."""

    text: str
    notes: Annotated[list[str], Meta(description="What OpenSLO has no field for.")]
