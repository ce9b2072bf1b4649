"""The line as people and programs meet it: what the web layer asks and the control plane answers.

Every answer is plain JSON: dicts, lists, strings, numbers, booleans and None, with camelCase names.
Times are seconds since the Unix epoch, UTC; 0 or absent means "not yet". Shapes that come back in
several answers are named here once:

``version``
    ``{digest, configHash, change, sha}``; empty strings where nothing is known.
``run``
    ``{name, type, change, sha, service, environment, version, phase, reason, message, weight,
    verdict, expectedSeconds, evidenceLog, evidenceThreshold, fitLog, fitThreshold, canaryRequests,
    canaryErrors, stableRequests, stableErrors, startedAt, verdictAt, zeroWeightAt, finishedAt}``.
    ``weight`` is percent; ``evidenceLog`` grows toward ``evidenceThreshold`` when the version harms,
    ``fitLog`` toward ``fitThreshold`` when it is fit to go on.
``step``
    ``{name, position, state, attempt, fault, message, log, startedAt, finishedAt}``.
``hold``
    ``{name, scope, scopeText, reason, source, lift, createdAt, expiresAt, liftedAt, opens}``;
    ``scope`` has the fields of ``andon.api.v1.records.Subject``, ``opens`` is the command that lifts it.
``missing``
    ``{check, environment, reason, since, opens, person}``; ``person`` says that only a person can
    provide it (an approval), not a step that is still going on.
``approval``
    ``{name, change, environment, by, reason, approvedAt, withdrawnAt}``.
``event``
    ``{kind: "event", seq, id, at, type, stream, chain, subject, text}``; ``text`` is one sentence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from andon.ports.asking import Asked
from andon.ports.book import LedgerBook
from andon.ports.events import IntakeService, SubscriptionService
from andon.ports.news import News

Json = dict[str, Any]


class LineService(Protocol):
    """Everything that may be asked of a running control plane.

    Every method raises ``AndonError``: NotFound for an unknown subject, UsageError for a question
    that cannot be put that way, Conflict, Denied or Held where the line's rules say so.
    """

    @property
    def subscriptions(self) -> SubscriptionService:
        """Who is told what happens."""
        ...

    @property
    def intake(self) -> IntakeService:
        """Where events of others come in."""
        ...

    @property
    def news(self) -> News:
        """Where readers hear what happens."""
        ...

    async def ship(self, *, repository: str, ref: str, until: str, asked: Asked) -> Json:
        """Take a commit onto the line.

        Args:
            repository: Path or URL.
            ref: Branch, tag or sha.
            until: Environment to stop after; empty: as far as the gates allow.
            asked: Who asks.

        Returns:
            ``{change, sha, message, created}``; ``created`` is False when that commit is on the line
            already.
        """
        ...

    async def status(self, *, environment: str = "") -> Json:
        """Say what runs where and what moves.

        Returns:
            ``{environments: [name in order of promotion], services: [{environment, service, address,
            version, phase, weight, canary: {version, run}|None, replicas: {ready, wanted},
            holds: [hold]}], changes: [change, newest 10 first], runs: [run, active ones],
            holds: [hold, unlifted], agent: {...}, gateway: {...}}``. ``phase`` is the newest Run's
            phase there, ``weight`` the percent of traffic of ``version``; ``canary.run`` is a ``run``.
        """
        ...

    async def why(self, subject: str, *, environment: str = "") -> Json:
        """Explain what holds a change, service, environment, run or digest, and what would open it.

        Returns:
            ``{subject, kind, open, summary, missing: [missing], holds: [hold],
            story: [{at, text}], evidence: [{name, check, verdict, message, source, observedAt}]}``.
        """
        ...

    async def diff(self, *, repository: str, ref: str, environment: str) -> Json:
        """Say what a ship would change in an environment.

        Returns:
            ``{environment, services: [{service, from: version|None, to: version|None,
            changes: [{field, from, to}]}]}``.
        """
        ...

    async def hold(
        self, *, scope: Mapping[str, str], reason: str, asked: Asked, expires_seconds: float = 0
    ) -> Json:
        """Pull the cord.

        Args:
            scope: Fields of a Subject; at least one.
            reason: Why, for the people who will ask.
            asked: Who pulls.
            expires_seconds: Lifted by itself after this long; 0: never.
        """
        ...

    async def holds(self, *, all: bool = False) -> list[Json]:
        """List Holds that hold, newest first; with ``all``, lifted and expired ones, too."""
        ...

    async def find_hold(self, name: str) -> Json:
        """Return a ``hold``."""
        ...

    async def environment_named(self, subject: str) -> str:
        """Return the environment that a subject is or is in; empty: none."""
        ...

    async def place_of(self, kind: str, name: str) -> str:
        """Say in which environment a Hold or Run is; empty: in none."""
        ...

    async def lift(self, name: str, *, asked: Asked, reason: str) -> Json:
        """Lift a Hold; returns it."""
        ...

    async def unlatch(self, *, environment: str, subject: str, asked: Asked, reason: str) -> Json:
        """Let what failed in an environment be tried again.

        Args:
            environment: Where it failed.
            subject: The service, or the (abbreviated) digest.
            asked: Who takes the decision.
            reason: Why it is safe now.

        Returns:
            ``{lifted: [hold]}``.
        """
        ...

    async def rollback(self, *, environment: str, service: str, asked: Asked, reason: str) -> Json:
        """Go back to the previous version; returns the ``run`` that does it."""
        ...

    async def cancel(self, run: str, *, asked: Asked, reason: str) -> Json:
        """Have a Run end with its clean-up steps, wherever it stands; asking again changes nothing.

        Args:
            run: Its name, or an unambiguous beginning.
            asked: Who asks.
            reason: Why.

        Returns:
            The ``run`` as it was then, with ``cancellation: {by, reason, askedAt, outlook}``;
            ``outlook`` says what becomes of it. It ends in the phase ``Cancelled``.
        """
        ...

    async def approve(self, change: str, *, environment: str, asked: Asked, reason: str) -> Json:
        """Record a person's consent; the same person consenting again changes nothing.

        Returns:
            The ``approval``.

        Raises:
            Denied: It is their own Change, or their consent does not count there.
        """
        ...

    async def withdraw(self, change: str, *, environment: str, asked: Asked, reason: str) -> Json:
        """Take one's consent back while the rollout has not begun; returns the ``approval``."""
        ...

    async def runs(
        self, *, filters: Mapping[str, str], limit: int = 50, after: str = ""
    ) -> list[Json]:
        """List Runs, newest first.

        Args:
            filters: Any of ``type, phase, change, service, environment``.
            limit: At most this many.
            after: Name of the last Run of the page before.
        """
        ...

    async def run(self, name: str) -> Json:
        """Return a ``run`` with ``steps: [step]``; an unambiguous beginning of its name will do."""
        ...

    async def log(self, run: str, *, step: str, offset: int = 0, max_bytes: int = 65536) -> Json:
        """Read a step's captured log.

        Returns:
            ``{run, step, data, offset, nextOffset, ended}``; ``ended`` once nothing will follow.
        """
        ...

    async def change(self, name: str) -> Json:
        """Return a Change by name or (abbreviated) sha.

        Returns:
            ``{name, sha, ref, repository, author, message, phase, statusMessage, until,
            environments: {environment: phase}, startedAt, finishedAt}``, and from ``change`` (not in
            lists) ``runs: [run]`` oldest first, each with ``steps``.
        """
        ...

    async def changes(self, *, limit: int = 50, after: str = "") -> list[Json]:
        """List Changes, newest first; ``after``: behind the one of that name."""
        ...

    async def schedules(self) -> list[Json]:
        """List what is scheduled, the next one first.

        Returns:
            ``{schedule, repository, pipeline, cron, timezone, missed, nextAt, nextLocal, lastAt,
            lastRun, lastPhase, lastMessage, missedCount}`` each; ``nextLocal`` is ISO 8601 in the
            entry's own zone, ``missedCount`` how often times were left out.
        """
        ...

    async def incidents(self) -> list[Json]:
        """List incidents, newest first.

        Returns:
            ``{name, title, service, environment, change, run, phase, severity, detectedAt,
            mitigatedAt, resolvedAt}`` each.
        """
        ...

    async def ledger(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        limit: int = 100,
    ) -> list[Json]:
        """List events in order of their sequence."""
        ...

    async def ledger_event(self, id: str) -> Json:
        """Return ``{event, body, causes: [event], effects: [event]}``; body is the CloudEvent."""
        ...

    @property
    def book(self) -> LedgerBook:
        """What keeps the ledger."""
        ...

    async def queue(self) -> Json:
        """Say what waits, what is under way, who works, and what was given up.

        Returns:
            ``{paused, workers: [{name, token, alive, leaseEndsIn}], leases: [{name, worker, token,
            endsIn}], turns: [{subject, due, worker, attempts}], actions: [{key, subject, step, queue,
            worker, token, askedAt}], deadLetters: [letter]}``, where a letter is
            ``{queue, subject, error, attempts, at}``.
        """
        ...

    async def retry_letter(self, *, queue: str, subject: str, asked: Asked) -> Json:
        """Have a turn that was given up taken again; the letter."""
        ...

    async def drop_letter(self, *, queue: str, subject: str, asked: Asked, reason: str) -> Json:
        """Forget work that was given up; the letter."""
        ...

    async def watch(self, *, repository: str, branch: str, interval_seconds: float) -> Json:
        """Ship every new commit of a branch by itself: ``{repository, branch, intervalSeconds}``."""
        ...

    async def unwatch(self, *, repository: str, branch: str) -> Json:
        """Stop that."""
        ...

    async def watches(self) -> list[Json]:
        """List watched branches, with ``sha`` last seen and ``message`` if it cannot be reached."""
        ...

    async def objects(self, kind: str, *, labels: Mapping[str, str]) -> list[Json]:
        """List stored objects of a kind."""
        ...

    async def object(self, kind: str, name: str) -> Json:
        """Return one stored object."""
        ...

    def events(self, after: int) -> AsyncIterator[Json]:
        """Yield what happens, for ever.

        Args:
            after: Sequence of the last event seen; negative: only what is new.

        Yields:
            ``event`` for ledger events, in order and without a gap; ``{kind: "progress", run: run}``
            whenever a Run's numbers moved.
        """
        ...

    async def note(self, asked: Asked) -> None:
        """Write down a privilege used for what is not one transaction, before it is used."""
        ...

    async def metrics(self) -> str:
        """Return Andon's own metrics in the Prometheus text format."""
        ...

    async def health(self) -> Json:
        """Return ``{ok, version, state, pid, startedAt, agent: {...}, gateway: {...}}``."""
        ...
