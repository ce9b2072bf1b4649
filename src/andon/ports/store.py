"""The durable store: objects, steps, actions, ledger and tasks behind one transaction.

Everything inside a transaction is synchronous; ``Store`` says where it runs. Times are seconds since
the Unix epoch and come from the caller.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from andon.api.v1.actions import AnyOutcome
from andon.api.v1.control import ActionRow, Event, NewObject, Selector
from andon.api.v1.records import Object, StepRow

T = TypeVar("T")


class TaskRow(Struct, frozen=True):
    """A claimed task: an object that is due to be reconciled.

    Args:
        kind: Kind of the object.
        name: Its name.
        due: When it became due, in seconds since the Unix epoch.
        epoch: Epoch it was claimed under.
        attempts: Claims since it last finished, this one included.
    """

    kind: str
    name: str
    due: float
    epoch: int
    attempts: int


class LedgerRow(Struct, frozen=True):
    """An event as the ledger keeps it.

    Args:
        seq: Position in the whole ledger; readers resume after it.
        stream: Chain it belongs to.
        n: Position in that chain, from 1.
        id: Id of the event.
        type: CDEvents type.
        subject: Id of the subject.
        chain: Groups all events of one Change.
        time: When it was appended.
        body: JSON of the whole CloudEvent, keys sorted; empty once erased.
        body_digest: Digest of the body; the hash covers this instead of the body, and all the rest.
        prev_hash: Hash of the row before it in the chain.
        hash: Hash of this row.
    """

    seq: int
    stream: str
    n: int
    id: str
    type: str
    subject: str
    chain: str
    time: float
    body: bytes
    body_digest: str
    prev_hash: str
    hash: str


class PendingAction(Struct, frozen=True):
    """An action row with the object it belongs to and the epoch that asked for it."""

    uid: str
    kind: str
    name: str
    row: ActionRow
    epoch: int
    created_at: float


class Tx(Protocol):
    """One transaction; a snapshot when it came from ``Store.read``, which may not write."""

    # --- objects ---------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None."""
        ...

    def require(self, kind: str, name: str) -> Object:
        """Return an object.

        Raises:
            NotFound: There is none; the hint names the nearest ones.
        """
        ...

    def list(
        self, selector: Selector, *, limit: int = 1000, after: str = "", newest_first: bool = False
    ) -> builtins.list[Object]:
        """Return the objects a selector matches, oldest first by uid.

        Args:
            selector: Kind, labels (all must match) and name.
            limit: At most so many.
            after: Go on behind this uid.
            newest_first: Turn the order around.
        """
        ...

    def create(self, new: NewObject, uid: str, now: float) -> tuple[Object, bool]:
        """Create an object unless one of that kind and name exists.

        Returns:
            The object there is now, and whether this call created it.
        """
        ...

    def put_status(self, obj: Object, status: Any) -> Object:
        """Write a status if nobody changed the object since it was read.

        Raises:
            Conflict: Somebody did.
        """
        ...

    def put_spec(self, obj: Object, spec: Any, labels: dict[str, str] | None = None) -> Object:
        """Write the spec of a definition (and its labels, unless None).

        The generation grows by one if the spec differs; an equal write changes nothing.

        Raises:
            Conflict: Somebody changed the object since it was read.
        """
        ...

    # --- steps and actions -----------------------------------------------------------------------

    def steps(self, uid: str) -> builtins.list[StepRow]:
        """Return the steps of a Run by position."""
        ...

    def put_step(self, uid: str, row: StepRow) -> None:
        """Write a step, replacing the one of that name."""
        ...

    def ask(self, uid: str, row: ActionRow, epoch: int, now: float) -> bool:
        """Commit an intent; False if its key was already asked."""
        ...

    def actions(self, uid: str) -> builtins.list[ActionRow]:
        """Return an object's actions that were not consumed, in the order they were asked."""
        ...

    def set_outcome(self, key: str, outcome: AnyOutcome, now: float) -> bool:
        """Write an action's outcome; False if it already has one.

        Raises:
            NotFound: No such action.
        """
        ...

    def consume(self, keys: Sequence[str]) -> None:
        """Put actions away: observations are deleted, others marked."""
        ...

    def unfinished(self) -> builtins.list[PendingAction]:
        """Return all intents without outcome, to be probed after a crash."""
        ...

    def action(self, key: str) -> PendingAction | None:
        """Return one action, consumed or not."""
        ...

    # --- ledger ----------------------------------------------------------------------------------

    def append(self, event: Event, now: float) -> int | None:
        """Append an event to its stream; its ``seq``, or None if that id is already there."""
        ...

    def events(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        limit: int = 1000,
    ) -> builtins.list[LedgerRow]:
        """Return events by ``seq``; empty filters match everything.

        Args:
            after: Only events with a greater ``seq``.
            stream: Only this stream.
            chain: Only events of this Change.
            subject: Only about this subject.
            type: Only this type; one that ends in a dot is a prefix (``dev.cdevents.service.``).
            limit: At most so many.
        """
        ...

    def event(self, id: str) -> LedgerRow | None:
        """Return one event."""
        ...

    def linked(self, id: str) -> tuple[builtins.list[str], builtins.list[str]]:
        """Return the ids an event points to, and the ids of events that point to it."""
        ...

    def heads(self) -> dict[str, tuple[int, str]]:
        """Return each stream's last position and hash."""
        ...

    def last_seq(self) -> int:
        """Return the ``seq`` of the newest event; 0 if there is none."""
        ...

    def add_samples(self, uid: str, bodies: Sequence[dict[str, Any]]) -> None:
        """Keep raw observations of a Run."""
        ...

    def samples(self, uid: str, after: int = 0) -> builtins.list[dict[str, Any]]:
        """Return them in order, without the first ``after``."""
        ...

    # --- tasks and leases ------------------------------------------------------------------------

    def wake(self, kind: str, name: str, due: float) -> None:
        """Have an object reconciled at ``due`` or earlier; never lost, not even during a claim."""
        ...

    def claim(
        self, owner: str, epoch: int, now: float, lease_seconds: float, limit: int
    ) -> builtins.list[TaskRow]:
        """Take tasks that are due and free (or whose lease is over), the longest due first."""
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

    def next_due(self) -> float | None:
        """Return when the next task can be claimed; None if there is none."""
        ...

    def acquire(self, lease: str, owner: str, now: float, ttl_seconds: float) -> int:
        """Take a lease; every acquisition gets a greater epoch than all before it.

        Raises:
            Conflict: Another owner holds it; the message says who, and until when.
        """
        ...

    def renew(self, lease: str, owner: str, epoch: int, now: float, ttl_seconds: float) -> None:
        """Keep a lease.

        Raises:
            Fenced: It was acquired again since.
        """
        ...

    def check_epoch(self, lease: str, epoch: int) -> None:
        """Refuse to go on under an old epoch.

        Raises:
            Fenced: A newer epoch exists.
        """
        ...

    # --- settings --------------------------------------------------------------------------------

    def get_setting(self, key: str) -> str | None:
        """Return a setting, or None."""
        ...

    def put_setting(self, key: str, value: str) -> None:
        """Write a setting."""
        ...


class Store(Protocol):
    """The database of one installation."""

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction.

        Functions that wait are committed together, each in a savepoint of its own: an exception
        rolls back its own work only and reaches its own caller. The future resolves when the commit
        is on disk. The function runs on the writer's thread and must not block or keep the Tx.
        """
        ...

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over a consistent snapshot, on a reader's thread."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be called after each commit that woke tasks or appended events.

        The callback runs on a thread of the store: hand over to an event loop by
        ``loop.call_soon_threadsafe``, and return at once.

        Returns:
            A function that ends the subscription.
        """
        ...

    def close(self) -> None:
        """Finish what waits, then let go of the database."""
        ...
