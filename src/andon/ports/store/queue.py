"""The queue: what is due, who works on it, and who was replaced."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from andon.api.v1.actions import AnyOutcome
from andon.api.v1.control import ActionRow


class TaskRow(Struct, frozen=True):
    """A claimed task: an object that is due to be reconciled.

    Args:
        kind: Kind of the object.
        name: Its name.
        due: When it became due, in seconds since the Unix epoch.
        token: Token it was claimed under.
        attempts: Claims since a turn of it last succeeded, this one included.
    """

    kind: str
    name: str
    due: float
    token: int
    attempts: int


class QueuedTask(Struct, frozen=True):
    """A task that is due, or claimed.

    Args:
        kind: Kind of the object.
        name: Its name.
        due: When it became due.
        owner: Worker that takes its turn; empty: nobody yet.
        attempts: How often its turn was tried since one succeeded.
    """

    kind: str
    name: str
    due: float
    owner: str
    attempts: int


class PendingAction(Struct, frozen=True):
    """An action row with the object it belongs to.

    Args:
        uid: Of the object.
        kind: Its kind.
        name: Its name.
        row: The action.
        token: Token it is performed under; the outcome is accepted under no other.
        created_at: When it was asked.
        owner: Worker that performs it; empty: nobody yet.
        queue: Queue it waits in.
    """

    uid: str
    kind: str
    name: str
    row: ActionRow
    token: int
    created_at: float
    owner: str = ""
    queue: str = ""


class Place(Struct, frozen=True, kw_only=True):
    """Where an action waits, and for what.

    Args:
        queue: Its queue; workers say which queues they take from, and how much.
        group: Of all actions of a group one is performed at a time, in the order they were asked;
            empty: no group.
        ahead_seconds: Head start. What waits longer than this goes first, so nothing starves.
    """

    queue: str
    group: str = ""
    ahead_seconds: float = 0.0


class Limit(Struct, frozen=True, kw_only=True):
    """How much of a queue goes on, over all workers.

    Args:
        at_once: So many at the same time; 0: any number.
        per_second: So many begun a second, in the long run; 0: any number.
        burst: So many at once after a rest.
    """

    at_once: int = 0
    per_second: float = 0.0
    burst: int = 1


class DeadLetter(Struct, frozen=True, kw_only=True):
    """Work that failed so often that only a person, or a change, brings it back.

    Args:
        queue: ``turns``, or the subscriber it could not be delivered to.
        subject: What it is about: ``Kind/name``, or the id of an event.
        error: What went wrong the last time.
        attempts: How often it was tried.
        at: When it was given up.
    """

    queue: str
    subject: str
    error: str
    attempts: int
    at: float


class Queue(Protocol):
    """The part of a transaction that queues work.

    Tokens only grow: each claim, each taking of actions and each acquisition of a lease draws a fresh
    one, and whoever writes under a token that another has replaced is refused.
    """

    # --- actions ---------------------------------------------------------------------------------

    def ask(
        self, uid: str, row: ActionRow, token: int, now: float, place: Place, owner: str = ""
    ) -> bool:
        """Commit an intent.

        Args:
            uid: Of the object.
            row: The action.
            token: Of the claim that asks.
            now: When.
            place: Where it waits.
            owner: Worker that performs it at once; empty: whoever takes it.

        Returns:
            False if its key was already asked.
        """
        ...

    def actions(self, uid: str) -> builtins.list[ActionRow]:
        """Return an object's actions that were not consumed, in the order they were asked."""
        ...

    def take_actions(
        self, owner: str, queues: Mapping[str, Limit], now: float, limit: int
    ) -> builtins.list[PendingAction]:
        """Take intents that nobody performs, or whose worker's lease is over, within the limits."""
        ...

    def takeable(self, queues: Mapping[str, Limit], now: float) -> bool:
        """Say whether ``take_actions`` may find something."""
        ...

    def retake(self, key: str, token: int) -> int:
        """Draw a newer token for an action one performs, as an applier refused the one it had.

        Raises:
            Fenced: Another worker performs it now, or it has ended.
        """
        ...

    def set_outcome(self, key: str, token: int, outcome: AnyOutcome, now: float) -> None:
        """Write an action's outcome.

        Raises:
            Fenced: It was taken by another worker since, has an outcome already, or was put away.
        """
        ...

    def consume(self, keys: Sequence[str]) -> None:
        """Put actions away: observations are deleted, others marked."""
        ...

    def unfinished(self) -> builtins.list[PendingAction]:
        """Return all intents without outcome."""
        ...

    def action(self, key: str) -> PendingAction | None:
        """Return one action, consumed or not."""
        ...

    # --- tasks -----------------------------------------------------------------------------------

    def wake(self, kind: str, name: str, due: float, ahead_seconds: float = 0.0) -> None:
        """Have an object reconciled at ``due`` or earlier; never lost, not even during a claim.

        Args:
            kind: Kind of the object.
            name: Its name.
            due: When, in seconds since the Unix epoch.
            ahead_seconds: Head start before others that are due.
        """
        ...

    def claim(
        self, owner: str, now: float, lease_seconds: float, limit: int
    ) -> builtins.list[TaskRow]:
        """Take tasks that are due and free, or whose lease is over; nothing while paused."""
        ...

    def claim_one(self, kind: str, name: str, owner: str, now: float) -> TaskRow | None:
        """Take one task, due or not, for a turn within this very transaction.

        Returns:
            None if another claim of it goes on, there is no such task, or all is paused.
        """
        ...

    def finish(self, task: TaskRow, next_due: float | None) -> None:
        """Give a task back; an earlier wake that came meanwhile is kept.

        Args:
            task: As claimed.
            next_due: When to look again; None: when something wakes it.

        Raises:
            Fenced: Somebody else claimed it since.
        """
        ...

    def fail(self, task: TaskRow, error: str, next_due: float | None, now: float) -> None:
        """Give a task back whose turn could not be taken.

        Args:
            task: As claimed.
            error: Why.
            next_due: When to try again; None: it becomes a dead letter, tried again when a person
                says so or something wakes it.
            now: When this happened.

        Raises:
            Fenced: Somebody else claimed it since.
        """
        ...

    def next_due(self) -> float | None:
        """Return when the next task can be claimed; None if there is none."""
        ...

    def due_tasks(self, now: float, limit: int) -> builtins.list[QueuedTask]:
        """Return what is claimed or due, in the order it will be claimed."""
        ...

    # --- dead letters ----------------------------------------------------------------------------

    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter, replacing an earlier one of that queue and subject."""
        ...

    def dead_letters(self, queue: str = "") -> builtins.list[DeadLetter]:
        """Return dead letters, the oldest first; empty: of all queues."""
        ...

    def unbury(self, queue: str, subject: str) -> DeadLetter:
        """Take a dead letter away, to try its work again or to forget it.

        Raises:
            NotFound: There is none.
        """
        ...

    # --- workers and leases ----------------------------------------------------------------------

    def acquire(self, lease: str, owner: str, now: float, ttl_seconds: float) -> int:
        """Take a lease; the token that proves it.

        Raises:
            Conflict: Another owner holds it; the message says who, and until when.
        """
        ...

    def renew(self, lease: str, token: int, now: float, ttl_seconds: float) -> None:
        """Keep a lease.

        Raises:
            Fenced: It was acquired again since, or given back.
        """
        ...

    def check_lease(self, lease: str, token: int) -> None:
        """Refuse to go on with a lease that another has acquired.

        Raises:
            Fenced: Another has.
        """
        ...

    def release(self, owner: str) -> None:
        """Free all tasks, actions and leases of an owner: it has ended, or its former self is dead."""
        ...

    def leases(self) -> builtins.list[tuple[str, str, int, float]]:
        """Return every lease: name, owner, token, until."""
        ...

    def draw_above(self, token: int) -> None:
        """Never draw a token that is not greater than this one."""
        ...

    # --- pausing ---------------------------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Have nothing claimed and no action taken by any worker until ``resume``."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...

    def paused(self) -> str:
        """Return why nothing is claimed; empty while work goes on."""
        ...
