r"""Signs of an attack in log lines: rules that matched, spikes of failed logins, odd endpoints asked for.

Everything here is a question of counts and words; times are arguments.
"""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.alerts import Severity

Level = Literal["informational", "low", "medium", "high", "critical"]
"""Of Sigma."""
SEVERITY: dict[Level, Severity] = {
    "informational": "info",
    "low": "info",
    "medium": "ticket",
    "high": "ticket",
    "critical": "page",
}
LOGIN_SPIKE = "andon-login-failures"
REFUSED_SPIKE = "andon-refused-requests"
PROBED = "andon-suspicious-endpoint"
ANSWERED = "andon-suspicious-endpoint-answered"
QUIET_NS = 15 * 60 * 10**9
"""A signal is over when it was not seen for so long."""
MOST_SIGNALS = 500
SPIKE_MINUTES, USUAL_MINUTES = 5, 60
SPIKE_LEAST, SPIKE_TIMES = 10, 5
MOST_PLACES = 1_000
_MINUTE_NS = 60 * 10**9
_EXAMPLE = 500

SUSPICIOUS = (
    r"/\.(?:env|git|svn|hg|aws|ssh|docker|htpasswd|DS_Store)(?:[/.?]|$)",
    r"/(?:wp-login\.php|wp-admin|wp-config|xmlrpc\.php|phpmyadmin|pma/|adminer)",
    r"/(?:cgi-bin/|etc/passwd|proc/self/|id_rsa|web\.config|vendor/phpunit)",
    r"/(?:actuator/(?:env|heapdump)|solr/admin|manager/html|jenkins/script|HNAP1|boaform)",
    r"(?:\.\./\.\./|%2e%2e|\.\.%2f|%00)",
    r"(?:\$\{jndi:|%24%7bjndi|union[+ ]+(?:all[+ ]+)?select|<script|%3cscript|/bin/sh)",
)
_SUSPICIOUS = re.compile("|".join(SUSPICIOUS), re.IGNORECASE)
_LOGIN = re.compile(
    r"failed password|authentication fail|login fail|failed login|invalid (?:credentials|password)"
    r"|failed to log in|wrong password|bad password|invalid user ",
    re.IGNORECASE,
)
_REFUSED = frozenset({"401", "403"})
REFUSED_STATUSES = frozenset(map(int, _REFUSED))


class Match(Struct, frozen=True, kw_only=True):
    """A rule matched a line."""

    rule: str
    title: str
    level: Level
    service: str
    environment: str
    at_ns: int
    text: str
    tags: tuple[str, ...] = ()


class Signal(Struct, frozen=True, kw_only=True):
    """Something that looks like an attack, of a service, for as long as it goes on."""

    rule: str
    title: str
    level: Level
    service: str
    environment: str
    count: int
    first_ns: int
    last_ns: int
    example: str
    tags: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """How soon somebody must look."""
        return SEVERITY[self.level]


class SignalBook:
    """Matches, summed up; holds no more than its limits, the latest.

    >>> book = SignalBook()
    >>> match = Match(rule="r", title="R", level="high", service="s", environment="e", at_ns=5, text="x")
    >>> book.note(match, 5); book.note(match, 6)
    >>> [(one.count, one.severity) for one in book.active(7)]
    [(2, 'ticket')]
    >>> book.active(7 + QUIET_NS)
    []
    """

    def __init__(self) -> None:
        self._signals: OrderedDict[tuple[str, str, str], Signal] = OrderedDict()

    def note(self, match: Match, now_ns: int) -> None:
        """Take a match, whenever its line was said."""
        key = (match.rule, match.service, match.environment)
        known = self._signals.pop(key, None)
        if known is not None and now_ns - known.last_ns < QUIET_NS:
            self._signals[key] = replace(known, count=known.count + 1, last_ns=now_ns)
        else:
            self._signals[key] = _first(match, now_ns)
        while len(self._signals) > MOST_SIGNALS:
            self._signals.popitem(last=False)

    def active(self, now_ns: int) -> list[Signal]:
        """Return the signals that go on."""
        for key, one in list(self._signals.items()):
            if now_ns - one.last_ns >= QUIET_NS:
                self._signals.pop(key, None)
        return list(self._signals.values())


