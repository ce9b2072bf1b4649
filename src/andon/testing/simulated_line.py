"""A whole line on a fake clock: the real store and controllers over a world in memory.

Deterministic and without waiting: turns are taken as they fall due, actions are performed at once,
and when nothing is due the clock jumps to what is next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, get_args

from andon.api.project import Definitions
from andon.api.v1.actions import AnyAction
from andon.api.v1.control import Controller
from andon.api.v1.records import TERMINAL, Object
from andon.app import shipping
from andon.kernel.errors import AndonError, Fenced
from andon.ports import Commit
from andon.ports.store import Limit, PendingAction, Store, TaskRow, Tx
from andon.runtime.performing import failure
from andon.runtime.turns import Turns
from andon.runtime.worker import PREFIX
from andon.testing.clock import FakeClock, SeededRandomness
from andon.testing.world import World

T = TypeVar("T")

WORKER = "test"
LEASE_SECONDS = 30 * 86400.0
TASK_SECONDS = 30.0
QUEUES = {type.__name__: Limit() for type in get_args(AnyAction)}
REPOSITORY = "/repositories/shop"
PAGER = "http://pager.example/hook"


class SimulatedLine:
    """Drives controllers by hand.

    Args:
        store: A real store.
        controllers: As in production.
        clock: The time.
        world: What actions act on.
        worker: Name of the worker it plays.
    """

    task_seconds = TASK_SECONDS
    """For how long turns are claimed."""

    def __init__(
        self,
        store: Store,
        controllers: Iterable[Controller],
        clock: FakeClock,
        world: World,
        worker: str = WORKER,
    ) -> None:
        self.worker = worker
        self.store = store
        self.clock = clock
        self.world = world
        self._controllers = list(controllers)
        self.turns = Turns(self._controllers, SeededRandomness(7))
        self._starts = 0
        self.policies: dict[str, Definitions] = {}
        """Definitions by revision, so that the adopted ones are found."""
        self._under_way: list[tuple[float, PendingAction]] = []
        self._reconciled_by: dict[str, str] = {}
        """Names of controllers by subject."""
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Let go of the event loop."""
        self._runner.close()

    def passing(self, point: str) -> None:
        """Pass a point where a crash may strike.

        Args:
            point: ``inside WORK`` (all is written, nothing committed), ``commit WORK`` (durable, but
                nobody knows yet), ``before ACTION`` or ``after ACTION``. Work is ``start``, ``claim``,
                ``turn CONTROLLER``, ``take``, ``retake``, ``outcome ACTION`` or what a person does.
        """

    def tx(self, fn: Callable[[Tx], T], work: str = "command") -> T:
        """Run a function in a transaction.

        Args:
            fn: The function.
            work: What it does, as points name it.
        """

        def within(tx: Tx) -> T:
            result = fn(tx)
            self.passing(f"inside {work}")
            return result

        result = self._wait(self.store.transact(within))
        self.passing(f"commit {work}")
        return result

    def look(self, fn: Callable[[Tx], T]) -> T:
        """Run a function over a snapshot."""
        return self._wait(self.store.read(fn))

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        # What a Runner does around each run for the keyboard's sake costs more than the transaction.
        return self._runner.get_loop().run_until_complete(answer)

    def start(self) -> None:
        """Take the lease and perform again what was left without outcome."""
        now = self.clock.now()
        self._under_way = []
        self._starts += 1

        def begin(tx: Tx) -> None:
            tx.release(self.worker)
            tx.acquire(PREFIX + self.worker, self.worker, now, LEASE_SECONDS)

        self.tx(begin, "start")
        for pending in self._take():
            self._begin(pending)

    def _take(self) -> list[PendingAction]:
        now = self.clock.now()
        if not self.look(lambda tx: tx.takeable(QUEUES, now)):
            return []
        return self.tx(lambda tx: tx.take_actions(self.worker, QUEUES, now, 64), "take")

    def restart(self) -> None:
        """Kill the control plane and start another: only what is stored is left."""
        self.turns = Turns(self._controllers, SeededRandomness(7 + self._starts))
        self.start()

    def ship(self, definitions: Definitions, sha: str, message: str, *, until: str = "") -> Object:
        """Put a commit on the line, with itself as policy unless an earlier one was adopted."""
        self.world.messages[sha] = message
        self.policies[sha] = definitions
        setting = shipping.policy_setting(REPOSITORY)
        revision = self.look(lambda tx: tx.get_setting(setting)) or sha
        loaded = shipping.Loaded(
            commit=Commit(sha=sha, author="Ada", message=message, committed_at=self.clock.now()),
            repository=REPOSITORY,
            ref="main",
            own=definitions,
            policy=self.policies[revision],
            policy_revision=revision,
            next_policy=sha,
            next_rules=definitions,
        )
        change, _ = self.tx(
            lambda tx: shipping.put_change(
                tx,
                self.turns,
                loaded,
                until=until,
                notify=(PAGER,),
                by="ada",
                now=self.clock.now(),
            )
        )
        return change

    # --- driving ---------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do everything that is due now; False if there was nothing."""
        now = self.clock.now()
        due = [pending for at, pending in self._under_way if at <= now]
        self._under_way = [(at, pending) for at, pending in self._under_way if at > now]
        for pending in due:
            self._perform(pending)
        tasks = self._claim(now) if self._due() else []
        for task in tasks:
            for pending in self._turn(task, now):
                self._begin(pending)
        taken = self._take()
        for pending in taken:
            self._begin(pending)
        return bool(due or tasks or taken) or self._remember()

    def _claim(self, now: float) -> list[TaskRow]:
        return self.tx(lambda tx: tx.claim(self.worker, now, self.task_seconds, 64), "claim")

    def _turn(self, task: TaskRow, now: float) -> list[PendingAction]:
        try:
            return self.tx(
                lambda tx: self.turns.take(tx, task, now, self.worker, QUEUES),
                f"turn {self._controller_of(task)}",
            )
        except Fenced:
            return []

    def _controller_of(self, task: TaskRow) -> str:
        subject = f"{task.kind}/{task.name}"
        if subject not in self._reconciled_by:
            found = self.look(lambda tx: tx.get(task.kind, task.name))
            controller = self.turns.controller_of(found) if found else None
            self._reconciled_by[subject] = controller.kind if controller else "nobody"
        return self._reconciled_by[subject]

    def _remember(self) -> bool:
        """Perform what is ours and lies idle: a commit whose answer was lost left it behind."""
        known = {pending.row.key for _, pending in self._under_way}
        idle = [
            one
            for one in self.look(lambda tx: tx.unfinished())
            if one.owner == self.worker and one.row.key not in known
        ]
        for pending in idle:
            self._begin(pending)
        return bool(idle)

    def _due(self) -> bool:
        due = self.look(lambda tx: tx.next_due())
        return due is not None and due <= self.clock.now()

    def _begin(self, pending: PendingAction) -> None:
        seconds = self.world.takes_seconds(pending.row.action, pending.row.key)
        if seconds:
            self._under_way.append((self.clock.now() + seconds, pending))
        else:
            self._perform(pending)

    def _perform(self, pending: PendingAction) -> None:
        try:
            token, outcome = self._outcome(pending)
            self._record(pending, token, outcome)
        except Fenced:
            pass  # another worker performs it now

    def _outcome(self, pending: PendingAction) -> tuple[int, Any]:
        """Perform; when the world has seen something newer, with a newer token if it is still ours."""
        action, key, token = pending.row.action, pending.row.key, pending.token
        name = type(action).__name__
        self.passing(f"before {name}")
        while True:
            try:
                outcome: Any = self.world.perform(action, key, token)
            except Fenced:
                old = token
                token = self.tx(lambda tx, old=old: tx.retake(key, old), "retake")  # type: ignore[misc]
                continue
            except AndonError as error:
                outcome = failure(error)
            self.passing(f"after {name}")
            return token, outcome

    def _record(self, pending: PendingAction, token: int, outcome: Any) -> None:
        now = self.clock.now()

        def record(tx: Tx) -> None:
            tx.set_outcome(pending.row.key, token, outcome, now)
            tx.wake(pending.kind, pending.name, now)

        self.tx(record, f"outcome {type(pending.row.action).__name__}")

    def run_until(self, done: Callable[[], bool], within_seconds: float = 3600) -> bool:
        """Let time pass until something is so; False if it is not in time."""
        end = self.clock.now() + within_seconds
        while not done():
            while not self.step():
                due = self._next()
                if due is None or due > end:
                    self.clock.advance_to(end)
                    self.step()
                    return done()
                self.clock.advance_to(due)
        return True

    def _next(self) -> float | None:
        due = self.look(lambda tx: tx.next_due())
        moments = [at for at, _ in self._under_way]
        return min(moments if due is None else [due, *moments], default=None)

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(lambda: False, seconds)

    # --- looking ---------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        return self.look(lambda tx: tx.require(kind, name))

    def phase(self, kind: str, name: str) -> str:
        """Return an object's phase; empty if there is no such object."""
        found = self.look(lambda tx: tx.get(kind, name))
        return str(found.status.phase) if found else ""

    def is_over(self, kind: str, name: str) -> bool:
        """Say whether it has ended."""
        return self.phase(kind, name) in TERMINAL

    def ledger(self) -> list[str]:
        """Return the ledger as ``type subject`` lines."""
        rows = self.look(lambda tx: tx.events(limit=10000))
        return [f"{_short(row.type)} {row.subject}" for row in rows]

    def command(self, fn: Callable[[Tx, Turns, float], T]) -> T:
        """Run one of ``andon.app.commands``."""
        return self.tx(lambda tx: fn(tx, self.turns, self.clock.now()))


def _short(type: str) -> str:
    parts = type.removeprefix("dev.cdevents.").removeprefix("dev.cdeventsx.andon-").split(".")
    return ".".join(parts[:2])
