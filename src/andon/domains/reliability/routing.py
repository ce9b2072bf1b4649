"""Who is told of which alerts, and when: grouped, silenced, inhibited, repeated, and resolved.

Everything is decided anew from the alerts that there are and from what each group was last told, so that
what was missed while nobody looked is told when somebody looks again.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from andon.api.v1.alerts import (
    SEVERITIES,
    AlertHold,
    AlertRoute,
    AlertSpec,
    AlertsSpec,
    Inhibition,
    ReceiverSpec,
    Severity,
    SilenceSpec,
)
from andon.api.v1.records import Object, Subject
from andon.domains.reliability.matching import all_match, parse_matcher
from andon.kernel.errors import UsageError

SEVERITY = "severity"
RECEIVERS = "receivers"
"""Label of an Objective's own alert: who is told of it, by name."""
OBJECTIVE = "objective:"
"""Beginning of the source of alerts that follow from Objectives."""
ALWAYS = (
    Inhibition(
        source=('severity="page"', 'objective!=""'),
        target=('severity="ticket"',),
        equal=("environment", "service", "objective"),
    ),
    Inhibition(
        source=('severity="page"', 'service!=""'),
        target=('severity="question"',),
        equal=("environment", "service"),
    ),
    Inhibition(
        source=('condition="page-1h"',), target=('condition="page-6h"',), equal=("goal", "source")
    ),
    Inhibition(
        source=('condition="ticket-1d"',),
        target=('condition="ticket-3d"',),
        equal=("goal", "source"),
    ),
)
"""A page says what its ticket would say, the faster alert what the slower would, and a page answers what
would be asked."""
STRAIGHT = ('severity=~"page|ticket"',)
"""What counts where receivers are configured and no routes."""

Occasion = Literal["firing", "changed", "repeated", "resolved"]


class GroupMemory(Struct, frozen=True, kw_only=True):
    """What a group was last told.

    Args:
        receiver: Whom.
        labels: What its alerts have in common.
        firing: Names of the alerts that fired then.
        worst: The worst severity among them.
        at: When.
        interval_seconds: So long after that it may be told again.
    """

    receiver: str
    labels: dict[str, str]
    firing: tuple[str, ...]
    worst: Severity
    at: float
    interval_seconds: float


class Notification(Struct, frozen=True, kw_only=True):
    """One message to one receiver about one group.

    Args:
        group: Its key.
        receiver: Whom.
        labels: What its alerts have in common.
        occasion: Why now.
        firing: Names of the alerts that fire.
        resolved: Names of those that fired when it was last told, and do not any more.
    """

    group: str
    receiver: str
    labels: dict[str, str]
    occasion: Occasion
    firing: tuple[str, ...]
    resolved: tuple[str, ...] = ()


class Quiet(Struct, frozen=True):
    """Why nobody is told of an alert.

    Args:
        silence: The Silence that matches; empty: none does.
        inhibited: The alert that says more; empty: none does.
    """

    silence: str = ""
    inhibited: str = ""

    def __bool__(self) -> bool:
        return bool(self.silence or self.inhibited)


