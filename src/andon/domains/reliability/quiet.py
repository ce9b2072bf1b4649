"""Of which alerts nobody is told, and why: silenced by a person, or said already by another alert."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from andon.api.v1.alerts import AlertSpec, Inhibition, SilenceSpec
from andon.api.v1.records import Object
from andon.domains.reliability.matching import all_match

SEVERITY = "severity"
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