def _first(match: Match, now_ns: int) -> Signal:
    return Signal(
        rule=match.rule,
        title=match.title,
        level=match.level,
        service=match.service,
        environment=match.environment,
        count=1,
        first_ns=now_ns,
        last_ns=now_ns,
        example=match.text[:_EXAMPLE],
        tags=match.tags,
    )


class Spikes:
    """Counts by service and minute, and where they are many more than usual.

    Args:
        rule: What the signal is called.
        title: The same for people.
    """

    def __init__(
        self, rule: str = LOGIN_SPIKE, title: str = "Many more failed logins than usual"
    ) -> None:
        self._rule, self._title = rule, title
        self._minutes: dict[tuple[str, str], deque[list[int]]] = defaultdict(
            lambda: deque(maxlen=USUAL_MINUTES)
        )

    def add(self, service: str, environment: str, at_ns: int, times: int = 1) -> None:
        """Count."""
        key = (service, environment)
        if key not in self._minutes and len(self._minutes) >= MOST_PLACES:
            return
        minutes, minute = self._minutes[key], at_ns // _MINUTE_NS
        if minutes and minutes[-1][0] == minute:
            minutes[-1][1] += times
        else:
            minutes.append([minute, times])

    def spikes(self, now_ns: int) -> Iterator[Match]:
        """Yield places with many more in the last minutes than usual."""
        now = now_ns // _MINUTE_NS
        for (service, environment), minutes in list(self._minutes.items()):
            lately = sum(n for minute, n in minutes if now - SPIKE_MINUTES < minute <= now)
            before = sum(
                n for minute, n in minutes if now - USUAL_MINUTES < minute <= now - SPIKE_MINUTES
            )
            usual = before * SPIKE_MINUTES / (USUAL_MINUTES - SPIKE_MINUTES)
            if lately >= max(SPIKE_LEAST, SPIKE_TIMES * usual):
                yield Match(
                    rule=self._rule,
                    title=self._title,
                    level="high",
                    service=service,
                    environment=environment,
                    at_ns=now_ns,
                    text=f"{lately} in {SPIKE_MINUTES} minutes, where about {usual:.1f} were usual",
                    tags=("attack.t1110",),
                )


def is_failed_login(fields: Mapping[str, str], text: str) -> bool:
    """Say whether a line tells of a login that failed, or of a request that was not let in.

    >>> is_failed_login({}, "Failed password for root from 10.0.0.1 port 22 ssh2")
    True
    >>> is_failed_login({"sc-status": "401"}, ""), is_failed_login({"sc-status": "404"}, "")
    (True, False)
    """
    status = fields.get("sc-status") or fields.get("status", "")
    return status in _REFUSED or _LOGIN.search(text) is not None


def suspicious_request(
    fields: Mapping[str, str], service: str, environment: str, at_ns: int, text: str
) -> Match | None:
    """Return what is suspicious about the endpoint that a request asked for, if anything is.

    >>> found = suspicious_request({"c-uri": "/.env", "sc-status": "404"}, "shop", "prod", 1, "GET /.env")
    >>> found.rule, found.level
    ('andon-suspicious-endpoint', 'low')
    >>> suspicious_request({"c-uri": "/environment"}, "shop", "prod", 1, "")
    """
    uri = fields.get("c-uri") or fields.get("path") or fields.get("url.path", "")
    if not uri or _SUSPICIOUS.search(uri) is None:
        return None
    answered = (fields.get("sc-status") or fields.get("status", ""))[:1] == "2"
    return Match(
        rule=ANSWERED if answered else PROBED,
        title=(
            "An endpoint that only attackers ask for was answered"
            if answered
            else "Endpoints that only attackers ask for are tried"
        ),
        level="high" if answered else "low",
        service=service,
        environment=environment,
        at_ns=at_ns,
        text=text,
        tags=("attack.t1595",),
    )
