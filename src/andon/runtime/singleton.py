"""Work that only one worker does at a time: a lease row with a token, taken over when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from andon.kernel.errors import AndonError, Conflict, Fenced
from andon.ports.store import Store, Tx
from andon.runtime.together import until_one_ends
from andon.runtime.worker import Pace

Guard = Callable[[Tx], None]
"""Called inside each transaction of the work: refuses when another worker has taken over."""


class Singleton:
    """Does something on one of the workers, and on another when that one is gone.

    Args:
        store: The durable store.
        lease: Name of the lease.
        worker: Who this is.
        pace: How fast others notice its end.
        work: Runs until cancelled while the lease is held; checks the guard in what it writes.
    """

    def __init__(
        self,
        store: Store,
        lease: str,
        worker: str,
        pace: Pace,
        work: Callable[[Guard], Awaitable[None]],
    ) -> None:
        self._store = store
        self._lease = lease
        self._worker = worker
        self._pace = pace
        self._work = work

    async def run(self) -> None:
        """Hold the lease or wait for it, until cancelled."""
        while True:
            with contextlib.suppress(Conflict):
                await self._hold()
            await asyncio.sleep(self._pace.beat_seconds)

    async def _hold(self) -> None:
        ttl_seconds = self._pace.ttl_seconds
        try:
            token = await self._store.beside(
                lambda tx: tx.acquire(self._lease, self._worker, tx.now(), ttl_seconds)
            )
        except AndonError as error:
            if error.retry:
                return
            raise

        def guard(tx: Tx) -> None:
            tx.check_lease(self._lease, token)

        await until_one_ends(self._work(guard), self._keep(token))

    async def _keep(self, token: int) -> None:
        ttl_seconds = self._pace.ttl_seconds
        while True:
            await asyncio.sleep(self._pace.beat_seconds)
            try:
                await self._store.beside(
                    lambda tx: tx.renew(self._lease, token, tx.now(), ttl_seconds)
                )
            except Fenced:
                raise
            except AndonError as error:
                if not error.retry:
                    raise
