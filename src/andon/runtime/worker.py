"""A worker among others: its name, its lease, and what being replaced means."""

from __future__ import annotations

from msgspec import Struct

from andon.ports.store import Store, Tx

LEASE_SECONDS = 10.0
PREFIX = "worker/"


class Pace(Struct, frozen=True):
    """What follows from the time within which a dead worker's work goes on elsewhere.

    Args:
        lease_seconds: That time.
    """

    lease_seconds: float = LEASE_SECONDS

    @property
    def ttl_seconds(self) -> float:
        """How long a lease lasts: with the others' poll it makes up the promised time."""
        return 0.7 * self.lease_seconds

    @property
    def beat_seconds(self) -> float:
        """How often leases are renewed, and how long a worker sleeps at most."""
        return 0.2 * self.lease_seconds

    @property
    def idle_seconds(self) -> float:
        """How long a transaction may do nothing before the database ends it."""
        return 0.5 * self.lease_seconds


class Worker:
    """This process's place among the workers.

    Args:
        store: The durable store.
        name: Unique; two processes never run under one name at the same time.
        pace: How fast others notice its end.
    """

    def __init__(self, store: Store, name: str, pace: Pace) -> None:
        self._store = store
        self.name = name
        self.pace = pace
        self.token = 0

    async def start(self) -> None:
        """Take the lease, and free what a former process of this name had taken."""

        def begin(tx: Tx) -> int:
            tx.release(self.name)
            return tx.acquire(PREFIX + self.name, self.name, tx.now(), self.pace.ttl_seconds)

        self.token = await self._store.transact(begin)

    async def renew(self) -> None:
        """Stay alive in the eyes of the others.

        Raises:
            Fenced: Another process works under this name.
        """
        await self._store.beside(
            lambda tx: tx.renew(PREFIX + self.name, self.token, tx.now(), self.pace.ttl_seconds)
        )

    async def end(self) -> None:
        """Leave, so that others need not wait for the lease to end."""
        await self._store.transact(lambda tx: tx.release(self.name))
