"""A store that is asked again while only the moment is bad: a full disk, a database that restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx

log = logging.getLogger("andon.runtime")

T = TypeVar("T")

PAUSE_SECONDS = 1.0


class Patience:
    """Writes and reads until it succeeds, or fails for a reason that waiting does not mend.

    A commit whose answer was lost may have happened: whoever writes through this must be refused, or
    change nothing, the second time.

    Args:
        store: The durable store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.trouble = ""
        """What the store said last, while it does not work."""

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        """Write in turn with others."""
        return await self._patiently(lambda: self._store.transact(fn))

    async def beside(self, fn: Callable[[Tx], T]) -> T:
        """Write beside others."""
        return await self._patiently(lambda: self._store.beside(fn))

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Read."""
        return await self._patiently(lambda: self._store.read(fn))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        said = ""
        while True:
            try:
                answer = await ask()
            except AndonError as error:
                if not error.retry:
                    raise
                if error.message != said:
                    log.warning("the store does not answer, trying again: %s", error)
                self.trouble = said = error.message
            else:
                self.trouble = ""
                return answer
            await asyncio.sleep(PAUSE_SECONDS)
