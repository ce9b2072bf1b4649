"""The durable store: objects, steps, actions, ledger and tasks behind one transaction.

Everything inside a transaction is synchronous; ``Store`` says where it runs. Times are seconds since
the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from andon.ports.store.ledger import (
    Checkpoint,
    Finding,
    Ledger,
    LedgerRow,
    Segment,
    Verification,
)
from andon.ports.store.objects import Objects
from andon.ports.store.outbox import Delivering, Outbox, Subscriber, Subscription
from andon.ports.store.queue import (
    DeadLetter,
    Limit,
    PendingAction,
    Place,
    Queue,
    QueuedTask,
    TaskRow,
)

__all__ = [
    "Checkpoint",
    "DeadLetter",
    "Delivering",
    "Finding",
    "LedgerRow",
    "Limit",
    "PendingAction",
    "Place",
    "QueuedTask",
    "Segment",
    "Store",
    "Subscriber",
    "Subscription",
    "TaskRow",
    "Tx",
    "Verification",
]

T = TypeVar("T")


class Tx(Objects, Queue, Ledger, Outbox, Protocol):
    """One transaction; a snapshot when it came from ``Store.read``, which may not write."""

    def now(self) -> float:
        """Return the time leases go by: the database's own where several workers share it."""
        ...


class Store(Protocol):
    """The database of one installation."""

    @property
    def commits(self) -> int:
        """How often this process has written; grows before a writer is answered."""
        ...

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction.

        Functions that wait are committed together, each in a savepoint of its own: an exception
        rolls back its own work only and reaches its own caller. The future resolves when the commit
        is on disk. The function runs on the writer's thread and must not block or keep the Tx.
        """
        ...

    async def beside(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction beside the writers, without taking turns with them.

        Only for what locks its own rows and reads nothing else: claims and leases.
        """
        ...

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over a consistent snapshot, on a reader's thread."""
        ...

    async def verify(self) -> Verification:
        """Recompute every chain; a long ledger in processes of their own, beside all other work."""
        ...

    async def wipe(self) -> bool:
        """Overwrite what was erased in the files that are ours.

        Returns:
            Whether that is done; the server of a database does it in its own time.
        """
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
