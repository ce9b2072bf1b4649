"""Understands OpenSLO: each SLO becomes an Objective, with what its references say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from andon.api.openslo.alerts import ANDON, alerts_of, unused
from andon.api.openslo.documents import (
    API_VERSION,
    DataSourceSpec,
    Document,
    InlineSli,
    Metric,
    SliSpec,
    SloObjective,
    SloSpec,
)
from andon.api.openslo.names import Names, Trouble
from andon.api.openslo.rules import plain_name
from andon.api.problems import Path, Problem, field_name
from andon.api.v1.definitions import Definition, Metadata
from andon.api.v1.objectives import (
    BurnAlert,
    Calendar,
    ChecksIndicator,
    Exclusion,
    GatewayIndicator,
    Indicator,
    LogsIndicator,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)

PREFIX = "andon/"
_QUERIES = ("query", "promql", "expr")
_OWN: dict[str, Any] = {
    "gateway": GatewayIndicator,
    "checks": ChecksIndicator,
    "logs": LogsIndicator,
}


class Translated(Struct, frozen=True, kw_only=True):
    """What OpenSLO documents say, in our words."""

    definitions: tuple[Definition, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    """What has no meaning here."""


def translate(documents: Iterable[Document]) -> Translated:
    """Turn SLOs into Objectives; the other kinds are what they refer to.

    Args:
        documents: All OpenSLO documents that are read together.
    """
    told = tuple(documents)
    names = Names(told)
    definitions: list[Definition] = []
    problems: list[Problem] = []
    notes = [_problem(document, *one) for document in told for one in unused(document, told)]
    warnings = [_problem(document, *one) for document in told for one in names.dangling(document)]
    for document in told:
        if document.kind != "SLO":
            continue
        alerts = alerts_of(document.spec, names)
        try:
            definitions.append(_objective(document, names, alerts.alerts))
        except Trouble as trouble:
            problems.append(_problem(document, trouble.path, trouble.message, trouble.hint))
        problems += [_problem(document, *one) for one in alerts.unfireable]
        notes += [_problem(document, *one) for one in alerts.notes]
    return Translated(
        definitions=tuple(definitions),
        problems=tuple(problems),
        warnings=tuple(warnings),
        notes=tuple(notes),
    )


def _problem(document: Document, path: Path, message: str, hint: str = "") -> Problem:
    return Problem(
        file=document.file,
        line=document.line,
        column=1 if document.line else 0,
        field=field_name(path),
        message=message,
        hint=hint,
    )


def _objective(document: Document, names: Names, alerts: tuple[BurnAlert, ...]) -> Definition:
    spec: SloSpec = document.spec
    annotations = document.metadata.annotations
    window = spec.time_window[0] if spec.time_window else None
    calendar = window.calendar if window is not None else None
    composite = spec.indicator is None and spec.indicator_ref is None
    path: Path = ("spec",)
    indicator = None if composite else _indicator(spec.indicator, spec.indicator_ref, path, names)
    read = ObjectiveSpec(
        service=_service(spec.service),
        description=spec.description,
        window=window.duration if window is not None else "30d",
        calendar=Calendar(start=calendar.start_time, time_zone=calendar.time_zone)
        if calendar is not None
        else None,
        indicator=indicator,
        budgeting=spec.budgeting_method or "Occurrences",
        targets=tuple(
            _target(one, number, indicator, names) for number, one in enumerate(spec.objectives)
        ),
        alerts=alerts,
        **_ours(annotations),
    )
    name = plain_name(document.metadata.name) or document.metadata.name
    shown = {key: value for key, value in annotations.items() if not key.startswith(PREFIX)}
    return Definition(
        kind="Objective",
        metadata=Metadata(name=name, labels=_labels(document), annotations=shown),
        spec=read,
        file=document.file,
        line=document.line,
        language=API_VERSION,
    )


def _service(name: str) -> str:
    plain = plain_name(name)
    if not plain:
        raise Trouble(("spec", "service"), f"`{name[:60]}` names no service")
    return plain


def _labels(document: Document) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else ",".join(value)
        for key, value in document.metadata.labels.items()
    }


def _ours(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Read what OpenSLO has no field for from annotations."""
    readers: dict[str, tuple[str, Any]] = {
        "environments": ("environments", lambda text: tuple(text.replace(" ", "").split(","))),
        "min-coverage": ("min_coverage", float),
        "silence-seconds": ("silence_seconds", float),
        "exclusions": ("exclusions", _exclusions),
        "pages": ("pages", _yes_or_no),
    }
    read: dict[str, Any] = {}
    for name, (field, reader) in readers.items():
        if (text := annotations.get(PREFIX + name)) is not None:
            try:
                read[field] = reader(text)
            except (ValueError, msgspec.ValidationError) as error:
                path: Path = ("metadata", "annotations", PREFIX + name)
                raise Trouble(path, f"cannot be read: {error}") from None
    return read


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("expected `true` or `false`")
    return text == "true"


