"""Counts log lines, for objectives, alerts and dashboards; by more labels where somebody asks for them.

Every label that is counted by multiplies the counters. So only those are, that an Objective or the settings
name; and of values there are so many at most, whatever lines say: what is beyond counts as ``other``, so
that the sum stays right.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from andon.adapters.telemetry.logs.chunks import SEVERITIES
from andon.domains.observability.saying import fields_of
from andon.ports.telemetry import Labels, LogLine, Series

COUNTED = "andon_log_lines_total"
UNKNOWN = "unknown"
OTHER = "other"
MOST_COUNTED = 2_000
MOST_SPLIT = 100
"""Sets of further labels of a service in an environment."""
LONGEST_VALUE = 64
_SAID_THEMSELVES = frozenset({"service", "otlp"})
_OWN = ("service", "environment", "severity")
_ALL = (UNKNOWN, *SEVERITIES[1:])
_log = logging.getLogger("andon.telemetry")

Place = tuple[str, str]
"""Service and environment."""
Extra = tuple[tuple[str, str], ...]
"""Further labels, by name."""


class LineCounts:
    """Counts lines by service, environment and severity.

    Every severity of a service that was ever heard of is told, so that the first error has a zero before it.

    Args:
        known: Label sets of services known already.
        by: Names of labels, or of fields of a line, that all lines are counted by besides.
    """

    def __init__(self, known: Sequence[Mapping[str, str]] = (), by: Collection[str] = ()) -> None:
        self._turn = threading.Lock()
        self._counts: Counter[tuple[Place, Extra, str]] = Counter()
        self._places = {_place(one) for one in known} - {("", "")}
        self._by = tuple(sorted(by))
        self._by_service: dict[str, tuple[str, ...]] = {}
        self._wanted: dict[str, tuple[Extra, ...]] = {}
        self._extras: dict[Place, set[Extra]] = {}
        self._begun: set[tuple[Place, Extra, str]] = set()

    def split(self, asked: Mapping[str, Iterable[Mapping[str, str]]]) -> None:
        """Count the lines of services by further labels, and tell of those that are asked for from now on.

        Args:
            asked: By service, labels of lines that somebody wants the number of.
        """
        wanted = {service: tuple(map(_extra, some)) for service, some in asked.items()}
        with self._turn:
            self._wanted = {s: tuple(filter(None, extras)) for s, extras in wanted.items()}
            self._by_service = {
                service: tuple(sorted({*self._by, *(name for one in some for name, _ in one)}))
                for service, some in self._wanted.items()
            }

    def __call__(self, lines: Sequence[LogLine]) -> None:
        """Count lines; called from any thread."""
        with self._turn:
            for one in lines:
                place = _place(one.labels)
                if place in self._places or len(self._places) < MOST_COUNTED:
                    self._places.add(place)
                    names = self._by_service.get(place[0], self._by)
                    extra = self._bounded(place, _values(one, names)) if names else ()
                    self._counts[place, extra, one.severity or UNKNOWN] += 1

    def _bounded(self, place: Place, extra: Extra) -> Extra:
        """Return labels as they are; once there are too many, what nobody asked for is another."""
        seen = self._extras.setdefault(place, set())
        if not extra or extra in seen or extra in self._wanted.get(place[0], ()):
            return extra
        if len(seen) < MOST_SPLIT:
            seen.add(extra)
            return extra
        wanted = {pair for one in self._wanted.get(place[0], ()) for pair in one}
        others = tuple(pair if pair in wanted else (pair[0], OTHER) for pair in extra)
        if others not in seen:
            seen.add(others)
            _log.warning(
                "log lines of %s in %s have more than %d values of %s: the rest counts as `%s`",
                *(*place, MOST_SPLIT, ", ".join(name for name, _ in extra), OTHER),
            )
        return others

    def go_on(self, told: Iterable[Series]) -> None:
        """Go on where an earlier process was, so that no restart looks like a reset."""
        with self._turn:
            for one in told:
                labels = dict(one.labels)
                place = labels.get("service", ""), labels.get("environment", "")
                value = float(one.values[-1]) if len(one.values) else math.nan
                if math.isfinite(value) and len(self._places) < MOST_COUNTED:
                    key = (place, _extra(labels), labels.get("severity", UNKNOWN))
                    self._places.add(place)
                    self._extras.setdefault(place, set()).update({key[1]} - {()})
                    self._begun.add(key)
                    self._counts[key] += int(value)

    def rows(self) -> list[tuple[Labels, float]]:
        """Return the counters as they are now; a new one of further labels begins with nothing."""
        with self._turn:
            found = []
            for key in self._keys():
                place, extra, severity = key
                new = bool(extra) and key not in self._begun
                self._begun.add(key)
                counted = 0.0 if new else float(self._counts[key])
                found.append((_counter(*place, severity, extra), counted))
            return found

    def _keys(self) -> Iterator[tuple[Place, Extra, str]]:
        """Yield what is told: each severity of a place and of what is asked for, and what came besides."""
        told = set()
        for place in sorted(self._places):
            for extra in ((), *self._wanted.get(place[0], ())):
                for severity in _ALL:
                    told.add((place, extra, severity))
                    yield place, extra, severity
        yield from sorted(self._counts.keys() - told)


def _place(labels: Mapping[str, str]) -> Place:
    """Return whose line it counts as: a service's are what it said, not what was said about it."""
    source = labels.get("source", "")
    if source in _SAID_THEMSELVES and labels.get("service"):
        return labels["service"], labels.get("environment", "")
    return source, ""


def _extra(labels: Mapping[str, str]) -> Extra:
    named = ((name, value) for name, value in labels.items() if name not in (*_OWN, "__name__"))
    return tuple(sorted(named))


def _values(line: LogLine, names: Iterable[str]) -> Extra:
    """Return what a line says of names: in its labels, its attributes, or its text."""
    told = fields_of(line.text) | line.attributes | line.labels
    found = ((name, told.get(name) or told.get(name.replace("_", "."), "")) for name in names)
    return tuple((name, _short(value)) for name, value in found if value)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE and value.isprintable() else OTHER


def _counter(service: str, environment: str, severity: str, extra: Extra) -> Labels:
    named = [("__name__", COUNTED), ("severity", severity), ("service", service), *extra]
    return tuple(sorted([*named, ("environment", environment)] if environment else named))


def asked_of_logs(
    indicators: Iterable[tuple[str, Mapping[str, str], Mapping[str, str]]],
) -> dict[str, list[Mapping[str, str]]]:
    """Return by which labels the lines of each service are to be counted.

    Args:
        indicators: Service, labels of bad lines, labels of all lines.

    >>> asked_of_logs([("shop", {"code": "E42"}, {})])
    {'shop': [{'code': 'E42'}, {}]}
    """
    found: dict[str, list[Mapping[str, str]]] = {}
    for service, bad, total in indicators:
        found.setdefault(service, []).extend((bad, total))
    return found
