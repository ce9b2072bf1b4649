"""What an installation is told of telemetry: where metrics come from, and how long what is seen is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from andon.api.v1.alerts import AlertsSpec
from andon.api.v1.words import Name, Positive, Spec

Days = Annotated[float, Meta(gt=0, le=3660)]
LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Relabel(Spec, kw_only=True, frozen=True):
    """One relabelling rule, as Prometheus knows it."""

    action: Literal[
        "replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep", "hashmod", "lowercase",
        "uppercase", "keepequal", "dropequal",
    ] = "replace"  # fmt: skip
    source_labels: tuple[LabelName, ...] = ()
    separator: str = ";"
    regex: Annotated[str, Meta(max_length=1000, description="Anchored at both ends.")] = "(.*)"
    target_label: str = ""
    replacement: str = "$1"
    modulus: Annotated[int, Meta(ge=0)] = 0


class ScrapeTarget(Spec, kw_only=True, frozen=True):
    """An endpoint that tells metrics in the Prometheus or OpenMetrics text format."""

    url: Annotated[str, Meta(pattern=r"^https?://\S+$")]
    job: Name
    labels: Annotated[dict[LabelName, str], Meta(max_length=30)] = field(default_factory=dict)
    interval_seconds: Annotated[float, Meta(ge=1, le=3600)] = 15
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 10
    sample_limit: Annotated[int, Meta(ge=1, description="A scrape of more is refused whole.")] = (
        20_000
    )
    relabel: Annotated[
        tuple[Relabel, ...], Meta(description="Applied to each sample's labels.")
    ] = ()


class RecordingRule(Spec, kw_only=True, frozen=True):
    """A series computed from others, again and again."""

    record: Annotated[str, Meta(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    expr: Annotated[str, Meta(min_length=1, max_length=10_000)]
    labels: dict[LabelName, str] = field(default_factory=dict)
    interval_seconds: Annotated[float, Meta(ge=1, le=3600)] = 60


class MetricsSpec(Spec, kw_only=True, frozen=True):
    """Metrics."""

    targets: tuple[ScrapeTarget, ...] = ()
    rules: tuple[RecordingRule, ...] = ()
    interval_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="Between scrapes of services and of the gateway.")
    ] = 15
    keep_days: Annotated[Days, Meta(description="Samples older than this are forgotten.")] = 400
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 4 << 30
    max_series: Annotated[
        int, Meta(ge=100, description="Series that live at once; a new one beyond is refused.")
    ] = 50_000
    prometheus: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="A server that speaks the Prometheus HTTP API, asked instead of the embedded "
            "store.",
        ),
    ] = ""


class LogsSpec(Spec, kw_only=True, frozen=True):
    """Logs."""

    keep_days: Days = 14
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 2 << 30
    count_by: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")], ...],
        Meta(
            max_length=5,
            description="Labels, or fields of lines, that `andon_log_lines_total` is counted by "
            "besides; of more than 100 sets of values the rest is `other`. Those that Objectives name "
            "are added.",
        ),
    ] = ()
    sigma: Annotated[
        str, Meta(max_length=4096, description="Folder of Sigma rules; empty: there are none.")
    ] = ""


class TracesSpec(Spec, kw_only=True, frozen=True):
    """Traces."""

    keep_days: Days = 3
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    sample_ratio: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of traces kept that neither failed nor were slow."),
    ] = 0.1
    slow_seconds: Annotated[Positive, Meta(description="A trace as long as this is kept.")] = 1.0


class BeaconSpec(Spec, kw_only=True, frozen=True):
    """What browsers of real users may tell: off unless origins are named."""

    origins: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://\S+$")], ...],
        Meta(description="Sites whose pages may report."),
    ] = ()
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.1


class TelemetrySpec(Spec, kw_only=True, frozen=True):
    """What is seen of running systems. It lies in files of its own: it never harms what controls."""

    metrics: MetricsSpec = MetricsSpec()
    logs: LogsSpec = LogsSpec()
    traces: TracesSpec = TracesSpec()
    beacon: BeaconSpec = BeaconSpec()
    alerts: AlertsSpec = AlertsSpec()