def _exclusions(text: str) -> tuple[Exclusion, ...]:
    return msgspec.json.decode(text, type=tuple[Exclusion, ...])


def _target(told: SloObjective, number: int, indicator: Indicator | None, names: Names) -> Target:
    here: Path = ("spec", "objectives", number)
    share = told.target if told.target is not None else (told.target_percent or 0) / 100
    share = float(f"{share:.12g}")
    if not 0 < share < 1:
        raise Trouble(here, "a target of 0 promises nothing", "expected more than 0, below 1")
    own = None
    if indicator is None:
        own = _indicator(told.indicator, told.indicator_ref, here, names)
    measured = own or indicator
    of_value = measured is not None and measured.metrics is not None and measured.metrics.value
    if of_value and (told.op is None or told.value is None):
        raise Trouble(here, "`op` and `value` are missing; a threshold needs them")
    return Target(
        target=share,
        name=told.display_name[:63],
        op=told.op if of_value else None,
        value=told.value if of_value else None,
        time_slice_target=told.time_slice_target,
        time_slice_window=told.time_slice_window,
        indicator=own,
        weight=told.composite_weight or 1.0,
    )


def _indicator(inline: InlineSli | None, ref: str | None, here: Path, names: Names) -> Indicator:
    spec: SliSpec = (
        inline.spec
        if inline is not None
        else names.require("SLI", ref or "", (*here, "indicatorRef"))
    )
    metrics = _metrics_of(spec)
    own = _own_source(metrics.values())
    if own is not None:
        return own
    path = (*here, "indicator" if inline is not None else "indicatorRef")
    types = {_type_of(metric, names) for metric in metrics.values()}
    ratio = spec.ratio_metric
    return Indicator(
        metrics=MetricsIndicator(
            **{name: _query(metric, path) for name, metric in metrics.items()},
            raw_type=(ratio.raw_type if ratio is not None else None) or "success",
            source=", ".join(sorted(types - {""})),
        )
    )


def _metrics_of(spec: SliSpec) -> dict[str, Metric]:
    if spec.threshold_metric is not None:
        return {"value": spec.threshold_metric}
    ratio = spec.ratio_metric
    return {
        name: metric
        for name in ("good", "bad", "total", "raw")
        if (metric := getattr(ratio, name)) is not None
    }


def _own_source(metrics: Iterable[Metric]) -> Indicator | None:
    """Return an indicator that only Andon has, as Andon wrote it."""
    for metric in metrics:
        source = metric.metric_source
        for name, type_ in _OWN.items():
            if source.type == ANDON and name in source.spec:
                try:
                    return Indicator(**{name: msgspec.convert(source.spec[name], type_)})
                except msgspec.ValidationError as error:
                    raise Trouble(("spec",), f"metric source of Andon: {error}") from None
    return None


def _type_of(metric: Metric, names: Names) -> str:
    source = metric.metric_source
    if source.type:
        return source.type
    found: DataSourceSpec | None = names.find("DataSource", source.metric_source_ref)
    return found.type if found is not None else ""


def _query(metric: Metric, path: Path) -> str:
    """Return what is asked; of a source that is not asked here, all that is said of it."""
    told = metric.metric_source.spec
    for name in _QUERIES:
        if isinstance(told.get(name), str) and told[name].strip():
            return str(told[name]).strip()
    if metric.metric_source.type.lower() in ("", "prometheus"):
        raise Trouble(path, "`metricSource.spec` has no `query`")
    return json.dumps(told, sort_keys=True)
