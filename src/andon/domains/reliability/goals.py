"""One form for every promise: what an Objective says, target by target and place by place.

Documents of ours and of OpenSLO are read into an ``ObjectiveSpec``; here it becomes what is counted. A
Service that nobody wrote an Objective for has two all the same, from what the gateway counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from andon.api.objectives_check import speaks_prometheus
from andon.api.v1.objectives import (
    Budgeting,
    BurnAlert,
    Indicator,
    LatencyObjective,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)
from andon.kernel.cron import time_zone
from andon.kernel.digest import sha256
from andon.kernel.periods import calendar_window, length_seconds

DEFAULT_AVAILABILITY = 0.99
DEFAULT_LATENCY = LatencyObjective(threshold_seconds=1.0, target=0.95)
DEFAULT_WINDOW = "30d"
REQUESTS = "andon_gateway_requests_total"
DURATIONS = "andon_gateway_request_duration_seconds_bucket"
ELSEWHERE = ""
"""In place of an environment: the service does not run here."""
CHECKS = "andon_check_results_total"
LOGS = "andon_log_lines_total"
_SERVER_ERRORS = "5xx|failed"

Match = tuple[str, Literal["=", "!=", "=~", "!~"], str]
"""Name of a label, operator, value."""


class Term(Struct, frozen=True, kw_only=True):
    """Something that can be counted or asked for.

    Args:
        matchers: Counters whose increase is meant; none: the query tells.
        query: PromQL.
        at_most: Of a histogram's buckets, the first whose bound is no less; 0: there are none.
    """

    matchers: tuple[Match, ...] = ()
    query: str = ""
    at_most: float = 0.0


class Sli(Struct, frozen=True, kw_only=True):
    """What is measured.

    Args:
        total: All events; with one of ``good`` and ``bad``.
        good: Good ones.
        bad: Bad ones.
        raw: A share by itself.
        raw_failure: It is the share that failed.
        value: A value, good by ``op`` and ``limit``.
        op: How they are compared.
        limit: With what.
        unsupported: Why it cannot be measured here; empty: it can.
    """

    total: Term | None = None
    good: Term | None = None
    bad: Term | None = None
    raw: Term | None = None
    raw_failure: bool = False
    value: Term | None = None
    op: str = ""
    limit: float = 0.0
    unsupported: str = ""


class Goal(Struct, frozen=True, kw_only=True):
    """A promise in one place.

    Args:
        objective: Name of the document, or of the default.
        name: Which of its targets.
        service: Whose.
        environment: Where.
        target: Share that must be good.
        sli: What is measured.
        budgeting: What is counted: events or slices of time.
        slice_seconds: How long a slice is; 0: events.
        slice_target: Share that makes a slice good.
        weight: In a composite Objective.
        composite: Whether its Objective is one.
        window: Length of the window.
        calendar: Start and time zone of calendar windows; None: rolling.
        min_coverage: Less of the window observed: unknown.
        silence_seconds: Nothing heard for so long: unknown.
        default: Nobody wrote it.
        alerts: Those it has besides the ones that follow from target and window.
        pages: Whether it has the pages that follow from them.
    """

    objective: str
    name: str
    service: str
    environment: str
    target: float
    sli: Sli
    budgeting: Budgeting = "Occurrences"
    slice_seconds: float = 0.0
    slice_target: float = 0.0
    weight: float = 1.0
    composite: bool = False
    window: str = DEFAULT_WINDOW
    calendar: tuple[str, str] | None = None
    min_coverage: float = 0.9
    silence_seconds: float = 300.0
    default: bool = False
    alerts: tuple[BurnAlert, ...] = ()
    pages: bool = True

    @property
    def id(self) -> str:
        """Name it among all: ``objective/environment/target``."""
        return f"{self.objective}/{self.environment or '-'}/{self.name}"

    @property
    def period_seconds(self) -> float:
        """How long its window is; a month counts 30 days."""
        return length_seconds(self.window)

    def window_at(self, now: float) -> tuple[float, float]:
        """Return the window that holds now: its beginning and end, seconds since the Unix epoch."""
        if self.calendar is None:
            return now - self.period_seconds, now
        start, zone = self.calendar
        return calendar_window(self.window, start, time_zone(zone), now)


def counter_key(goal: Goal) -> str:
    """Return the identity of what a goal counts: targets that count the same share their counts.

    >>> one = default_goals("shop", "prod")[0]
    >>> counter_key(one) == counter_key(msgspec.structs.replace(one, target=0.5, window="7d"))
    True
    """
    counted = (goal.sli, goal.slice_seconds, goal.slice_target, goal.budgeting)
    return sha256(msgspec.json.encode(counted))[7:31]


def goals_of(name: str, spec: ObjectiveSpec, environments: Iterable[str]) -> tuple[Goal, ...]:
    """Return what an Objective promises in each environment.

    Args:
        name: The document's.
        spec: What it says, checked.
        environments: Where its service runs; only where the document names none.

    >>> spec = ObjectiveSpec(service="shop", availability=0.999, environments=("prod",))
    >>> [(goal.id, goal.target) for goal in goals_of("shop-slo", spec, ())]
    [('shop-slo/prod/availability', 0.999)]
    """
    places = spec.environments or tuple(environments)
    return tuple(goal for place in places for goal in _goals(name, spec, place))


def default_goals(service: str, environment: str) -> tuple[Goal, ...]:
    """Return what every Service promises where nobody wrote an Objective.

    >>> [goal.id for goal in default_goals("shop", "prod")]
    ['shop-availability/prod/availability', 'shop-latency/prod/latency']
    """
    spec = ObjectiveSpec(
        service=service, availability=DEFAULT_AVAILABILITY, latency=DEFAULT_LATENCY
    )
    return tuple(
        msgspec.structs.replace(goal, objective=f"{service}-{goal.name}", default=True)
        for goal in _goals("", spec, environment)
    )


def all_goals(
    documents: Mapping[str, ObjectiveSpec], running: Mapping[str, Iterable[str]]
) -> tuple[Goal, ...]:
    """Return every promise: what documents say, and the defaults where they are silent.

    Args:
        documents: Objectives by name.
        running: Environments by the service that runs in them.

    >>> spec = ObjectiveSpec(service="shop", availability=0.999)
    >>> [goal.id for goal in all_goals({"shop": spec}, {"shop": ["prod"]})]
    ['shop/prod/availability', 'shop-latency/prod/latency']
    """
    written = [
        goal
        for name, spec in sorted(documents.items())
        for goal in goals_of(name, spec, sorted(running.get(spec.service, ())) or _nowhere(spec))
    ]
    said = {(goal.service, goal.environment, goal.sli) for goal in written}
    measured = {(s, e, _measure(sli)) for s, e, sli in said}
    unsaid = [
        goal
        for service, environments in sorted(running.items())
        for environment in sorted(environments)
        for goal in default_goals(service, environment)
        if (service, environment, goal.name) not in measured and goal.objective not in documents
    ]
    return (*written, *unsaid)


def _nowhere(spec: ObjectiveSpec) -> tuple[str, ...]:
    """Return where a promise holds whose service runs elsewhere: nowhere, if metrics can tell of it."""
    told = [spec.indicator, *(target.indicator for target in spec.targets)]
    by_itself = [one for one in told if one is not None and (one.metrics or one.checks)]
    elsewhere = by_itself and spec.availability is None and spec.latency is None
    return (ELSEWHERE,) if elsewhere else ()


def _measure(sli: Sli) -> str:
    """Say which of the defaults an indicator stands for."""
    names = {value for name, _, value in (sli.total.matchers if sli.total else ())}
    if REQUESTS in names:
        return "availability"
    return "latency" if DURATIONS in names else ""


def _goals(name: str, spec: ObjectiveSpec, environment: str) -> Iterator[Goal]:
    composite = spec.indicator is None and len(spec.targets) > 1
    for title, target, sli in _promises(spec, environment):
        yield Goal(
            objective=name,
            name=title,
            service=spec.service,
            environment=environment,
            target=target.target,
            sli=sli,
            budgeting=spec.budgeting,
            slice_seconds=length_seconds(target.time_slice_window)
            if spec.budgeting != "Occurrences" and target.time_slice_window
            else 0.0,
            slice_target=target.time_slice_target or 0.0,
            weight=target.weight,
            composite=composite,
            window=spec.window,
            calendar=(spec.calendar.start, spec.calendar.time_zone) if spec.calendar else None,
            min_coverage=spec.min_coverage,
            silence_seconds=spec.silence_seconds,
            alerts=spec.alerts,
            pages=spec.pages,
        )


def _promises(spec: ObjectiveSpec, environment: str) -> Iterator[tuple[str, Target, Sli]]:
    place = (spec.service, environment)
    if spec.availability is not None:
        yield "availability", Target(target=spec.availability), availability(*place)
    if spec.latency is not None:
        sli = latency(*place, spec.latency.threshold_seconds)
        yield "latency", Target(target=spec.latency.target), sli
    for number, target in enumerate(spec.targets, 1):
        indicator = target.indicator or spec.indicator
        if indicator is not None:
            title = target.name or f"target-{number}"
            yield title, target, sli_of(indicator, target, *place)


def sli_of(indicator: Indicator, target: Target, service: str, environment: str) -> Sli:
    """Return what an indicator counts for a target.

    >>> from andon.api.v1.objectives import ChecksIndicator
    >>> told = Indicator(checks=ChecksIndicator(names=("home",)))
    >>> sli_of(told, Target(target=0.99), "shop", "prod").good.matchers[-1]
    ('result', '=', 'passed')
    """
    if indicator.gateway is not None:
        if indicator.gateway.threshold_seconds is not None:
            return latency(service, environment, indicator.gateway.threshold_seconds)
        return availability(service, environment)
    if indicator.metrics is not None:
        return _of_metrics(indicator.metrics, target)
    if indicator.checks is not None:
        named: tuple[Match, ...] = (
            ("__name__", "=", CHECKS),
            ("check", "=~", "|".join(indicator.checks.names)),
        )
        return Sli(
            total=Term(matchers=(*named, ("result", "=~", "passed|failed"))),
            good=Term(matchers=(*named, ("result", "=", "passed"))),
        )
    told = indicator.logs
    lines: tuple[Match, ...] = (
        ("__name__", "=", LOGS),
        ("service", "=", service),
        ("environment", "=", environment),
    )
    bad, total = (told.bad, told.total) if told else ({}, {})
    return Sli(
        total=Term(matchers=(*lines, *_labels(total))), bad=Term(matchers=(*lines, *_labels(bad)))
    )


def availability(service: str, environment: str) -> Sli:
    """Return the share of requests that were answered without a server error."""
    place = _place(REQUESTS, service, environment)
    return Sli(
        total=Term(matchers=place), bad=Term(matchers=(*place, ("class", "=~", _SERVER_ERRORS)))
    )


def latency(service: str, environment: str, threshold_seconds: float) -> Sli:
    """Return the share of requests that were answered in time."""
    place = _place(DURATIONS, service, environment)
    return Sli(
        total=Term(matchers=(*place, ("le", "=", "+Inf"))),
        good=Term(matchers=place, at_most=threshold_seconds),
    )


def _of_metrics(metrics: MetricsIndicator, target: Target) -> Sli:
    if not speaks_prometheus(metrics.source):
        return Sli(unsupported=f"metrics of {metrics.source} cannot be asked for here")
    return Sli(
        total=_asked(metrics.total),
        good=_asked(metrics.good),
        bad=_asked(metrics.bad),
        raw=_asked(metrics.raw),
        raw_failure=metrics.raw_type == "failure",
        value=_asked(metrics.value),
        op=target.op or "",
        limit=target.value or 0.0,
    )


def _asked(query: str) -> Term | None:
    return Term(query=query.strip()) if query else None


def _place(name: str, service: str, environment: str) -> tuple[Match, ...]:
    return (("__name__", "=", name), ("service", "=", service), ("environment", "=", environment))


def _labels(told: Mapping[str, str]) -> tuple[Match, ...]:
    return tuple((name, "=", value) for name, value in sorted(told.items()))
