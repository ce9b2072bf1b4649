"""The store of a process that is alone with it: no threads, whose ways to each other cost more than they save.

Transactions that are asked for at once are committed together, when the loop has time; a read waits
for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from andon.ports.store import Tx
from andon.store.database import Database, Work
from andon.store.dialect import Connection

T = TypeVar("T")


class LoneDatabase(Database):
    """A ``Database`` whose work is done by whoever asks; it belongs to one loop."""

    patience: Callable[[], float] = staticmethod(lambda: 0.0)
    """Tells how many seconds a commit may wait for more to commit: while nobody waits for it."""
    _connection: Connection | None = None
    _group: list[Work] | None = None

    def _begin_to_write(self) -> None:
        """Have no writer."""

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction."""
        self._expect_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._group is None:
            self._group = []
            loop.call_later(self.patience(), self._commit_group)
        self._group.append((fn, future))
        return await future

    async def beside(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction."""
        return await self.transact(fn)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over what is committed."""
        self._expect_open()
        return self._read(fn)

    def close(self) -> None:
        """Finish what waits, then let go."""
        if not self._closed:
            self._commit_group()
            self._closed = True
            self._let_go()
            if self._connection is not None:
                self._connection.close()

    def _commit_group(self) -> None:
        group, self._group = self._group, None
        if group:
            self._connection = self._commit(self._connection, group)
