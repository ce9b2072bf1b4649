"""The store of a process that is alone with it: no threads, whose ways to each other cost more than they save.

Transactions that are asked for at once are committed together, when the loop has time; a read waits
for nobody. Only the disk is waited for elsewhere: meanwhile the loop goes on, and the next group gathers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from andon.ports.store import Tx
from andon.store.database import Database, Work, Written
from andon.store.dialect import Connection

T = TypeVar("T")


class LoneDatabase(Database):
    """A ``Database`` whose work is done by whoever asks; it belongs to one loop."""

    patience: Callable[[], float] = staticmethod(lambda: 0.0)
    """Tells how many seconds a commit may wait for more to commit: while nobody waits for it."""
    _connection: Connection | None = None
    _group: list[Work] | None = None
    _written: Written | None = None
    _on_disk: Future[None]
    _is_overdue = False

    def _begin_to_write(self) -> None:
        """Have no writer."""

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Run a function in a durable transaction."""
        self._expect_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._group is None:
            self._group = []
            loop.call_later(self.patience(), self._commit_group, loop)
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
            self._wait()
            group, self._group = self._group, None
            if group:
                self._connection = self._commit(self._connection, group)
            self._closed = True
            self._let_go()
            if self._connection is not None:
                self._connection.close()

    def _commit_group(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._written is not None:
            self._is_overdue = True
            return
        group, self._group = self._group, None
        if group is None:  # It was closed meanwhile.
            return
        self._written = self._write_down(self._connection, group)
        if self._written is None:
            self._connection = None
            return
        self._on_disk = self._claimer.submit(self._end, self._written)
        self._on_disk.add_done_callback(lambda _: _call(loop, self._go_on, loop))

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wait()
        if self._is_overdue:
            self._is_overdue = False
            self._commit_group(loop)

    def _wait(self) -> None:
        """Have what is written down on disk, and tell who asked for it."""
        written, self._written = self._written, None
        if written is not None:
            self._connection = self._settle(written, lambda _: self._on_disk.result())


def _call(loop: asyncio.AbstractEventLoop, fn: Callable[..., None], *what: object) -> None:
    """Call something on a loop, unless it was closed meanwhile."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(fn, *what)
