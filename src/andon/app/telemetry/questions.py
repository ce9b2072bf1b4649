"""Asks about what is odd in how services are used: a jump, unrest, a lasting shift. Never a page.

Looks at each minute of every service's requests, failures and durations. What was not observed is left
out, as nothing is known of it. Nothing is kept: a new worker looks at the last hours again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from andon.api.v1.records import Object
from andon.calc.anomaly import Detector, Oddity
from andon.calc.shifts import find_shifts
from andon.domains.reliability.goals import REQUESTS
from andon.domains.reliability.incoming import Incoming
from andon.ports.telemetry import Labels, Matcher, MetricStore

SOURCE = "anomaly"
DURATION_SUM = "andon_gateway_request_duration_seconds_sum"
MINUTE = 60.0
LAST_MINUTES = 180
"""So much is looked at again when a worker begins, and searched for shifts."""
SETTLED_SECONDS = 30.0
"""A minute is looked at so long after its end, when its samples have arrived."""
SHIFTS_EVERY = 10
RECENT_MINUTES = 30
"""A shift longer ago is no question any more."""
ASKED_SECONDS = 1800.0
"""A question nobody answered is over after this."""
WHOLE = 0.8
"""Share of a minute that must have been observed for its figures to count."""
MOST_AT_ONCE = 20
"""So many minutes are caught up with in one look, so that no alert waits for them."""
FRESH_MINUTES = 5
LEAST_REQUESTS = 20.0
"""Of fewer in a minute no share or mean is odd."""
_BAD = ("5xx", "failed")

Key = tuple[str, str, str]
"""Environment, service, what is measured."""

_SAID = {
    "value": "jumped to {value:.4g} where about {expected:.4g} was usual",
    "range": "is at {value:.4g}, beyond all that was ever seen; about {expected:.4g} was usual",
    "unrest": "moves much more or less than usual, about {expected:.4g}",
}


class Questions:
    """Watches services for what is odd.

    Args:
        metrics: The samples.
    """

    def __init__(self, metrics: MetricStore) -> None:
        self._metrics = metrics
        self._next = 0
        self._watches: dict[Key, Detector] = defaultdict(Detector)
        self._past: dict[Key, deque[tuple[int, float]]] = defaultdict(
            lambda: deque(maxlen=LAST_MINUTES)
        )

    async def look(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return the questions that begin, and those that are over.

        Raises:
            Unavailable: The samples cannot be read.
        """
        over = [
            _over(one)
            for one in firing
            if one.spec.source == SOURCE and now - one.status.told_at >= ASKED_SECONDS
        ]
        return [*over, *await asyncio.to_thread(self.ask, now)]

    def ask(self, now: float) -> list[Incoming]:
        """Look at the minutes that are over; return what is odd about the newest."""
        newest = int((now - SETTLED_SECONDS) // MINUTE)
        first = max(self._next, newest - LAST_MINUTES)
        last = min(newest, first + MOST_AT_ONCE)
        begun = self._next > 0 and last == newest
        self._next = max(self._next, last)
        asked: list[Incoming] = []
        for minute in range(first, last):
            for key, value in self._minute(minute):
                self._past[key].append((minute, value))
                odd = self._watches[key].see(value)
                # What is found while looking back was asked before, or is over.
                if odd is not None and begun and minute >= newest - FRESH_MINUTES:
                    asked.append(_odd(key, odd))
        if first < last and last % SHIFTS_EVERY == 0 and begun:
            asked += self._shifted(last)
        return asked

    def _minute(self, minute: int) -> Iterator[tuple[Key, float]]:
        """Yield what was measured in a minute, where all of it was observed."""
        requests = self._increase(REQUESTS, minute)
        seconds = self._increase(DURATION_SUM, minute)
        total: dict[tuple[str, str], float] = defaultdict(float)
        bad: dict[tuple[str, str], float] = defaultdict(float)
        for labels, count in requests:
            place = (labels.get("environment", ""), labels.get("service", ""))
            total[place] += count
            if labels.get("class") in _BAD:
                bad[place] += count
        spent: dict[tuple[str, str], float] = defaultdict(float)
        for labels, sum_of in seconds:
            spent[labels.get("environment", ""), labels.get("service", "")] += sum_of
        for place, count in total.items():
            yield (*place, "requests"), count / MINUTE
            if count >= LEAST_REQUESTS:
                yield (*place, "failures"), bad[place] / count
                if place in spent:
                    yield (*place, "duration"), spent[place] / count

    def _increase(self, name: str, minute: int) -> Iterator[tuple[dict[str, str], float]]:
        start, end = round(minute * MINUTE * 1000), round((minute + 1) * MINUTE * 1000)
        found = self._metrics.increase([Matcher("__name__", "=", name)], start, end)
        for labels, window in found.items():
            # Behind a gap the first increase is that of the whole gap.
            if window.covered_seconds >= WHOLE * MINUTE:
                yield _dict(labels), window.increase

    def _shifted(self, last: int) -> Iterator[Incoming]:
        for key, past in self._past.items():
            shifts = find_shifts([value for _, value in past])
            if shifts and past[shifts[-1].at][0] >= last - RECENT_MINUTES:
                shift = shifts[-1]
                minutes = last - past[shift.at][0]
                said = (
                    f"has moved for good, {minutes} minutes ago: from about {shift.before:.4g} to "
                    f"about {shift.after:.4g}"
                )
                yield _question(key, "shift", said)


def _dict(labels: Labels) -> dict[str, str]:
    return dict(labels)


_WORDS = {
    "requests": "requests a second of",
    "failures": "the share of failures of",
    "duration": "the mean duration of",
}


def _odd(key: Key, odd: Oddity) -> Incoming:
    said = _SAID[odd.kind].format(value=odd.value, expected=odd.expected)
    return _question(key, odd.kind, said)


def _question(key: Key, kind: str, said: str) -> Incoming:
    environment, service, measure = key
    labels = {
        "alertname": "Shift" if kind == "shift" else "Anomaly",
        "environment": environment,
        "service": service,
        "measure": measure,
    }
    return Incoming(
        source=SOURCE,
        labels=labels,
        severity="question",
        summary=f"{_WORDS[measure]} {service} in {environment} {said}: is that as meant?",
    )


def _over(alert: Object) -> Incoming:
    return Incoming(
        source=SOURCE,
        labels=alert.spec.labels,
        severity="question",
        summary=alert.spec.summary,
        resolved=True,
        resolution="nobody answered, and it was not asked again",
    )
