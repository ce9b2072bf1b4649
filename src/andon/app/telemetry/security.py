"""Looks for attacks in log lines as they come: Sigma rules, failed logins, endpoints only attackers ask for.

What is found is a signal: an alert while it goes on, and Evidence (check ``security``) about the service.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from andon.adapters.telemetry.sigma import Rule, Rules, parse_rules, read_rules
from andon.api.v1.control import Decision, Selector
from andon.api.v1.records import Object, Subject
from andon.api.v1.requests import GatewayRequest
from andon.app.ledger.telling import event_body
from andon.app.sigma_files import SigmaFiles, kept_sigma_files
from andon.domains.line.evidence import claim
from andon.domains.observability.saying import fields_of
from andon.domains.observability.signals import (
    REFUSED_SPIKE,
    REFUSED_STATUSES,
    Level,
    Match,
    Signal,
    SignalBook,
    Spikes,
    is_failed_login,
    suspicious_request,
)
from andon.domains.reliability.incoming import Incoming
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, UsageError
from andon.ports.store import LedgerRow, Store, Tx
from andon.ports.telemetry import LogLine
from andon.runtime.turns import Turns

SOURCE = "security"
CHECK = "security"
LEFT_OUT = "andon-sigma-rules-left-out"
MOST_TESTS = 1_000
"""Comparisons that the rules of one repository may make of a line."""
MOST_TOLD = 20
OWN = "andon"
LOGINS = "dev.cdeventsx.andon-login.failed.0.1.0"
WATCHED = frozenset({"service", "otlp"})
"""Sources whose lines are looked at; what jobs print is theirs, and Andon's own is counted apart."""
REREAD_SECONDS = 60.0
NS = 10**9
_LEVELS: dict[str, Level] = {
    "informational": "informational",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}
_log = logging.getLogger("andon.telemetry")


