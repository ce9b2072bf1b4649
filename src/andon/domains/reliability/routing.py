"""Who is told of which alerts, and when: grouped, silenced, inhibited, repeated, and resolved.

Everything is decided anew from the alerts that there are and from what each group was last told, so that
what was missed while nobody looked is told when somebody looks again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from andon.api.v1.alerts import (
    SEVERITIES,
    AlertHold,
    AlertRoute,
    AlertsSpec,
    ReceiverSpec,
    Severity,
)
from andon.api.v1.records import Object, Subject
from andon.domains.reliability.matching import all_match, parse_matcher
from andon.domains.reliability.quiet import SEVERITY, labels_of, quiet
from andon.kernel.errors import UsageError

RECEIVERS = "receivers"
"""Label of an Objective's own alert: who is told of it, by name."""
OBJECTIVE = "objective:"
"""Beginning of the source of alerts that follow from Objectives."""
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
