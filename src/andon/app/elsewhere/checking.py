"""Asks running systems what the control plane's Checks say, from where this worker is."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from andon.adapters.checks import Place, ask
from andon.adapters.outbound import Guard
from andon.api.v1.checks import CheckResult, CheckSpec
from andon.app.elsewhere.talking import ControlPlane
from andon.domains.observability.checking import slot_at
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, NotFound

LOOK_SECONDS = 0.5
ORDERS_EVERY_SECONDS = 15.0
TELL_EVERY_SECONDS = 2.0
MOST_WAITING = 1000
"""Results while the control plane is away: older ones are of no use to anybody by then."""

_log = logging.getLogger("andon.worker")


class Asker:
    """Asks what is due, and tells what came of it.

    Args:
        worker: What this worker is called.
        plane: Who gives orders.
        clock: The time.
        guard: Where it may ask.
    """

    def __init__(self, worker: str, plane: ControlPlane, clock: Clock, guard: Guard) -> None:
        self._worker = worker
        self._plane = plane
        self._clock = clock
        self._place = Place(guard=guard, address_of=_no_gateway, now=clock.now, worker=worker)
        self._orders: dict[str, CheckSpec] = {}
        self._asked: dict[str, float] = {}
        self._waiting: list[CheckResult] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Ask and tell, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._tell())
            while True:
                self.turn()
                await asyncio.sleep(LOOK_SECONDS)

    def turn(self) -> None:
        """Begin what is due and not asked yet."""
        now = self._clock.now()
        for name, spec in self._orders.items():
            slot = slot_at(name, spec.every_seconds, now)
            # What was due before this worker knew of it is not asked late.
            if self._asked.setdefault(name, slot) < slot and name not in self._tasks:
                self._asked[name] = slot
                task = asyncio.create_task(self._ask(name, spec, slot))
                self._tasks[name] = task
                task.add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, _: asyncio.Task[None]) -> None:
        del self._tasks[name]

    async def _ask(self, name: str, spec: CheckSpec, slot: float) -> None:
        result = await asyncio.to_thread(ask, name, spec, self._place, slot=slot)
        self._waiting = [*self._waiting, result][-MOST_WAITING:]

    async def _hear(self) -> None:
        while True:
            try:
                self._orders = await self._plane.checks(self._worker)
            except AndonError as error:
                _log.info("no checks from the control plane: %s", error)
            await asyncio.sleep(ORDERS_EVERY_SECONDS)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_SECONDS)
            told, self._waiting = self._waiting, []
            if told:
                try:
                    await self._plane.tell(self._worker, told)
                except AndonError as error:
                    _log.warning("%d results of checks were refused: %s", len(told), error)


def _no_gateway(environment: str, service: str) -> str:
    raise NotFound(
        f"the gateway of {service} in {environment} is on another machine",
        hint="give the Check the address that users know",
    )
