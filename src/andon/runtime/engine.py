"""The loop: claim due objects, take their turns, perform the intents, commit the outcomes.

A wait is a row with a due time. After a crash every intent without outcome is performed again with
the same key: ports are idempotent by key, so that finds what was done or finishes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from andon.api.v1.actions import Action, ActionFailed, AnyOutcome, Intent
from andon.kernel.clock import Clock
from andon.kernel.errors import (
    AndonError,
    Fenced,
    InternalError,
    InvalidDocument,
    StepFailed,
)
from andon.ports.store import PendingAction, Store, TaskRow, Tx
from andon.runtime.turns import LEASE, Turns

log = logging.getLogger("andon.runtime")

T = TypeVar("T")
Perform = Callable[[Any, Intent], Awaitable[Any]]

CLAIM_LIMIT = 64
CLAIM_SECONDS = 30.0
LEASE_SECONDS = 10.0
LONGEST_SLEEP_SECONDS = 5.0
POISONED_PAUSE_SECONDS = 5.0
STORE_PAUSE_SECONDS = 1.0


class Engine:
    """Drives controllers over a store.

    Args:
        store: The durable store.
        turns: The controllers.
        performers: The port method that takes each type of action.
        clock: The time.
        owner: Who this worker is, for the lease.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        performers: Mapping[type[Action], Perform],
        clock: Clock,
        owner: str,
    ) -> None:
        self._store = store
        self._turns = turns
        self._performers = performers
        self._clock = clock
        self._owner = owner
        self._epoch = 0
        self._woken = asyncio.Event()
        self._performing: dict[str, asyncio.Task[None]] = {}
        self.problems: dict[str, str] = {}
        """Objects whose turn could not be taken, with the reason."""

    @property
    def epoch(self) -> int:
        """The epoch this worker writes under."""
        return self._epoch

    async def start(self) -> None:
        """Take the lease, and perform again what a crash left without outcome.

        Raises:
            Conflict: Another worker holds the lease.
        """
        now = self._clock.now()
        self._epoch = await self._store.transact(
            lambda tx: tx.acquire(LEASE, self._owner, now, LEASE_SECONDS)
        )
        await self._store.transact(lambda tx: self._turns.wake_all(tx, now))
        for pending in await self._store.transact(lambda tx: tx.unfinished()):
            self._perform(pending)

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            Fenced: A newer worker has taken over.
        """
        loop = asyncio.get_running_loop()

        def woken() -> None:
            loop.call_soon_threadsafe(self._woken.set)

        unsubscribe = self._store.subscribe(woken)
        renewing = asyncio.create_task(self._keep_lease())
        working = asyncio.create_task(self._work())
        try:
            done, _ = await asyncio.wait({renewing, working}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            unsubscribe()
            await self._cancel({renewing, working, *self._performing.values()})

    async def _cancel(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _durably(self, write: Callable[[Tx], T]) -> T:
        """Write, and write again while the store says that only the moment is bad (a full disk)."""
        while True:
            try:
                return await self._store.transact(write)
            except AndonError as error:
                if not error.retry:
                    raise
                log.warning("the store cannot write, trying again: %s", error)
                self.problems["store"] = error.message
            await asyncio.sleep(STORE_PAUSE_SECONDS)

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await self._durably(self._renew)

    def _renew(self, tx: Tx) -> None:
        tx.renew(LEASE, self._owner, self._epoch, self._clock.now(), LEASE_SECONDS)

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            if not await self.step():
                await self._rest()

    async def step(self) -> int:
        """Take the turns that are due now; how many there were."""
        tasks = await self._durably(self._claim)
        self.problems.pop("store", None)
        await asyncio.gather(*(self._turn(task) for task in tasks))
        return len(tasks)

    def _claim(self, tx: Tx) -> list[TaskRow]:
        now = self._clock.now()
        return tx.claim(self._owner, self._epoch, now, CLAIM_SECONDS, CLAIM_LIMIT)

    async def _turn(self, task: TaskRow) -> None:
        subject = f"{task.kind}/{task.name}"
        now = self._clock.now()
        try:
            asked = await self._store.transact(
                lambda tx: self._turns.take(tx, task, self._epoch, now)
            )
        except Fenced:
            raise
        except Exception as error:
            # One object that cannot be judged must not stop the others; it is looked at again later.
            log.exception("turn of %s failed", subject)
            self.problems[subject] = str(error) or type(error).__name__
            await self._durably(lambda tx: tx.finish(task, now + POISONED_PAUSE_SECONDS))
            return
        self.problems.pop(subject, None)
        for pending in asked:
            self._perform(pending)

    async def _rest(self) -> None:
        due = await self._store.read(lambda tx: tx.next_due())
        pause = LONGEST_SLEEP_SECONDS
        if due is not None:
            pause = min(pause, max(0.0, due - self._clock.now()))
        try:
            await asyncio.wait_for(self._woken.wait(), pause)
        except TimeoutError:
            pass

    # --- actions ---------------------------------------------------------------------------------

    def _perform(self, pending: PendingAction) -> None:
        key = pending.row.key
        task = asyncio.create_task(self._carry_out(pending), name=key)
        self._performing[key] = task
        task.add_done_callback(lambda _: self._performing.pop(key, None))

    async def _carry_out(self, pending: PendingAction) -> None:
        outcome = await self._outcome(pending)

        def record(tx: Tx) -> None:
            now = self._clock.now()
            tx.check_epoch(LEASE, self._epoch)
            tx.set_outcome(pending.row.key, outcome, now)
            tx.wake(pending.kind, pending.name, now)

        await self._durably(record)

    async def _outcome(self, pending: PendingAction) -> AnyOutcome:
        action = pending.row.action
        perform = self._performers[type(action)]
        try:
            outcome: AnyOutcome = await perform(
                action, Intent(key=pending.row.key, epoch=self._epoch)
            )
        except AndonError as error:
            return failure(error)
        except Exception as error:
            log.exception("%s failed", pending.row.key)
            return failure(InternalError(f"{type(action).__name__}: {error!r}"))
        return outcome

    async def settle(self) -> None:
        """Wait until no intent is being performed."""
        while self._performing:
            await asyncio.gather(*self._performing.values(), return_exceptions=True)


CHANGES_FAULT = (StepFailed, InvalidDocument)
"""Errors that the change itself brought about; all others are the machine's."""


def failure(error: AndonError) -> ActionFailed:
    """Turn an error into an outcome.

    >>> failure(StepFailed("exit code 1")).fault
    'change'
    """
    return ActionFailed(
        code=error.code,
        message=error.message,
        hint=error.hint,
        fault="change" if isinstance(error, CHANGES_FAULT) else "machine",
        retry=error.retry,
    )
