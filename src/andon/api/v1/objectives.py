"""What users may expect of a service: the kind ``Objective``.

OpenSLO documents are read into the same form (``andon.api.openslo``), so that everything behind it knows
one.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from andon.api.v1.alerts import Severity
from andon.api.v1.words import Name, Positive, Ratio, Record, Spec

Operator = Literal["lt", "lte", "gt", "gte"]
Budgeting = Literal["Occurrences", "Timeslices", "RatioTimeslices"]
Length = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]+[mhdwMQY]$", description="A length of time, such as `30d`, `4w` or `1M`."
    ),
]
Moment = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$",
        description="A day or a moment, in the time zone named beside it.",
    ),
]
PromQL = Annotated[str, Meta(max_length=10_000)]
Description = Annotated[str, Meta(max_length=1050)]


class LatencyObjective(Spec, kw_only=True, frozen=True):
    """Share of requests that must be faster than a limit."""

    threshold_seconds: Positive
    target: Ratio


class GatewayIndicator(Spec, kw_only=True, frozen=True):
    """Requests, as the gateway counted them."""

    measure: Annotated[
        Literal["availability", "latency"],
        Meta(
            description="`availability`: answered without a server error; `latency`: answered in time."
        ),
    ] = "availability"
    threshold_seconds: Annotated[Positive, Meta(description="For `latency`: in time.")] | None = (
        None
    )


class MetricsIndicator(Spec, kw_only=True, frozen=True):
    """Events counted by metrics, or a value that metrics tell, in PromQL.

    A plain selector, also within `sum(…)`, `rate(…[…])` or `increase(…[…])`, is counted exactly; any
    other expression is asked for its value again and again.
    """

    good: Annotated[PromQL, Meta(description="Counts events that were good.")] = ""
    bad: Annotated[PromQL, Meta(description="Counts events that were bad.")] = ""
    total: Annotated[PromQL, Meta(description="Counts all events.")] = ""
    raw: Annotated[PromQL, Meta(description="Tells a share by itself, 0 to 1.")] = ""
    raw_type: Annotated[
        Literal["success", "failure"], Meta(description="What share `raw` tells.")
    ] = "success"
    value: Annotated[
        PromQL, Meta(description="Tells a value, good or bad by `op` and `value` of the target.")
    ] = ""
    source: Annotated[
        str, Meta(max_length=200, description="Where the metrics are; empty or `Prometheus`: here.")
    ] = ""


class ChecksIndicator(Spec, kw_only=True, frozen=True):
    """Results of synthetic Checks; one that was missed is unknown."""

    names: Annotated[tuple[Name, ...], Meta(min_length=1, description="Which Checks.")]


class LogsIndicator(Spec, kw_only=True, frozen=True):
    """Log lines of the service, by their labels."""

    bad: Annotated[
        dict[str, str],
        Meta(min_length=1, description="Labels of a bad line, such as `severity: error`."),
    ]
    total: Annotated[dict[str, str], Meta(description="Labels of all lines that count.")] = field(
        default_factory=dict
    )


class Indicator(Spec, kw_only=True, frozen=True):
    """What is measured: one of these."""

    gateway: GatewayIndicator | None = None
    metrics: MetricsIndicator | None = None
    checks: ChecksIndicator | None = None
    logs: LogsIndicator | None = None


class Target(Spec, kw_only=True, frozen=True):
    """A level that is promised."""

    target: Annotated[Ratio, Meta(description="Share that must be good.")]
    name: Annotated[str, Meta(max_length=63, description="What people call it.")] = ""
    op: Annotated[
        Operator | None, Meta(description="For a value: good while it is so against `value`.")
    ] = None
    value: Annotated[float, Meta(ge=-1e300, le=1e300)] | None = None
    time_slice_target: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="For Timeslices: share that makes a slice good; below `target`."),
    ] = None
    time_slice_window: Annotated[Length | None, Meta(description="How long a slice is.")] = None
    indicator: Annotated[
        Indicator | None, Meta(description="Measured by itself: the Objective is composite.")
    ] = None
    weight: Annotated[Positive, Meta(description="Its share in a composite Objective.")] = 1.0


class Calendar(Spec, kw_only=True, frozen=True):
    """Windows that follow the calendar: one begins where another ends."""

    start: Annotated[Moment, Meta(description="When a window began.")]
    time_zone: Annotated[str, Meta(min_length=1, description="As the IANA names it.")] = "UTC"


class Exclusion(Spec, kw_only=True, frozen=True):
    """Time that does not count in a report, as was agreed before."""

    start: Moment
    end: Moment
    reason: Annotated[str, Meta(min_length=1, max_length=300)]
    agreed: Annotated[
        Moment, Meta(description="When it was agreed: before it began, or it does not count.")
    ]
    time_zone: Annotated[str, Meta(min_length=1)] = "UTC"


class BurnAlert(Spec, kw_only=True, frozen=True):
    """An alert of its own, besides those that follow from target and window."""

    name: Name
    burn: Annotated[
        float,
        Meta(
            gt=0,
            le=1e6,
            description="Fires while the budget burns more than so many times too fast.",
        ),
    ]
    window: Annotated[Length, Meta(description="In which that is counted.")]
    severity: Severity = "ticket"
    after: Annotated[Length | None, Meta(description="For so long it must have been so.")] = None
    receivers: Annotated[
        tuple[Name, ...],
        Meta(
            max_length=20,
            description="Receivers of the installation by name; empty, or one is not there: as routed.",
        ),
    ] = ()
    description: Description = ""


class ObjectiveSpec(Spec, kw_only=True, frozen=True):
    """What users may expect of a service (an SLO)."""

    service: Name
    availability: Annotated[
        Ratio | None, Meta(description="Share of requests answered without a server error.")
    ] = None
    latency: LatencyObjective | None = None
    window: Annotated[
        Length,
        Meta(description="How long the promise holds: the last so much time, such as `30d`."),
    ] = "30d"
    calendar: Annotated[
        Calendar | None, Meta(description="Windows of the calendar instead of a rolling one.")
    ] = None
    description: Description = ""
    environments: Annotated[
        tuple[Name, ...],
        Meta(description="Where it holds; empty: in each environment that the service runs in."),
    ] = ()
    indicator: Annotated[Indicator | None, Meta(description="What `targets` are about.")] = None
    budgeting: Annotated[
        Budgeting,
        Meta(
            description="`Occurrences` counts events; `Timeslices` counts slices of time that were good; "
            "`RatioTimeslices` adds up the shares of the slices."
        ),
    ] = "Occurrences"
    targets: Annotated[tuple[Target, ...], Meta(max_length=20)] = ()
    min_coverage: Annotated[
        float,
        Meta(gt=0, le=1, description="Where less of the window was observed, it is unknown."),
    ] = 0.9
    silence_seconds: Annotated[
        float, Meta(ge=30, le=86400, description="Nothing heard for so long: unknown, and told.")
    ] = 300
    exclusions: Annotated[tuple[Exclusion, ...], Meta(max_length=1000)] = ()
    alerts: Annotated[
        tuple[BurnAlert, ...],
        Meta(max_length=20, description="Besides those that follow from target and window."),
    ] = ()
    pages: Annotated[
        bool, Meta(description="Whether somebody is woken; `false`: tickets are all there is.")
    ] = True


class RuleStatus(Record, kw_only=True, frozen=True):
    """Where a rule that what watches goes by came from; how it stands is told by telemetry.

    Args:
        repository: Whose policy branch.
        revision: Commit that it was read from.
        taken_at: When it first said what it says now, seconds since the Unix epoch.
        known: When parts of it were first known here, such as exclusions.
    """

    repository: str = ""
    revision: str = ""
    taken_at: float = 0
    known: dict[str, float] = field(default_factory=dict)
