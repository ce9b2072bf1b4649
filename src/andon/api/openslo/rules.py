"""What OpenSLO v1 demands besides the right fields: each breach, and whether one can do without.

Many files in the world, some of the specification's own examples among them, break rules that nothing
depends on. In warning mode those are told and the document is understood all the same.

Source: the validation rules of OpenSLO/go-sdk, package ``openslo/v1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from andon.api.openslo.documents import (
    AlertPolicySpec,
    DocumentMetadata,
    InlineSli,
    Metric,
    RatioMetric,
    SliSpec,
    SloObjective,
    SloPolicy,
    SloSpec,
    TimeWindow,
)
from andon.api.problems import Path, did_you_mean
from andon.kernel.cron import time_zone, time_zones

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_ANNOTATION_KEY = re.compile(
    rf"({LABEL}(\.{LABEL})*/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{{0,61}}[a-zA-Z0-9])?"
)
_START = "%Y-%m-%d %H:%M:%S"


class Breach(Struct, frozen=True):
    """Something that a rule forbids.

    Args:
        path: Where.
        message: What is wrong.
        hint: What to write instead.
        harmless: Understood all the same, in warning mode.
    """

    path: Path
    message: str
    hint: str = ""
    harmless: bool = False


def breaches(kind: str, metadata: DocumentMetadata, spec: Any) -> Iterator[Breach]:
    """Yield every rule that a document breaks."""
    yield from _metadata(metadata, ("metadata",))
    here: Path = ("spec",)
    if kind == "SLO":
        yield from _slo(spec, here)
    elif kind == "SLI":
        yield from _sli(spec, here)
    elif kind == "AlertPolicy":
        yield from _policy(spec, here)
    elif kind == "DataSource" and spec.connection_details in (None, "", {}, []):
        yield Breach((*here, "connectionDetails"), "`connectionDetails` is empty")


def _metadata(metadata: DocumentMetadata, here: Path) -> Iterator[Breach]:
    yield from _name(metadata.name, (*here, "name"))
    for key in metadata.labels:
        if not _LABEL_KEY.fullmatch(key):
            message = "expected a label of letters, digits, `-`, `_` and `.` (at most 63)"
            yield Breach((*here, "labels", key), message, harmless=True)
    for key in metadata.annotations:
        if not _ANNOTATION_KEY.fullmatch(key):
            message = "expected a key such as `my-domain.org/my-key`"
            yield Breach((*here, "annotations", key), message, harmless=True)


def _name(name: str, path: Path) -> Iterator[Breach]:
    if not re.fullmatch(LABEL, name):
        plain = plain_name(name)
        message = f"`{name[:80]}` is no name of lower-case letters, digits and dashes (at most 63)"
        yield Breach(path, message, f"did you mean `{plain}`?" if plain else "", bool(plain))


def plain_name(name: str) -> str:
    """Return the nearest name that is one; empty: there is none.

    >>> plain_name("Example Service")
    'example-service'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-")


def _ref(name: str | None, path: Path) -> Iterator[Breach]:
    if name is not None:
        yield from _name(name, path)


def _slo(spec: SloSpec, here: Path) -> Iterator[Breach]:
    if spec.budgeting_method is None:
        message = "`budgetingMethod` is missing; `Occurrences` is taken"
        yield Breach(here, message, harmless=True)
    yield from _where_measured(spec, here)
    if len(spec.time_window) != 1:
        message = f"expected exactly one `timeWindow`, found {len(spec.time_window) or 'none'}"
        hint = "" if spec.time_window else "timeWindow: [{duration: 30d, isRolling: true}]"
        yield Breach((*here, "timeWindow"), message, hint, harmless=not spec.time_window)
    for number, window in enumerate(spec.time_window):
        yield from _window(window, (*here, "timeWindow", number))
    if not spec.objectives:
        yield Breach((*here, "objectives"), "nothing is promised: `objectives` is empty")
    for number, objective in enumerate(spec.objectives):
        yield from _objective(spec, objective, (*here, "objectives", number))
    for number, policy in enumerate(spec.alert_policies):
        yield from _slo_policy(policy, (*here, "alertPolicies", number))


def _where_measured(spec: SloSpec, here: Path) -> Iterator[Breach]:
    own = spec.indicator is not None or spec.indicator_ref is not None
    parts = any(one.indicator or one.indicator_ref is not None for one in spec.objectives)
    if own == parts:
        message = (
            "`indicator` or `indicatorRef` stand either in `spec` or in each of `objectives`; found "
            + ("both" if own else "neither")
        )
        yield Breach(here, message)
    yield from _indicator(spec.indicator, spec.indicator_ref, here)


def _indicator(indicator: InlineSli | None, ref: str | None, here: Path) -> Iterator[Breach]:
    if indicator is not None and ref is not None:
        yield Breach(here, "expected one of `indicator` and `indicatorRef`, found both")
    yield from _ref(ref, (*here, "indicatorRef"))
    if indicator is not None:
        yield from _metadata(indicator.metadata, (*here, "indicator", "metadata"))
        yield from _sli(indicator.spec, (*here, "indicator", "spec"))