class Asker(Protocol):
    """Says what is odd."""

    async def look(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return what begins, or is over."""
        ...


class Security:
    """Hears lines, and says what looks like an attack.

    Args:
        store: Knows who failed to log in at Andon itself, and keeps Evidence.
        turns: Creates objects.
        clock: The time.
        folder: Of Sigma rules; None: there are none.
    """

    def __init__(self, store: Store, turns: Turns, clock: Clock, folder: Path | None) -> None:
        self._store, self._turns, self._clock = store, turns, clock
        self._folder = folder
        self._rules = Rules()
        self._own: dict[str, SigmaFiles] = {}
        self._of_repositories: dict[str, Rules] = {}
        self._all: tuple[Rule, ...] = ()
        self._read_at = float("-inf")
        self._turn = threading.Lock()
        self._book = SignalBook()
        self._logins = Spikes()
        self._refused = Spikes(
            REFUSED_SPIKE, "Many more requests are refused (401, 403) than usual"
        )
        self._seen_seq = -1
        self._claimed: set[tuple[str, str]] | None = None

    # --- hearing ---------------------------------------------------------------------------------

    def __call__(self, lines: Sequence[LogLine]) -> None:
        """Look at lines that were kept; called from any thread."""
        now_ns = int(self._clock.now() * NS)
        with self._turn:
            for line in lines:
                if line.labels.get("source") in WATCHED:
                    self._examine(line, now_ns)

    def hear_requests(self, requests: Iterable[GatewayRequest]) -> None:
        """Look at what the gateway saw: requests that were refused, and odd endpoints asked for."""
        now_ns = int(self._clock.now() * NS)
        with self._turn:
            for one in requests:
                if one.status in REFUSED_STATUSES:
                    self._refused.add(one.service, one.environment, now_ns)
                odd = suspicious_request(
                    {"c-uri": one.path, "sc-status": str(one.status)},
                    one.service,
                    one.environment,
                    one.start_ms * (NS // 1000),
                    f"status {one.status}: {one.path}",
                )
                if odd is not None:
                    self._book.note(odd, now_ns)

    def _examine(self, line: LogLine, now_ns: int) -> None:
        labels = line.labels
        service, environment = labels.get("service", ""), labels.get("environment", "")
        fields = fields_of(line.text) | labels | line.attributes
        if is_failed_login(fields, line.text):
            self._logins.add(service, environment, now_ns)
        odd = suspicious_request(fields, service, environment, line.at_ns, line.text)
        if odd is not None:
            self._book.note(odd, now_ns)
        for rule in self._all:
            if rule.matches(fields, line.text, service):
                self._book.note(
                    Match(
                        rule=rule.id,
                        title=rule.title,
                        level=_LEVELS[rule.level],
                        service=service,
                        environment=environment,
                        at_ns=line.at_ns,
                        text=line.text,
                        tags=rule.tags,
                    ),
                    now_ns,
                )

    # --- saying ----------------------------------------------------------------------------------

    def signals(self) -> list[Signal]:
        """Return what looks like an attack, as long as it goes on."""
        now_ns = int(self._clock.now() * NS)
        with self._turn:
            for match in (*self._logins.spikes(now_ns), *self._refused.spikes(now_ns)):
                self._book.note(match, now_ns)
            return self._book.active(now_ns)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why rules are none."""
        return (*self._rules.problems, *self._left_out())

    def _left_out(self) -> list[str]:
        return [
            f"{repository}: {one}"
            for repository, rules in self._of_repositories.items()
            for one in rules.problems
        ]

    async def look(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return the alerts that begin, and those that are over.

        Raises:
            Unavailable: What happened cannot be read.
        """
        await self._reread(now)
        await self._count_own_logins()
        found = [alert_of(one) for one in self.signals()]
        found += [
            _lost(repository, rules.problems)
            for repository, rules in self._of_repositories.items()
            if rules.problems
        ]
        await self._claim(self.signals(), now)
        going_on = {one.fingerprint for one in found}
        over = [
            _over(one)
            for one in firing
            if one.spec.source == SOURCE and one.spec.fingerprint not in going_on
        ]
        return [*found, *over]

    async def _reread(self, now: float) -> None:
        """Read the rules again now and then; those of before count as long as they cannot be."""
        if now - self._read_at < REREAD_SECONDS:
            return
        self._read_at = now
        await self._reread_repositories()
        if self._folder is not None:
            await self._reread_folder(self._folder)
        own = (rule for rules in self._of_repositories.values() for rule in rules.rules)
        self._all = (*self._rules.rules, *own)

    async def _reread_repositories(self) -> None:
        """Compile what policy branches say, if that is not what they said before."""
        kept = await self._store.read(kept_sigma_files)
        if kept != self._own:
            self._of_repositories = await asyncio.to_thread(_compile, kept)
            self._own = kept

    async def _reread_folder(self, folder: Path) -> None:
        try:
            rules = await asyncio.to_thread(read_rules, folder)
        except AndonError as error:
            _log.warning("the Sigma rules stay as they were: %s", error.message)
            return
        for problem in set(rules.problems) - set(self._rules.problems):
            _log.warning("a Sigma rule is left out: %s", problem)
        self._rules = rules

    async def _count_own_logins(self) -> None:
        """Count who failed to log in at Andon itself since the last look."""

        def read(tx: Tx) -> tuple[int, int]:
            if self._seen_seq < 0:
                return tx.last_seq(), 0
            rows = tx.events(after=self._seen_seq, stream="org", type=LOGINS)
            times = sum(map(_times, rows))
            return max([self._seen_seq, *(one.seq for one in rows)]), times

        self._seen_seq, times = await self._store.read(read)
        if times:
            with self._turn:
                self._logins.add(OWN, "", int(self._clock.now() * NS), times)

    async def _claim(self, signals: Iterable[Signal], now: float) -> None:
        """Say as Evidence which services look attacked, and when they no longer do."""
        bad: dict[tuple[str, str], Signal] = {}
        for one in signals:
            if one.severity != "info" and one.environment:
                bad.setdefault((one.service, one.environment), one)
        if self._claimed is None:
            self._claimed = await self._store.read(_failing)
        begun, over = bad.keys() - self._claimed, self._claimed - bad.keys()
        if not (begun or over):
            return

        def write(tx: Tx) -> None:
            for place in sorted(begun):
                _put(tx, self._turns, place, bad[place], now)
            for place in sorted(over):
                _put(tx, self._turns, place, None, now)

        await self._store.transact(write)
        self._claimed = set(bad)


class Together:
    """Several who say what is odd; one who cannot, just now, keeps the others from nothing.

    Args:
        askers: They.
    """

    def __init__(self, *askers: Asker) -> None:
        self._askers = askers

    async def look(self, firing: Sequence[Object], now: float) -> list[Incoming]:
        """Return what all of them say."""
        found: list[Incoming] = []
        for one in self._askers:
            try:
                found += await one.look(firing, now)
            except AndonError as error:
                _log.warning("%s cannot look: %s", type(one).__name__, error.message)
        return found


def alert_of(signal: Signal) -> Incoming:
    """Return a signal as an alert."""
    place = {"service": signal.service, "environment": signal.environment}
    return Incoming(
        source=SOURCE,
        labels={"alertname": signal.rule, **{k: v for k, v in place.items() if v}},
        severity=signal.severity,
        summary=f"{signal.title} ({signal.service or 'unknown'})",
        details=f"{signal.count} times; such as: {signal.example}",
        starts_at=signal.first_ns / NS,
    )


def _compile(kept: Mapping[str, SigmaFiles]) -> dict[str, Rules]:
    """Compile the rules of each repository by itself; they look at lines of its own services."""
    found = {}
    for repository, told in kept.items():
        try:
            rules = parse_rules(told.files, services=told.services, most_tests=MOST_TESTS)
        except UsageError as error:
            rules = Rules((), (f"{error.message}: {error.hint}",))
        found[repository] = Rules(rules.rules, (*told.problems, *rules.problems))
    return found


def _lost(repository: str, problems: Sequence[str]) -> Incoming:
    """Say that rules of a repository are left out: what they look for is not found."""
    return Incoming(
        source=SOURCE,
        labels={"alertname": LEFT_OUT, "repository": repository},
        severity="ticket",
        summary=f"{len(problems)} Sigma rules of {repository} are left out",
        details="; ".join(problems[:MOST_TOLD]),
    )


def _over(alert: Object) -> Incoming:
    return Incoming(
        source=SOURCE,
        labels=alert.spec.labels,
        severity=alert.spec.severity,
        summary=alert.spec.summary,
        resolved=True,
        resolution="not seen for a while",
    )


def _times(row: LedgerRow) -> int:
    """Return how often it happened: what repeats within a minute is written once."""
    content = event_body(row).get("data", {}).get("subject", {}).get("content", {})
    times = content.get("times", 1)
    return times if isinstance(times, int) else 1


def _failing(tx: Tx) -> set[tuple[str, str]]:
    found = tx.list(Selector(kind="Evidence", labels={"check": CHECK}))
    return {
        (one.spec.subject.service, one.spec.subject.environment)
        for one in found
        if one.spec.verdict == "Fail" and one.spec.source == SOURCE
    }


def _put(tx: Tx, turns: Turns, place: tuple[str, str], signal: Signal | None, now: float) -> None:
    service, environment = place
    message = f"{signal.title}: {signal.example}" if signal else "no signal goes on any more"
    value: Mapping[str, object] = {"rule": signal.rule, "level": signal.level} if signal else {}
    new = claim(
        name=f"security-{service}-{environment}",
        subject=Subject(service=service, environment=environment),
        check=CHECK,
        verdict="Fail" if signal else "Pass",
        source=SOURCE,
        now=now,
        message=message,
        value=dict(value),
    )
    known = tx.get("Evidence", new.name)
    if known is None:
        turns.create(tx, Decision(create=(new,)), now)
    else:
        turns.announce(tx, tx.put_spec(known, new.spec), now)
