"""Writes Objectives as OpenSLO v1; what it has no field for goes into annotations of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from andon.api.openslo.alerts import ANDON, AS_ROUTED
from andon.api.openslo.documents import API_VERSION
from andon.api.openslo.translate import PREFIX
from andon.api.v1.objectives import (
    BurnAlert,
    GatewayIndicator,
    Indicator,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)

Json = dict[str, Any]


class Written(Struct, frozen=True):
    """OpenSLO documents, and what OpenSLO has no field for."""

    text: str
    documents: tuple[Json, ...]
    notes: tuple[str, ...] = ()


def write_openslo(objectives: Mapping[str, ObjectiveSpec]) -> Written:
    """Write Objectives, by name.

    >>> written = write_openslo({"shop": ObjectiveSpec(service="shop", availability=0.999)})
    >>> written.documents[0]["spec"]["objectives"]
    [{'displayName': 'availability', 'target': 0.999}]
    """
    import yaml

    notes: list[str] = []
    documents: list[Json] = []
    for name, spec in sorted(objectives.items()):
        parts = list(_parts(name, spec))
        if len(parts) > 1:
            named = " and ".join(f"`{part}`" for part, _ in parts)
            notes.append(f"{name}: OpenSLO has one indicator an SLO, so it is {named}")
        for part, one in parts:
            document = _slo(part, one)
            documents.append(document)
            ours = sorted(document["metadata"].get("annotations", {}))
            if ours:
                notes.append(f"{part}: OpenSLO has no field for {', '.join(ours)}")
            if _own(one):
                notes.append(f"{part}: its metric source is known to Andon alone")
    text = "---\n".join(
        yaml.safe_dump(one, sort_keys=False, allow_unicode=True, width=100) for one in documents
    )
    return Written(text, tuple(documents), tuple(notes))


def _parts(name: str, spec: ObjectiveSpec) -> Iterator[tuple[str, ObjectiveSpec]]:
    """Yield the SLOs that an Objective is: one for each shorthand, and one for its targets."""
    plain = replace(spec, availability=None, latency=None)
    found: list[tuple[str, ObjectiveSpec]] = []
    if spec.availability is not None:
        indicator = Indicator(gateway=GatewayIndicator(measure="availability"))
        target = Target(target=spec.availability, name="availability")
        found.append(("availability", replace(plain, indicator=indicator, targets=(target,))))
    if spec.latency is not None:
        told = GatewayIndicator(measure="latency", threshold_seconds=spec.latency.threshold_seconds)
        target = Target(target=spec.latency.target, name="latency")
        indicator = Indicator(gateway=told)
        found.append(("latency", replace(plain, indicator=indicator, targets=(target,))))
    if spec.targets:
        found.append(("targets", plain))
    for suffix, one in found:
        yield (name if len(found) == 1 else f"{name}-{suffix}"), one


def _slo(name: str, spec: ObjectiveSpec) -> Json:
    metadata: Json = {"name": name}
    if annotations := _annotations(spec):
        metadata["annotations"] = annotations
    told: Json = {"service": spec.service}
    if spec.description:
        told["description"] = spec.description
    if spec.indicator is not None:
        told["indicator"] = _inline(f"{name}-sli"[:63], spec.indicator)
    told["timeWindow"] = [_window(spec)]
    told["budgetingMethod"] = spec.budgeting
    told["objectives"] = [_objective(name, n, one) for n, one in enumerate(spec.targets, 1)]
    if spec.alerts:
        told["alertPolicies"] = [_policy(one) for one in spec.alerts]
    return {"apiVersion": API_VERSION, "kind": "SLO", "metadata": metadata, "spec": told}


def _policy(alert: BurnAlert) -> Json:
    """Write an alert as a policy of its own: OpenSLO has one condition a policy."""
    condition: Json = {
        "kind": "burnrate",
        "op": "gt",
        "threshold": alert.burn,
        "lookbackWindow": alert.window,
    }
    if alert.after is not None:
        condition["alertAfter"] = alert.after
    told: Json = {"severity": alert.severity, "condition": condition}
    if alert.description:
        told = {"description": alert.description, **told}
    return {
        "kind": "AlertPolicy",
        "metadata": {"name": alert.name},
        "spec": {
            "alertWhenBreaching": True,
            "alertWhenResolved": True,
            "conditions": [
                {"kind": "AlertCondition", "metadata": {"name": alert.name}, "spec": told}
            ],
            "notificationTargets": [
                {
                    "kind": "AlertNotificationTarget",
                    "metadata": {"name": one},
                    "spec": {"target": ANDON},
                }
                for one in alert.receivers or (AS_ROUTED,)
            ],
        },
    }


def _annotations(spec: ObjectiveSpec) -> dict[str, str]:
    default = ObjectiveSpec(service=spec.service)
    told: dict[str, str] = {}
    if spec.environments:
        told[PREFIX + "environments"] = ",".join(spec.environments)
    if spec.min_coverage != default.min_coverage:
        told[PREFIX + "min-coverage"] = f"{spec.min_coverage:g}"
    if spec.silence_seconds != default.silence_seconds:
        told[PREFIX + "silence-seconds"] = f"{spec.silence_seconds:g}"
    if not spec.pages:
        told[PREFIX + "pages"] = "false"
    if spec.exclusions:
        told[PREFIX + "exclusions"] = json.dumps(msgspec.to_builtins(spec.exclusions))
    return told


def _window(spec: ObjectiveSpec) -> Json:
    if spec.calendar is None:
        return {"duration": spec.window, "isRolling": True}
    calendar = {"startTime": _moment(spec.calendar.start), "timeZone": spec.calendar.time_zone}
    return {"duration": spec.window, "isRolling": False, "calendar": calendar}


def _moment(text: str) -> str:
    """Write a moment as OpenSLO has it: a day with its time.

    >>> _moment("2026-01-01"), _moment("2026-01-01T12:30")
    ('2026-01-01 00:00:00', '2026-01-01 12:30:00')
    """
    day, _, time = text.replace("T", " ").partition(" ")
    return f"{day} {(time or '00:00:00')}{':00' if time.count(':') == 1 else ''}"


def _objective(name: str, number: int, target: Target) -> Json:
    told: Json = {"displayName": target.name, "target": target.target}
    for key, value in (
        ("op", target.op),
        ("value", target.value),
        ("timeSliceTarget", target.time_slice_target),
        ("timeSliceWindow", target.time_slice_window),
    ):
        if value is not None:
            told[key] = value
    if target.indicator is not None:
        told["indicator"] = _inline(f"{name[:56]}-{number}", target.indicator)
        told["compositeWeight"] = target.weight
    return {key: value for key, value in told.items() if value != ""}


def _inline(name: str, indicator: Indicator) -> Json:
    metrics = indicator.metrics
    if metrics is not None:
        return {"metadata": {"name": name}, "spec": _metrics(metrics)}
    source = {"type": ANDON, "spec": _source(indicator)}
    ratio = {"counter": True, "good": {"metricSource": source}, "total": {"metricSource": source}}
    return {"metadata": {"name": name}, "spec": {"ratioMetric": ratio}}


def _source(indicator: Indicator) -> Json:
    told: Json = msgspec.to_builtins(indicator)
    return {
        kind: {key: value for key, value in what.items() if value not in (None, {}, [])}
        for kind, what in told.items()
        if what is not None
    }


def _metrics(metrics: MetricsIndicator) -> Json:
    if metrics.value:
        return {"thresholdMetric": _metric(metrics.value, metrics)}
    if metrics.raw:
        told: Json = {"rawType": metrics.raw_type, "raw": _metric(metrics.raw, metrics)}
        return {"ratioMetric": told}
    parts = {
        name: _metric(query, metrics)
        for name in ("good", "bad", "total")
        if (query := getattr(metrics, name))
    }
    return {"ratioMetric": {"counter": True, **parts}}


def _metric(query: str, metrics: MetricsIndicator) -> Json:
    source = {"type": metrics.source or "Prometheus", "spec": {"query": query}}
    return {"metricSource": source}


def _own(spec: ObjectiveSpec) -> bool:
    indicators = [spec.indicator, *(target.indicator for target in spec.targets)]
    return any(one is not None and one.metrics is None for one in indicators)