def _window(window: TimeWindow, here: Path) -> Iterator[Breach]:
    if window.is_rolling and window.calendar is not None:
        yield Breach((*here, "calendar"), "a rolling window has no `calendar`")
    if not window.is_rolling and window.calendar is None:
        message = "a window that is not rolling needs `calendar`"
        yield Breach(here, message, "add `isRolling: true`, or `calendar`")
    if int(window.duration[:-1]) == 0:
        yield Breach((*here, "duration"), "a window lasts longer than nothing")
    if window.calendar is None:
        return
    try:
        datetime.strptime(window.calendar.start_time, _START)  # Its zone is beside it.
    except ValueError:
        message = "expected a moment such as `2022-01-01 12:00:00`"
        yield Breach((*here, "calendar", "startTime"), message)
    try:
        time_zone(window.calendar.time_zone)
    except ValueError as error:
        hint = did_you_mean(window.calendar.time_zone, time_zones(), "known time zones")
        yield Breach((*here, "calendar", "timeZone"), str(error), hint)


def _objective(spec: SloSpec, objective: SloObjective, here: Path) -> Iterator[Breach]:
    if (objective.target is None) == (objective.target_percent is None):
        found = "neither" if objective.target is None else "both"
        yield Breach(here, f"expected one of `target` and `targetPercent`, found {found}")
    if spec.indicator is None and spec.indicator_ref is None:
        if objective.indicator is None and objective.indicator_ref is None:
            yield Breach(here, "of a composite SLO each objective needs an indicator")
        yield from _indicator(objective.indicator, objective.indicator_ref, here)
    if spec.indicator is not None:
        yield from _compared(spec.indicator.spec, objective, here)
    yield from _slices(spec, objective, here)


def _compared(sli: SliSpec, objective: SloObjective, here: Path) -> Iterator[Breach]:
    for name, value in (("op", objective.op), ("value", objective.value)):
        if sli.ratio_metric is not None and value is not None:
            message = f"`{name}` is forbidden with a ratio; it is not looked at"
            yield Breach((*here, name), message, f"remove `{name}`", harmless=True)
        if sli.threshold_metric is not None and value is None:
            yield Breach(here, f"`{name}` is missing; a threshold needs it")


def _slices(spec: SloSpec, objective: SloObjective, here: Path) -> Iterator[Breach]:
    sliced = spec.budgeting_method in ("Timeslices", "RatioTimeslices")
    if sliced and objective.time_slice_window is None:
        yield Breach(here, f"`timeSliceWindow` is missing; {spec.budgeting_method} need it")
    if spec.budgeting_method == "Timeslices" and objective.time_slice_target is None:
        yield Breach(here, "`timeSliceTarget` is missing; Timeslices need it")


def _sli(spec: SliSpec, here: Path) -> Iterator[Breach]:
    if (spec.threshold_metric is None) == (spec.ratio_metric is None):
        found = "neither" if spec.ratio_metric is None else "both"
        message = f"expected one of `thresholdMetric` and `ratioMetric`, found {found}"
        yield Breach(here, message)
    yield from _metric(spec.threshold_metric, (*here, "thresholdMetric"))
    if spec.ratio_metric is not None:
        yield from _ratio(spec.ratio_metric, (*here, "ratioMetric"))


def _ratio(ratio: RatioMetric, here: Path) -> Iterator[Breach]:
    told = {
        name: metric
        for name in ("good", "bad", "total", "raw")
        if (metric := getattr(ratio, name)) is not None
    }
    for name, metric in told.items():
        yield from _metric(metric, (*here, name))
    if ("total" in told) == ("raw" in told):
        found = "both" if "total" in told else "neither"
        yield Breach(here, f"expected one of `total` and `raw`, found {found}")
        return
    if "raw" in told and told.keys() & {"good", "bad"}:
        yield Breach(here, "`raw` stands by itself, without `good` and `bad`")
    if "raw" in told and ratio.raw_type is None:
        yield Breach(here, "`rawType` is missing; expected `success` or `failure`")
    if "total" in told and len(told.keys() & {"good", "bad"}) != 1:
        found = "both" if "good" in told else "neither"
        yield Breach(here, f"expected one of `good` and `bad`, found {found}")


def _metric(metric: Metric | None, here: Path) -> Iterator[Breach]:
    if metric is not None and metric.metric_source.metric_source_ref:
        path = (*here, "metricSource", "metricSourceRef")
        yield from _name(metric.metric_source.metric_source_ref, path)


def _slo_policy(policy: SloPolicy, here: Path) -> Iterator[Breach]:
    yield from _either(policy, "alertPolicyRef", policy.alert_policy_ref, here)
    if policy.spec is not None:
        yield from _policy(policy.spec, (*here, "spec"))


def _policy(spec: AlertPolicySpec, here: Path) -> Iterator[Breach]:
    if len(spec.conditions) != 1:
        message = f"expected exactly one condition, found {len(spec.conditions) or 'none'}"
        yield Breach((*here, "conditions"), message)
    if not spec.notification_targets:
        yield Breach((*here, "notificationTargets"), "expected at least one, found none")
    for number, condition in enumerate(spec.conditions):
        path = (*here, "conditions", number)
        yield from _either(condition, "conditionRef", condition.condition_ref, path)
    for number, target in enumerate(spec.notification_targets):
        path = (*here, "notificationTargets", number)
        yield from _either(target, "targetRef", target.target_ref, path)


def _either(told: Any, name: str, ref: str | None, here: Path) -> Iterator[Breach]:
    """Demand a document by name or written out, and not both."""
    inline = told.spec is not None or told.kind is not None or told.metadata is not None
    if (ref is not None) == inline:
        yield Breach(
            here, f"expected one of `{name}` and `spec`, found {'both' if ref else 'neither'}"
        )
        return
    yield from _ref(ref, (*here, name))
    if inline:
        for field in ("kind", "metadata", "spec"):
            if getattr(told, field) is None:
                yield Breach(here, f"`{field}` is missing")
        if told.metadata is not None:
            yield from _metadata(told.metadata, (*here, "metadata"))
