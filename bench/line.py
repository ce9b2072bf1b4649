"""A real engine over a real store, whose actions end at once: what benchmarks drive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from andon.api.v1.actions import Action
from andon.api.v1.control import Controller, Decision, NewObject
from andon.app.work.queueing import TURNS_AHEAD_SECONDS, place_of
from andon.ports.store import Tx
from andon.runtime.engine import Engine
from andon.runtime.performing import Perform
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store

LOOK_SECONDS = 0.05


class Cost(NamedTuple):
    """What something took, by the clock and of the processor, in seconds."""

    wall: float
    processor: float


class Line:
    """A store with an engine, which runs within ``async with``.

    Args:
        database: Path or address.
        controllers: Who decides.
        performers: Who acts.
        worker: Its name.
    """

    def __init__(
        self,
        database: str | Path,
        controllers: list[Controller],
        performers: Mapping[type[Action], Perform],
        worker: str = "bench",
    ) -> None:
        self.store = open_store(str(database), source="/andon/bench")
        self.turns = Turns(controllers, SystemRandomness(), place_of, TURNS_AHEAD_SECONDS)
        self._engine = Engine(self.store, self.turns, performers, worker)

    _running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Line:
        await self._engine.start()
        self._running = asyncio.create_task(self._engine.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._running is not None
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        await self._engine.leave()
        self.store.close()

    async def create(self, *objects: NewObject) -> None:
        """Create objects, and wake their controllers."""
        await self.store.transact(
            lambda tx: self.turns.create(tx, Decision(create=objects), tx.now())
        )

    async def until(self, so: Callable[[Tx], Any]) -> None:
        """Look now and then until something is so."""
        while not await self.store.read(so):
            if self._running is not None and self._running.done():
                self._running.result()
            await asyncio.sleep(LOOK_SECONDS)

    async def run(self, run: NewObject) -> Cost:
        """Return what a Run costs from its creation to its last durable turn."""
        before = time.process_time()
        await self.create(run)
        await self.until(lambda tx: tx.require("Run", run.name).status.finished_at)
        spent = time.process_time() - before
        ended = await self.store.read(lambda tx: tx.require("Run", run.name))
        return Cost(ended.status.finished_at - ended.created_at, spent)
