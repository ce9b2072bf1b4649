"""A whole line on a fake clock: the real store and controllers over a world in memory.

Deterministic and without waiting: turns are taken as they fall due, actions are performed at once,
and when nothing is due the clock jumps to what is next.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from andon.api.project import Definitions
from andon.api.v1.actions import AnyAction
from andon.api.v1.control import Controller
from andon.api.v1.records import TERMINAL, Object
from andon.app import shipping
from andon.kernel.errors import AndonError, Fenced
from andon.ports import Commit
from andon.ports.store import Limit, PendingAction, Store, TaskRow, Tx
from andon.runtime.following import Following
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
AUTHOR = "Ada <ada@example.com>"
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
        self._next_due = math.inf
        """When the next turn is due, after a step in which there was nothing to do."""
        self.performing: frozenset[str] = frozenset()
        """Keys of what the present step performs, or the last one did."""
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
                ``turn CONTROLLER``, ``take``, ``retake``, ``outcome ACTION + turn CONTROLLER``,
                ``outcome ACTION`` (others of its object are under way) or what a person does.
        """

    def tx(self, fn: Callable[[Tx], T], work: str | Callable[[T], str] = "command") -> T:
        """Run a function in a transaction.

        Args:
            fn: The function.
            work: What it does, as points name it; or what it did, by its result.
        """

        def within(tx: Tx) -> T:
            result = fn(tx)
            self.passing(f"inside {_name(work, result)}")
            return result

        result = self._wait(self.store.transact(within))
        self.passing(f"commit {_name(work, result)}")
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
        self._following = Following(self.turns, self.worker, QUEUES)
        self._starts += 1

        def begin(tx: Tx) -> None:
            tx.release(self.worker)
            tx.acquire(PREFIX + self.worker, self.worker, now, LEASE_SECONDS)

        self.tx(begin, "start")
        if self.look(lambda tx: tx.takeable(QUEUES, now)):
            self._begin(self._take())

    def _take(self) -> list[PendingAction]:
        now = self.clock.now()
        return self.tx(lambda tx: tx.take_actions(self.worker, QUEUES, now, 64), "take")

    def restart(self) -> None:
        """Kill the control plane and start another: only what is stored is left."""
        self.turns = Turns(self._controllers, SeededRandomness(7 + self._starts))
        self.start()

    def ship(
        self,
        definitions: Definitions,
        sha: str,
        message: str,
        *,
        until: str = "",
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Object:
        """Put a commit on the line, with itself as policy unless an earlier one was adopted.

        Args:
            definitions: What it says.
            sha: Its id.
            message: Of the commit.
            until: Environment to stop after.
            facts: What else is known of it: ``ref``, ``event``, ``paths``, ``trusted``.
        """
        self.world.messages[sha] = message
        self.policies[sha] = definitions
        setting = shipping.policy_setting(REPOSITORY)
        revision = self.look(lambda tx: tx.get_setting(setting)) or sha
        loaded = shipping.Loaded(
            commit=Commit(sha=sha, author=AUTHOR, message=message, committed_at=self.clock.now()),
            repository=REPOSITORY,
            **{"ref": "main", **facts},
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

    def step(self, only: Collection[str] | None = None) -> bool:
        """Do everything that is due now; False if there was nothing.

        Args:
            only: Keys of what may be performed; None: all that is under way.
        """
        now = self.clock.now()
        due = {
            pending.row.key: pending
            for at, pending in self._under_way
            if at <= now and (only is None or pending.row.key in only)
        }
        self.performing = frozenset(due)
        self._under_way = [one for one in self._under_way if one[1].row.key not in due]
        for pending in due.values():
            self._begin(self._perform(pending))
        next_due, takeable = self.look(lambda tx: (tx.next_due(), tx.takeable(QUEUES, now)))
        self._next_due = math.inf if next_due is None else next_due
        tasks = self._claim(now) if self._next_due <= now else []
        for task in tasks:
            self._begin(self._turn(task, now))
        taken = self._take() if takeable else []
        self._begin(taken)
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

    def _controller_of(self, task: TaskRow | PendingAction) -> str:
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
        self._begin(idle)
        return bool(idle)

    def _begin(self, intents: Sequence[PendingAction]) -> None:
        """Have them be under way; what takes no time is performed in the next step."""
        now = self.clock.now()
        self._following.begun(intents)
        self._under_way += [
            (now + self.world.takes_seconds(one.row.action, one.row.key), one) for one in intents
        ]

    def _perform(self, pending: PendingAction) -> list[PendingAction]:
        """Perform; the intents that the outcome leads to."""
        try:
            token, outcome = self._outcome(pending)
            return self._record(pending, token, outcome)
        except Fenced:
            return []  # another worker performs it now
        finally:
            self._following.ended(pending)

    def _retaken(self, key: str, token: int) -> int:
        return self.tx(lambda tx: tx.retake(key, token), "retake")

    def _outcome(self, pending: PendingAction) -> tuple[int, Any]:
        """Perform; when the world has seen something newer, with a newer token if it is still ours."""
        action, key, token = pending.row.action, pending.row.key, pending.token
        name = type(action).__name__
        self.passing(f"before {name}")
        while True:
            try:
                outcome: Any = self.world.perform(action, key, token)
            except Fenced:
                token = self._retaken(key, token)
                continue
            except AndonError as error:
                outcome = failure(error)
            self.passing(f"after {name}")
            return token, outcome

    def _record(self, pending: PendingAction, token: int, outcome: Any) -> list[PendingAction]:
        name = f"outcome {type(pending.row.action).__name__}"
        what = pending, token, outcome, self.clock.now()
        if not self._following.is_alone(pending):
            self.tx(lambda tx: self._following.record(tx, *what), name)
            return []
        with_turn = f"{name} + turn {self._controller_of(pending)}"
        asked = self.tx(
            lambda tx: self._following.record_and_turn(tx, *what),
            lambda asked: name if asked is None else with_turn,
        )
        return asked or []

    def run_until(self, done: Callable[[], bool], within_seconds: float = 3600) -> bool:
        """Let time pass until something is so; False if it is not in time."""
        end = self.clock.now() + within_seconds
        while not done():
            while not self.step():
                due = min([self._next_due, *(at for at, _ in self._under_way)])
                if due > end:
                    self.clock.advance_to(end)
                    self.step()
                    return done()
                self.clock.advance_to(due)
        return True

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


def _name(work: str | Callable[[T], str], result: T) -> str:
    return work if isinstance(work, str) else work(result)


def _short(type: str) -> str:
    parts = type.removeprefix("dev.cdevents.").removeprefix("dev.cdeventsx.andon-").split(".")
    return ".".join(parts[:2])
