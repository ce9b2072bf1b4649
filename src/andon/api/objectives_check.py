"""What an Objective must say besides having the right fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from andon.api.alerts_check import check_alerts, check_pages, lost_alerts
from andon.api.findings import problems_of
from andon.api.problems import Path, Problem, did_you_mean
from andon.api.templates import Finding
from andon.api.v1.definitions import API_VERSION, Definition
from andon.api.v1.objectives import (
    Exclusion,
    Indicator,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)
from andon.kernel.cron import time_zone, time_zones
from andon.kernel.periods import length_seconds, parse_moment

MOST_LINE_LABELS = 5
LONGEST_LINE_VALUE = 64
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_PROMETHEUS = ("", "prometheus")


def warn_objectives(definitions: Iterable[Definition]) -> Iterator[Problem]:
    """Yield what documents lose, though they may: alerts that could never fire fall away.

    Where that leaves nobody to be woken, a document of ours is wrong; one of OpenSLO has no field to say
    that this is meant, so that it is a warning there, and a problem in strict mode.
    """
    for one in definitions:
        if not isinstance(one.spec, ObjectiveSpec):
            continue
        pageless = list(check_pages(one.spec))
        ours = one.language == API_VERSION
        lost = list(lost_alerts(one.spec)) if not pageless else [] if ours else pageless
        yield from problems_of(one, lost if ours else map(_as_openslo, lost))


def _as_openslo(finding: Finding) -> Finding:
    """Call targets what OpenSLO calls them, so that the place is found."""
    path = tuple("objectives" if part == "targets" else part for part in finding.path)
    hint = finding.hint.replace("`pages: false`", '`andon/pages: "false"` among its annotations')
    hint = hint.replace("under `alerts` with a `burn`", "by an AlertPolicy with a `threshold`")
    return finding._replace(path=path, hint=hint)


def check_objective(spec: ObjectiveSpec) -> Iterator[Finding]:
    """Yield what is wrong with an Objective by itself: path, message, hint."""
    if spec.availability is None and spec.latency is None and not spec.targets:
        yield Finding(
            ("spec",), "an Objective needs `availability`, `latency` or `targets`; found none", ""
        )
    yield from _check_length(("spec", "window"), spec.window)
    yield from _check_calendar(spec)
    if spec.budgeting != "Occurrences" and (spec.availability or spec.latency):
        message = "`availability` and `latency` count requests; slices of time need `targets`"
        hint = "targets: [{target: …, timeSliceTarget: …, timeSliceWindow: …}]"
        yield Finding(("spec", "budgeting"), message, hint)
    yield from _check_indicators(spec)
    names = [target.name for target in spec.targets]
    for number, target in enumerate(spec.targets):
        here: Path = ("spec", "targets", number)
        if target.name and target.name in names[:number]:
            yield Finding((*here, "name"), f"another target is already called `{target.name}`", "")
        yield from _check_slices(spec, target, here)
        yield from _check_value(target, target.indicator or spec.indicator, here)
    for number, exclusion in enumerate(spec.exclusions):
        yield from _check_exclusion(exclusion, ("spec", "exclusions", number))
    yield from check_alerts(spec)


def _check_length(path: Path, text: str) -> Iterator[Finding]:
    try:
        length_seconds(text)
    except ValueError as error:
        yield Finding(path, str(error), "")


def _check_calendar(spec: ObjectiveSpec) -> Iterator[Finding]:
    if spec.calendar is None:
        return
    here: Path = ("spec", "calendar")
    yield from _check_zone((*here, "timeZone"), spec.calendar.time_zone)
    yield from _check_moment((*here, "start"), spec.calendar.start)


def _check_zone(path: Path, name: str) -> Iterator[Finding]:
    try:
        time_zone(name)
    except ValueError as error:
        yield Finding(path, str(error), did_you_mean(name, time_zones(), "known time zones"))


def _check_moment(path: Path, text: str) -> Iterator[Finding]:
    try:
        parse_moment(text, time_zone("UTC"))
    except ValueError as error:
        yield Finding(path, f"no such moment: {error}", "")


def _check_indicators(spec: ObjectiveSpec) -> Iterator[Finding]:
    own = [number for number, target in enumerate(spec.targets) if target.indicator is not None]
    if spec.indicator is not None:
        yield from _check_indicator(spec.indicator, ("spec", "indicator"))
        for number in own:
            path: Path = ("spec", "targets", number, "indicator")
            yield Finding(path, "the Objective has an `indicator` already", "keep one of them")
        if not spec.targets:
            yield Finding(
                ("spec", "indicator"), "an `indicator` needs `targets`", "targets: [{target: …}]"
            )
        return
    for number in own:
        indicator = spec.targets[number].indicator
        if indicator is not None:
            yield from _check_indicator(indicator, ("spec", "targets", number, "indicator"))
    if spec.targets and len(own) < len(spec.targets):
        lacking = next(n for n, target in enumerate(spec.targets) if target.indicator is None)
        message = "nothing says what is measured"
        yield Finding(
            ("spec", "targets", lacking), message, "add `indicator` here, or to the Objective"
        )


def _check_indicator(indicator: Indicator, here: Path) -> Iterator[Finding]:
    told = [name for name in indicator.__struct_fields__ if getattr(indicator, name) is not None]
    if len(told) != 1:
        found = " and ".join(f"`{name}`" for name in told) or "none"
        message = f"expected one of `gateway`, `metrics`, `checks`, `logs`; found {found}"
        yield Finding(here, message, "")
    gateway = indicator.gateway
    if gateway is not None and (gateway.measure == "latency") != (
        gateway.threshold_seconds is not None
    ):
        message = "`thresholdSeconds` belongs to the measure `latency`, which needs it"
        yield Finding((*here, "gateway"), message, "")
    if indicator.metrics is not None:
        yield from _check_metrics(indicator.metrics, (*here, "metrics"))
    if indicator.logs is not None:
        for field in ("bad", "total"):
            labels = getattr(indicator.logs, field)
            yield from _check_lines(labels, (*here, "logs", field))


def _check_lines(labels: Mapping[str, str], here: Path) -> Iterator[Finding]:
    """Lines are counted by each of these, so that there may not be many, nor any name."""
    if len(labels) > MOST_LINE_LABELS:
        message = f"lines are counted by at most {MOST_LINE_LABELS} labels; found {len(labels)}"
        yield Finding(here, message, "count by what tells bad lines from good ones")
    for name, value in labels.items():
        if not _LABEL.fullmatch(name):
            yield Finding((*here, name), "expected a label such as `severity` or `code`", "")
        if not 0 < len(value) <= LONGEST_LINE_VALUE:
            message = f"expected 1 to {LONGEST_LINE_VALUE} characters, found {len(value)}"
            yield Finding((*here, name), message, "")


def _check_metrics(metrics: MetricsIndicator, here: Path) -> Iterator[Finding]:
    counted = [name for name in ("good", "bad") if getattr(metrics, name)]
    ways = [bool(metrics.total), bool(metrics.raw), bool(metrics.value)]
    if sum(ways) != 1 or (metrics.total and len(counted) != 1) or (counted and not metrics.total):
        message = (
            "expected `total` with one of `good` and `bad`, or `raw`, or `value`, and nothing else"
        )
        yield Finding(here, message, "")


def _check_slices(spec: ObjectiveSpec, target: Target, here: Path) -> Iterator[Finding]:
    sliced = spec.budgeting != "Occurrences"
    if sliced and target.time_slice_window is None:
        yield Finding(here, f"`timeSliceWindow` is missing; {spec.budgeting} need it", "")
    if target.time_slice_window is not None:
        yield from _check_length((*here, "timeSliceWindow"), target.time_slice_window)
    if spec.budgeting != "Timeslices":
        return
    if target.time_slice_target is None:
        yield Finding(here, "`timeSliceTarget` is missing; Timeslices need it", "")
    elif target.time_slice_target >= target.target:
        message = (
            f"expected less than `target` ({target.target:g}), found {target.time_slice_target:g}: "
            "a healthy service would miss it"
        )
        yield Finding((*here, "timeSliceTarget"), message, "a slice may be worse than the whole")


def _check_value(target: Target, indicator: Indicator | None, here: Path) -> Iterator[Finding]:
    metrics = indicator.metrics if indicator else None
    of_value = metrics is not None and bool(metrics.value)
    told = target.op is not None, target.value is not None
    if of_value and not all(told):
        yield Finding(here, "`op` and `value` are missing; they say when the value is good", "")
    if not of_value and any(told):
        name = "op" if told[0] else "value"
        yield Finding(
            (*here, name), "only a target of a value has `op` and `value`", f"remove `{name}`"
        )


def _check_exclusion(exclusion: Exclusion, here: Path) -> Iterator[Finding]:
    zone_problems = list(_check_zone((*here, "timeZone"), exclusion.time_zone))
    moments = [
        finding
        for name in ("start", "end", "agreed")
        for finding in _check_moment((*here, name), getattr(exclusion, name))
    ]
    yield from (*zone_problems, *moments)
    if zone_problems or moments:
        return
    at = _moments(exclusion)
    if at("end") <= at("start"):
        yield Finding((*here, "end"), f"expected later than `start` ({exclusion.start})", "")
    if at("agreed") > at("start"):
        message = "an exclusion is agreed before it begins; this one was agreed later"
        yield Finding((*here, "agreed"), message, "what is excused afterwards was still missed")


def _moments(exclusion: Exclusion) -> Callable[[str], float]:
    zone = time_zone(exclusion.time_zone)
    return lambda name: parse_moment(getattr(exclusion, name), zone)


def speaks_prometheus(source: str) -> bool:
    """Say whether the metrics of an indicator can be asked for here.

    >>> speaks_prometheus("Prometheus"), speaks_prometheus("Datadog")
    (True, False)
    """
    return source.lower() in _PROMETHEUS
