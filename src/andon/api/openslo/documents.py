"""The seven kinds of OpenSLO v1, field by field.

Source: the OpenSLO specification v1 and its reference implementation (OpenSLO/go-sdk).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from andon.api.v1.objectives import Budgeting, Operator
from andon.api.v1.words import Spec

API_VERSION = "openslo/v1"
OTHER_VERSIONS = ("openslo/v1alpha", "openslo.com/v2alpha")

Description = Annotated[str, Meta(max_length=1050)]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+[mhdwMQY]$")]
Required = Annotated[str, Meta(min_length=1)]


class DocumentMetadata(Spec, kw_only=True, frozen=True):
    """What a document is called."""

    name: Required
    display_name: Annotated[str, Meta(max_length=63)] = ""
    labels: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


class MetricSource(Spec, kw_only=True, frozen=True):
    """Where a metric is, and what to ask."""

    spec: Annotated[dict[str, Any], Meta(min_length=1)]
    metric_source_ref: str = ""
    type: str = ""


class Metric(Spec, kw_only=True, frozen=True):
    """A metric."""

    metric_source: MetricSource


class RatioMetric(Spec, kw_only=True, frozen=True):
    """Good or bad events among all, or a share by itself."""

    counter: bool = False
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw_type: Literal["success", "failure"] | None = None
    raw: Metric | None = None


class SliSpec(Spec, kw_only=True, frozen=True):
    """An indicator."""

    description: Description = ""
    threshold_metric: Metric | None = None
    ratio_metric: RatioMetric | None = None


class InlineSli(Spec, kw_only=True, frozen=True):
    """An indicator within another document."""

    metadata: DocumentMetadata
    spec: SliSpec


class CalendarSpec(Spec, kw_only=True, frozen=True):
    """When windows of a calendar begin."""

    start_time: Required
    time_zone: Required


class TimeWindow(Spec, kw_only=True, frozen=True):
    """What the target is kept over."""

    duration: Duration
    is_rolling: bool = False
    calendar: CalendarSpec | None = None


class SloObjective(Spec, kw_only=True, frozen=True):
    """A target."""

    display_name: str = ""
    op: Operator | None = None
    value: float | None = None
    target: Annotated[float, Meta(ge=0, lt=1)] | None = None
    target_percent: Annotated[float, Meta(ge=0, lt=100)] | None = None
    time_slice_target: Annotated[float, Meta(gt=0, le=1)] | None = None
    time_slice_window: Duration | None = None
    indicator: InlineSli | None = None
    indicator_ref: str | None = None
    composite_weight: Annotated[float, Meta(gt=0)] | None = None


class Burnrate(Spec, kw_only=True, frozen=True):
    """A condition on the burn of one window."""

    kind: Literal["burnrate"]
    op: Operator
    threshold: float
    lookback_window: Duration
    alert_after: Duration | None = None


class AlertConditionSpec(Spec, kw_only=True, frozen=True):
    """When to alert."""

    severity: Required
    condition: Burnrate
    description: Description = ""


class AlertNotificationTargetSpec(Spec, kw_only=True, frozen=True):
    """Whom to alert."""

    target: Required
    description: Description = ""


class PolicyCondition(Spec, kw_only=True, frozen=True):
    """A condition by name, or written out."""

    condition_ref: str | None = None
    kind: Literal["AlertCondition"] | None = None
    metadata: DocumentMetadata | None = None
    spec: AlertConditionSpec | None = None


class PolicyTarget(Spec, kw_only=True, frozen=True):
    """A notification target by name, or written out."""

    target_ref: str | None = None
    kind: Literal["AlertNotificationTarget"] | None = None
    metadata: DocumentMetadata | None = None
    spec: AlertNotificationTargetSpec | None = None


class AlertPolicySpec(Spec, kw_only=True, frozen=True):
    """When and whom to alert."""

    description: Description = ""
    alert_when_no_data: bool = False
    alert_when_breaching: bool = False
    alert_when_resolved: bool = False
    conditions: tuple[PolicyCondition, ...] = ()
    notification_targets: tuple[PolicyTarget, ...] = ()


class SloPolicy(Spec, kw_only=True, frozen=True):
    """An alert policy by name, or written out."""

    alert_policy_ref: str | None = None
    kind: Literal["AlertPolicy"] | None = None
    metadata: DocumentMetadata | None = None
    spec: AlertPolicySpec | None = None


class SloSpec(Spec, kw_only=True, frozen=True):
    """A promise."""

    service: Required
    description: Description = ""
    indicator: InlineSli | None = None
    indicator_ref: str | None = None
    budgeting_method: Budgeting | None = None
    time_window: tuple[TimeWindow, ...] = ()
    objectives: tuple[SloObjective, ...] = ()
    alert_policies: tuple[SloPolicy, ...] = ()


class DataSourceSpec(Spec, kw_only=True, frozen=True):
    """Where metrics are."""

    type: Required
    connection_details: Any
    description: Description = ""


class ServiceSpec(Spec, kw_only=True, frozen=True):
    """A service."""

    description: Description = ""


KINDS: dict[str, type[Struct]] = {
    "DataSource": DataSourceSpec,
    "SLO": SloSpec,
    "SLI": SliSpec,
    "AlertPolicy": AlertPolicySpec,
    "AlertCondition": AlertConditionSpec,
    "AlertNotificationTarget": AlertNotificationTargetSpec,
    "Service": ServiceSpec,
}
"""Types of spec by kind."""


class Document(Struct, frozen=True, kw_only=True):
    """A parsed OpenSLO document."""

    kind: str
    metadata: DocumentMetadata
    spec: Any
    file: str = ""
    line: int = 0
