"""The loop: claim due objects, take their turns, perform the intents, commit the outcomes.

A wait is a row with a due time. After a crash every intent without outcome is performed again with
the same key: ports are idempotent by key, so that finds what was done or finishes it. Several workers
do this at once; whoever was replaced is refused by the row it wants to write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from andon.api.v1.actions import Action
from andon.api.v1.control import Event
from andon.kernel.errors import AndonError, Fenced
from andon.ports.store import Limit, PendingAction, Store, TaskRow, Tx
from andon.runtime.backoff import backoff_seconds
from andon.runtime.following import Following
from andon.runtime.patience import Patience
from andon.runtime.performing import Perform, Performing
from andon.runtime.together import until_one_ends
from andon.runtime.turns import Turns
from andon.runtime.worker import Pace, Worker

log = logging.getLogger("andon.runtime")

CLAIM_LIMIT = 64
TAKE_LIMIT = 64
HELD_BACK_SECONDS = 0.25
"""How soon a worker looks again for intents that a limit held back."""
MOST_ATTEMPTS = 10
"""A turn that failed so often is a dead letter."""


class Engine:
    """Drives controllers over a store.

    Args:
        store: The durable store.
        turns: The controllers.
        performers: The port method that takes each type of action; other workers perform the rest.
        worker: Name of this worker, unique among those that run.
        pace: How fast a dead worker's work goes on elsewhere.
        limits: How much of a queue goes on, over all workers; `<type>/<word>` is one beside the type's.
    """

    def __init__(
        self,
        store: Store,
        turns: Turns,
        performers: Mapping[type[Action], Perform],
        worker: str,
        pace: Pace | None = None,
        limits: Mapping[str, Limit] | None = None,
    ) -> None:
        self._subscribe = store.subscribe
        self._store = Patience(store)
        self._turns = turns
        self._worker = Worker(store, worker, pace or Pace())
        names = {type.__name__ for type in performers}
        wide = limits or {}
        names |= {name for name in wide if name.partition("/")[0] in names}
        self._queues = {name: wide.get(name, Limit()) for name in sorted(names)}
        self._at_once = frozenset(name for name, most in self._queues.items() if most == Limit())
        following = Following(turns, worker, self._at_once)
        self._performing = Performing(self._store, performers, following)
        self._woken = asyncio.Event()
        self._stuck: dict[str, str] = {}

    @property
    def epoch(self) -> int:
        """The token this worker lives under."""
        return self._worker.token

    @property
    def name(self) -> str:
        """Name of this worker."""
        return self._worker.name

    @property
    def problems(self) -> dict[str, str]:
        """What does not work here now: the store, or objects whose turn could not be taken."""
        trouble = {"store": self._store.trouble} if self._store.trouble else {}
        return {**self._stuck, **trouble}

    async def start(self) -> None:
        """Join the workers, and have everything looked at again."""
        await asyncio.gather(
            self._worker.start(),
            self._store.transact(lambda tx: self._turns.wake_all(tx, tx.now())),
        )

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            Fenced: Another process works under this worker's name.
        """
        loop = asyncio.get_running_loop()

        def woken() -> None:
            loop.call_soon_threadsafe(self._woken.set)

        unsubscribe = self._subscribe(woken)
        try:
            await until_one_ends(self._live(), self._work())
        finally:
            unsubscribe()
            await self._performing.cancel()

    async def leave(self) -> None:
        """Give back what this worker has, so that others need not wait."""
        await self._worker.end()

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(self._worker.pace.beat_seconds)
            try:
                await self._worker.renew()
                await self._remember()
            except AndonError as error:
                if not error.retry:
                    raise

    async def _remember(self) -> None:
        """Perform what is ours and lies idle: a commit whose answer was lost left it behind."""
        mine = await self._store.read(
            lambda tx: [one for one in tx.unfinished() if one.owner == self.name]
        )
        keys = self._performing.keys
        idle = [one for one in mine if one.row.key in self._left_before and one.row.key not in keys]
        self._left_before = frozenset(one.row.key for one in mine) - keys
        self._performing.begin(idle)

    _left_before: frozenset[str] = frozenset()

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            if not await self.step():
                await self._rest(self._pause_seconds)

    async def step(self) -> int:
        """Take the turns that are due now, and intents that wait; how many there were."""
        due_in, takeable = await self._store.read(self._look)
        tasks = await self._store.beside(self._claim) if due_in <= 0 else []
        await asyncio.gather(*(self._turn(task) for task in tasks))
        self._pause_seconds = HELD_BACK_SECONDS if takeable else due_in
        return len(tasks) + (await self._take() if takeable else 0)

    _pause_seconds = 0.0

    def _look(self, tx: Tx) -> tuple[float, bool]:
        """Return in how many seconds a claim may find something, and whether taking intents may."""
        longest, now = self._worker.pace.beat_seconds, tx.now()
        if tx.paused():
            return longest, False
        due = tx.next_due()
        return longest if due is None else min(longest, due - now), tx.takeable(self._queues, now)

    def _claim(self, tx: Tx) -> list[TaskRow]:
        return tx.claim(self.name, tx.now(), self._worker.pace.ttl_seconds, CLAIM_LIMIT)

    async def _turn(self, task: TaskRow) -> None:
        subject = f"{task.kind}/{task.name}"
        try:
            asked = await self._store.transact(
                lambda tx: self._turns.take(tx, task, tx.now(), self.name, self._at_once)
            )
        except Fenced as error:
            log.warning("turn of %s dropped: %s", subject, error.message)
            return
        except Exception as error:
            # One object that cannot be judged must not stop the others.
            log.exception("turn of %s failed", subject)
            self._stuck[subject] = str(error) or type(error).__name__
            await self._give_up(task, self._stuck[subject])
            return
        self._stuck.pop(subject, None)
        self._performing.begin(asked)

    async def _give_up(self, task: TaskRow, error: str) -> None:
        """Try the turn again later; in the end keep it for a person to see."""
        subject = f"{task.kind}/{task.name}"

        def write(tx: Tx) -> None:
            now = tx.now()
            if task.attempts < MOST_ATTEMPTS:
                tx.fail(task, error, now + backoff_seconds(subject, task.attempts), now)
                return
            tx.fail(task, error, None, now)
            tx.append(_abandoned(task, error), now)

        try:
            await self._store.transact(write)
        except Fenced:
            log.warning("%s is another worker's now", subject)

    async def _take(self) -> int:
        taken: list[PendingAction] = await self._store.transact(
            lambda tx: tx.take_actions(self.name, self._queues, tx.now(), TAKE_LIMIT)
        )
        self._performing.begin(taken)
        return len(taken)

    async def _rest(self, seconds: float) -> None:
        # Not ``wait_for``, which forgets that it was cancelled when both happen at once (Python 3.11).
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def settle(self) -> None:
        """Wait until no intent is being performed."""
        await self._performing.settle()


def _abandoned(task: TaskRow, error: str) -> Event:
    subject = f"{task.kind}/{task.name}"
    return Event(
        id=f"task/{subject}/abandoned/{task.token}",
        stream="org",
        type="dev.cdeventsx.andon-task.abandoned.0.1.0",
        subject=subject,
        data={"error": error, "attempts": task.attempts},
    )
