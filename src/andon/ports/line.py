"""The line as people and programs meet it: what the web layer asks and the control plane answers.

Every answer is plain JSON of a shape in ``andon.api.v1.answers``. Times are seconds since the Unix epoch,
UTC; 0 or absent means "not yet".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from andon.api.v1 import answers
from andon.ports.asking import Asked
from andon.ports.book import LedgerBook
from andon.ports.events import IntakeService, SubscriptionService
from andon.ports.news import News, Sees

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

    async def ship(
        self,
        *,
        repository: str,
        ref: str,
        until: str,
        asked: Asked,
        may: Callable[[str], bool] = ...,
    ) -> answers.Shipped:
        """Take a commit onto the line.

        Args:
            repository: Path or URL.
            ref: Branch, tag or sha.
            until: Environment to stop after; empty: as far as the gates allow.
            asked: Who asks.
            may: Says in which environments they may ship; without it, in all.

        Raises:
            Denied: The way to ``until`` leads through another.
        """
        ...

    async def knows(self, repository: str) -> bool:
        """Say whether rules of a repository are in force: it was shipped by exactly this name."""
        ...

    async def status(self, *, environment: str = "") -> answers.Status:
        """Say what runs where and what moves."""
        ...

    async def why(
        self, subject: str, *, environment: str = "", sees: Sees | None = None
    ) -> answers.Why:
        """Explain what holds a change, service, environment, run or digest, and what would open it.

        Args:
            subject: Its name.
            environment: Only there; empty: everywhere.
            sees: Whether something of an environment may be told; None: all of it.
        """
        ...

    async def diff(self, *, repository: str, ref: str, environment: str) -> answers.Diff:
        """Say what a ship would change in an environment."""
        ...

    async def hold(
        self, *, scope: Mapping[str, str], reason: str, asked: Asked, expires_seconds: float = 0
    ) -> answers.Hold:
        """Pull the cord.

        Args:
            scope: Fields of a Subject; at least one.
            reason: Why, for the people who will ask.
            asked: Who pulls.
            expires_seconds: Lifted by itself after this long; 0: never.
        """
        ...

    async def holds(self, *, all: bool = False) -> list[answers.Hold]:
        """List Holds that hold, newest first; with ``all``, lifted and expired ones, too."""
        ...

    async def find_hold(self, name: str) -> answers.Hold:
        """Return a ``hold``."""
        ...

    async def environment_named(self, subject: str) -> str:
        """Return the environment that a subject is or is in; empty: none."""
        ...

    async def place_of(self, kind: str, name: str) -> str:
        """Say in which environment a Hold or Run is; empty: in none."""
        ...

    async def lift(self, name: str, *, asked: Asked, reason: str) -> answers.Hold:
        """Lift a Hold; returns it."""
        ...

    async def unlatch(
        self, *, environment: str, subject: str, asked: Asked, reason: str
    ) -> answers.Lifted:
        """Let what failed in an environment be tried again.

        Args:
            environment: Where it failed.
            subject: The service, or the (abbreviated) digest.
            asked: Who takes the decision.
            reason: Why it is safe now.
        """
        ...

    async def rollback(
        self, *, environment: str, service: str, asked: Asked, reason: str
    ) -> answers.Run:
        """Go back to the previous version; returns the ``run`` that does it."""
        ...

    async def cancel(self, run: str, *, asked: Asked, reason: str) -> answers.CancelledRun:
        """Have a Run end with its clean-up steps, wherever it stands; asking again changes nothing.

        Args:
            run: Its name, or an unambiguous beginning.
            asked: Who asks.
            reason: Why.
        """
        ...

    async def approve(
        self,
        change: str,
        *,
        environment: str,
        asked: Asked,
        reason: str,
        job: str = "",
        fix: str = "",
    ) -> answers.Approval:
        """Record a person's consent; the same person consenting again changes nothing.

        Args:
            change: The Change.
            environment: Where it may go; empty with ``job``.
            asked: Who consents.
            reason: What they looked at.
            job: The job of its Pipeline that waits for it, instead of an environment.
            fix: What they call the Change besides: ``security`` or ``incident``, which budgets let pass.

        Raises:
            Denied: It is their own Change, or their consent does not count there.
        """
        ...

    async def withdraw(
        self, change: str, *, environment: str, asked: Asked, reason: str, job: str = ""
    ) -> answers.Approval:
        """Take one's consent back while what it is for has not begun; returns the ``approval``."""
        ...

    async def runs(
        self, *, filters: Mapping[str, str], limit: int = 50, after: str = ""
    ) -> list[answers.Run]:
        """List Runs, newest first.

        Args:
            filters: Any of ``type, phase, change, service, environment``.
            limit: At most this many.
            after: Name of the last Run of the page before.
        """
        ...

    async def run(self, name: str) -> answers.RunWithSteps:
        """Return a ``run`` with ``steps: [step]``; an unambiguous beginning of its name will do."""
        ...

    async def log(
        self, run: str, *, step: str, offset: int = 0, max_bytes: int = 65536
    ) -> answers.LogPiece:
        """Read a step's captured log."""
        ...

    async def change(self, name: str) -> answers.ChangeWithRuns:
        """Return a Change by name or (abbreviated) sha."""
        ...

    async def changes(self, *, limit: int = 50, after: str = "") -> list[answers.Change]:
        """List Changes, newest first; ``after``: behind the one of that name."""
        ...

    async def schedules(self) -> list[answers.ScheduleRow]:
        """List what is scheduled, the next one first."""
        ...

    async def incidents(self) -> list[answers.Incident]:
        """List incidents, newest first."""
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
    ) -> list[answers.Event]:
        """List events in order of their sequence."""
        ...

    async def ledger_event(self, id: str) -> answers.EventInFull:
        """Return ``{event, body, causes: [event], effects: [event]}``; body is the CloudEvent."""
        ...

    @property
    def book(self) -> LedgerBook:
        """What keeps the ledger."""
        ...

    async def queue(self) -> answers.Queue:
        """Say what waits, what is under way, who works, and what was given up."""
        ...

    async def retry_letter(self, *, queue: str, subject: str, asked: Asked) -> answers.DeadLetter:
        """Have a turn that was given up taken again; the letter."""
        ...

    async def drop_letter(
        self, *, queue: str, subject: str, asked: Asked, reason: str
    ) -> answers.DeadLetter:
        """Forget work that was given up; the letter."""
        ...

    async def watch(
        self, *, repository: str, branch: str, interval_seconds: float
    ) -> answers.NewWatch:
        """Ship every new commit of a branch by itself: ``{repository, branch, intervalSeconds}``."""
        ...

    async def unwatch(self, *, repository: str, branch: str) -> answers.Branch:
        """Stop that."""
        ...

    async def watches(self) -> list[answers.Watch]:
        """List watched branches, with ``sha`` last seen and ``message`` if it cannot be reached."""
        ...

    async def objects(self, kind: str, *, labels: Mapping[str, str]) -> list[answers.Document]:
        """List stored objects of a kind."""
        ...

    async def object(self, kind: str, name: str) -> answers.Document:
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

    @property
    def moment(self) -> int:
        """Tell one moment from the next: another number once anything was written here."""
        ...

    async def note(self, asked: Asked) -> None:
        """Write down a privilege used for what is not one transaction, before it is used."""
        ...

    async def metrics(self) -> str:
        """Return Andon's own metrics in the Prometheus text format."""
        ...

    async def health(self) -> answers.Health:
        """Return ``{ok, version, state, pid, startedAt, agent: {...}, gateway: {...}}``."""
        ...