LOUD = Quiet()


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return what tells alerts apart: a digest of their sorted labels.

    >>> fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    True
    """
    text = json.dumps(sorted(labels.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def labels_of(alert: Object) -> dict[str, str]:
    """Return the labels that routes, silences and inhibitions go by: its own, severity and source."""
    spec: AlertSpec = alert.spec
    return {**spec.labels, SEVERITY: spec.severity, "source": spec.source}


# --- quiet --------------------------------------------------------------------------------------


def is_in_force(silence: Object, now: float) -> bool:
    """Say whether a Silence has neither ended nor been ended."""
    spec: SilenceSpec = silence.spec
    return not silence.status.ended_at and spec.created_at <= now < spec.until


def quiet(
    alerts: Sequence[Object],
    silences: Iterable[Object],
    inhibitions: Sequence[Inhibition],
    now: float,
) -> dict[str, Quiet]:
    """Say of which firing alerts nobody is told, and why.

    Args:
        alerts: Those that fire.
        silences: All that may be in force.
        inhibitions: As configured; some always count.
        now: Seconds since the Unix epoch.

    Returns:
        Why, by the alert's name; it is not there if somebody is told.
    """
    active = [one for one in silences if is_in_force(one, now)]
    inhibited = _inhibited(alerts, (*ALWAYS, *inhibitions))
    found = {
        alert.name: Quiet(
            next(
                (one.name for one in active if all_match(one.spec.matchers, labels_of(alert))), ""
            ),
            inhibited.get(alert.name, ""),
        )
        for alert in alerts
    }
    return {name: why for name, why in found.items() if why}


def _inhibited(alerts: Sequence[Object], inhibitions: Sequence[Inhibition]) -> dict[str, str]:
    """Return by which other alert each is inhibited.

    Where alerts inhibit each other in a circle the oldest is told of: somebody always is.
    """
    targets = _targets(alerts, inhibitions)
    hit = {target for found in targets.values() for target in found}
    inhibited: dict[str, str] = {}
    told: set[str] = set()
    names = [alert.name for alert in sorted(alerts, key=lambda one: one.uid)]
    for name in (*(name for name in names if name not in hit), *names):
        if name not in told and name not in inhibited:
            told.add(name)
            _spread(name, targets, told, inhibited)
    return inhibited


def _spread(
    root: str, targets: Mapping[str, list[str]], told: set[str], inhibited: dict[str, str]
) -> None:
    reached = [root]
    while reached:
        source = reached.pop()
        for target in targets.get(source, ()):
            if target not in inhibited and target not in told:
                inhibited[target] = source
                reached.append(target)


def _targets(alerts: Sequence[Object], inhibitions: Sequence[Inhibition]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    labels = {alert.name: labels_of(alert) for alert in alerts}
    for rule in inhibitions:
        sources: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name, mine in labels.items():
            if all_match(rule.source, mine):
                sources[_same(rule, mine)].append(name)
        for name, mine in labels.items():
            if sources and all_match(rule.target, mine):
                for source in sources.get(_same(rule, mine), ()):
                    if source != name:
                        found[source].append(name)
    return found


def _same(rule: Inhibition, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)


# --- settings -----------------------------------------------------------------------------------


def check_settings(spec: AlertsSpec, *, mail: bool = True) -> None:
    """Refuse settings that mean nothing.

    Args:
        spec: Who is told, and what holds.
        mail: Whether the installation has a mail server.

    Raises:
        UsageError: A matcher is none, or a route names nobody; the message says which.
    """
    names = {one.name for one in spec.receivers}
    for one in spec.receivers:
        _check_receiver(one, mail)
    for number, route in enumerate(spec.routes, 1):
        for receiver in route.receivers:
            if receiver not in names:
                raise UsageError(
                    f"route {number} of the alerts names {receiver}, who is no receiver",
                    hint=f"receivers: {', '.join(sorted(names)) or 'none'}",
                )
    matchers = [
        *(one.match for one in spec.routes),
        *(one.match for one in spec.holds),
        *(part for one in spec.inhibitions for part in (one.source, one.target)),
    ]
    for text in (text for some in matchers for text in some):
        parse_matcher(text)


def _check_receiver(one: ReceiverSpec, mail: bool) -> None:
    if one.mail and not mail:
        raise UsageError(
            f"receiver {one.name} is told by mail, and there is no mail server",
            hint="`mail: { server: …, sender: … }` of the Installation",
        )
    webhook = one.webhook
    if webhook is not None and bool(webhook.url) == bool(webhook.url_file):
        raise UsageError(
            f"the webhook of receiver {one.name} needs one address", hint="`url` or `urlFile`"
        )
    if not (one.mail or webhook or one.chat_file or one.apprise_file):
        raise UsageError(
            f"receiver {one.name} is told in no way",
            hint="`webhook`, `mail`, `chatFile` or `appriseFile`",
        )


# --- routes -------------------------------------------------------------------------------------


def routes_of(spec: AlertsSpec) -> tuple[AlertRoute, ...]:
    """Return the routes that count."""
    if spec.routes or not spec.receivers:
        return spec.routes
    return (AlertRoute(receivers=tuple(one.name for one in spec.receivers), match=STRAIGHT),)


def matching_routes(
    labels: Mapping[str, str], routes: Iterable[AlertRoute]
) -> tuple[AlertRoute, ...]:
    """Return the routes that an alert takes: the first that matches, and others behind on ``goOn``.

    A question takes only routes that ask for a severity: it is nobody's page by mistake.
    """
    found = []
    for route in routes:
        asks = any(parse_matcher(text).name == SEVERITY for text in route.match)
        if (asks or labels.get(SEVERITY) != "question") and all_match(route.match, labels):
            found.append(route)
            if not route.go_on:
                break
    return tuple(found)


def worst(severities: Iterable[Severity]) -> Severity:
    """Return the worst of severities; without any, the mildest there is.

    >>> worst(["ticket", "page", "info"])
    'page'
    """
    return min(severities, key=SEVERITIES.index, default=SEVERITIES[-1])


class _Group(Struct):
    route: AlertRoute
    receiver: str
    labels: dict[str, str]
    alerts: list[Object]


def _named(labels: Mapping[str, str], receivers: Collection[str]) -> tuple[AlertRoute, ...]:
    """Return the route to those whom an Objective's own alert names; none if one of them is not there.

    What other tools send names nobody.
    """
    names = tuple(filter(None, labels.get(RECEIVERS, "").split(",")))
    if not names or not labels["source"].startswith(OBJECTIVE) or set(names) - set(receivers):
        return ()
    return (AlertRoute(receivers=names, match=(f'{RECEIVERS}="{labels[RECEIVERS]}"',)),)


def _groups(
    alerts: Iterable[Object], routes: Sequence[AlertRoute], receivers: Collection[str]
) -> dict[str, _Group]:
    found: dict[str, _Group] = {}
    for alert in alerts:
        labels = labels_of(alert)
        for route in _named(labels, receivers) or matching_routes(labels, routes):
            common = {name: labels.get(name, "") for name in route.group_by}
            for receiver in route.receivers:
                key = group_key(route, receiver, common)
                group = found.setdefault(key, _Group(route, receiver, common, []))
                group.alerts.append(alert)
    return found


def group_key(route: AlertRoute, receiver: str, labels: Mapping[str, str]) -> str:
    """Name a group: the same as long as its route, its receiver and what is common are."""
    text = json.dumps([route.match, receiver, sorted(labels.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


# --- notifications ------------------------------------------------------------------------------


def decide_notifications(
    firing: Sequence[Object],
    silences: Iterable[Object],
    spec: AlertsSpec,
    memory: Mapping[str, GroupMemory],
    now: float,
) -> tuple[tuple[Notification, ...], dict[str, GroupMemory | None]]:
    """Decide who is told what now.

    Args:
        firing: All alerts that fire.
        silences: All that may be in force.
        spec: Receivers, routes, inhibitions.
        memory: What groups were last told, by key.
        now: Seconds since the Unix epoch.

    Returns:
        What is to be told, and the memory that changes with it (None: to forget).
    """
    hushed = quiet(firing, silences, spec.inhibitions, now)
    active = {alert.name for alert in firing}
    receivers = {one.name for one in spec.receivers}
    groups = _groups((one for one in firing if one.name not in hushed), routes_of(spec), receivers)
    told: list[Notification] = []
    changed: dict[str, GroupMemory | None] = {}
    for key, group in groups.items():
        known = memory.get(key)
        occasion = _occasion(group, known, active, now)
        if occasion is not None:
            told.append(_tell(key, group, known, active, occasion))
            changed[key] = _remember(group, now)
    for key in memory.keys() - groups.keys():
        over, forgotten = _over(key, memory[key], active, receivers, now)
        told += over
        changed |= forgotten
    return tuple(told), changed


def _occasion(
    group: _Group, known: GroupMemory | None, active: set[str], now: float
) -> Occasion | None:
    """Say why a group is told now, or that it is not."""
    route = group.route
    if known is None:
        since = min(one.status.fired_at for one in group.alerts)
        return "firing" if now - since >= route.wait_seconds else None
    names = {one.name for one in group.alerts}
    new = names - set(known.firing)
    if new or set(known.firing) - active:
        now_worst = worst(one.spec.severity for one in group.alerts)
        worse = SEVERITIES.index(now_worst) < SEVERITIES.index(known.worst)
        due = now - known.at >= route.interval_seconds
        return "changed" if due or worse else None
    taken_on = all(one.status.acknowledged_at for one in group.alerts)
    return "repeated" if now - known.at >= route.repeat_seconds and not taken_on else None


def _tell(
    key: str, group: _Group, known: GroupMemory | None, active: set[str], occasion: Occasion
) -> Notification:
    return Notification(
        group=key,
        receiver=group.receiver,
        labels=group.labels,
        occasion=occasion,
        firing=tuple(one.name for one in group.alerts),
        resolved=tuple(name for name in known.firing if name not in active) if known else (),
    )


def _remember(group: _Group, now: float) -> GroupMemory:
    return GroupMemory(
        receiver=group.receiver,
        labels=group.labels,
        firing=tuple(one.name for one in group.alerts),
        worst=worst(one.spec.severity for one in group.alerts),
        at=now,
        interval_seconds=group.route.interval_seconds,
    )


def _over(
    key: str, known: GroupMemory, active: set[str], receivers: set[str], now: float
) -> tuple[list[Notification], dict[str, GroupMemory | None]]:
    """End a group of which nothing is told any more: what it had is resolved, or hushed."""
    resolved = tuple(name for name in known.firing if name not in active)
    if not resolved or known.receiver not in receivers:
        return [], {key: None}
    if now - known.at < known.interval_seconds:
        return [], {}
    ended = Notification(
        group=key,
        receiver=known.receiver,
        labels=known.labels,
        occasion="resolved",
        firing=(),
        resolved=resolved,
    )
    return [ended], {key: None}


# --- Holds --------------------------------------------------------------------------------------


def held_by(alert: Object, rules: Iterable[AlertHold]) -> Subject | None:
    """Return what an alert holds, by the first rule that matches and knows a scope; None: nothing."""
    labels = labels_of(alert)
    for rule in rules:
        if all_match(rule.match, labels):
            scope = Subject(
                service=rule.service or labels.get("service", ""),
                environment=rule.environment or labels.get("environment", ""),
            )
            if scope != Subject():
                return scope
    return None
