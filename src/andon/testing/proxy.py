"""A way between two sides that can be held or cut at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Proxy:
    """Passes bytes on between its own port and another on the loopback address.

    Args:
        port: The other side's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._cut = False
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()
        self.cuts = 0
        """Connections cut so far."""

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        self.release()
        for task in self._pairs:
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)
        await asyncio.sleep(0)  # aborted connections are closed by the next turn of the loop

    def hold(self) -> None:
        """Keep answers back from now on; what is said still arrives."""
        self._flows.clear()

    def release(self) -> None:
        """Pass on what was held."""
        self._flows.set()

    def cut_next_answer(self) -> None:
        """When the next answer comes, drop it and both connections."""
        self._cut = True

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        task.add_done_callback(self._pairs.discard)
        writers = [back]
        try:
            far, forth = await asyncio.open_connection("127.0.0.1", self._port)
            writers.append(forth)
            await _first(self._forth(near, forth), self._back(far, back))
        except (OSError, asyncio.CancelledError):
            # A handler that ends cancelled makes the standard library complain.
            pass
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _forth(self, near: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        while said := await near.read(65536):
            forth.write(said)
            await forth.drain()

    async def _back(self, far: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while answer := await far.read(65536):
            await self._flows.wait()
            if self._cut:
                self._cut = False
                self.cuts += 1
                return
            back.write(answer)
            await back.drain()


async def _first(*parts: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
