"""One turn, inside one transaction: load what a controller declared, ask it, write all it decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from andon.api.v1.actions import AnyAction
from andon.api.v1.control import ActionRow, Ask, Controller, Decision, Selector, View
from andon.api.v1.records import TERMINAL, Object
from andon.kernel.clock import Randomness
from andon.kernel.ids import idempotency_key, new_uid
from andon.ports.store import PendingAction, Place, TaskRow, Tx

WAKE_LIMIT = 1000


def own_queue(action: AnyAction) -> Place:
    """Place an action in the queue of its type, without group or head start."""
    return Place(queue=type(action).__name__)


class Turns:
    """Takes turns for a set of controllers.

    Args:
        controllers: One a kind (and, for Runs, a type).
        randomness: Source of new identities.
        place_of: Where an action waits.
        ahead_seconds: Head start of a kind's turns, by the controller's kind.
    """

    def __init__(
        self,
        controllers: Sequence[Controller],
        randomness: Randomness,
        place_of: Callable[[AnyAction], Place] = own_queue,
        ahead_seconds: Mapping[str, float] | None = None,
    ) -> None:
        self._controllers: Mapping[str, Controller] = {one.kind: one for one in controllers}
        self._randomness = randomness
        self._place_of = place_of
        self._ahead_seconds = ahead_seconds or {}

    def controller_of(self, obj: Object) -> Controller | None:
        """Return who reconciles an object: by kind, or by kind and the label ``type``."""
        type = obj.labels.get("type", "")
        return self._controllers.get(f"{obj.kind}:{type}") or self._controllers.get(obj.kind)

    def take(
        self,
        tx: Tx,
        task: TaskRow,
        now: float,
        owner: str = "",
        at_once: Collection[str] = (),
    ) -> list[PendingAction]:
        """Take the turn of a claimed task.

        Args:
            tx: The transaction of this turn.
            task: As claimed.
            now: The time the controller sees.
            owner: Worker that takes the turn.
            at_once: Queues of which this worker performs everything without waiting.

        Returns:
            The intents this worker performs once the transaction is durable; others wait to be taken.

        Raises:
            Fenced: Another worker has claimed the task since.
        """
        obj = tx.get(task.kind, task.name)
        controller = self.controller_of(obj) if obj else None
        if obj is None or controller is None:
            tx.finish(task, None)
            return []
        decision = controller.reconcile(load_view(tx, obj, controller), now)
        asked = self.apply(tx, obj, decision, task.token, now, owner, at_once)
        tx.finish(task, decision.wake)
        return asked

    def apply(
        self,
        tx: Tx,
        obj: Object,
        decision: Decision,
        token: int,
        now: float,
        owner: str = "",
        at_once: Collection[str] = (),
    ) -> list[PendingAction]:
        """Write a decision: status, steps, new objects, events, samples and intents together."""
        for row in decision.steps:
            tx.put_step(obj.uid, row)
        tx.consume(decision.consumed)
        if decision.samples:
            tx.add_samples(obj.uid, decision.samples)
        for event in decision.events:
            tx.append(event, now)
        if decision.status is not None:
            self._announce(tx, obj, tx.put_status(obj, decision.status), now)
        for new in decision.create:
            created, is_new = tx.create(new, new_uid(now, self._randomness), now)
            if is_new:
                self._announce(tx, None, created, now)
        asked = (self._intend(tx, obj, ask, token, now, owner, at_once) for ask in decision.ask)
        return [pending for pending in asked if pending and pending.owner]

    def create(self, tx: Tx, decision: Decision, now: float) -> None:
        """Write what a command of a person decided: objects and events, no status of its own."""
        for new in decision.create:
            created, is_new = tx.create(new, new_uid(now, self._randomness), now)
            if is_new:
                self._announce(tx, None, created, now)
        for event in decision.events:
            tx.append(event, now)

    def _intend(
        self,
        tx: Tx,
        obj: Object,
        ask: Ask,
        token: int,
        now: float,
        owner: str,
        at_once: Collection[str],
    ) -> PendingAction | None:
        key = idempotency_key(obj.uid, obj.generation, ask.step, ask.attempt)
        row = ActionRow(key=key, step=ask.step, attempt=ask.attempt, action=ask.action)
        place = self._place_of(ask.action)
        mine = owner if place.queue in at_once and not place.group else ""
        if not tx.ask(obj.uid, row, token, now, place, mine):
            return None
        return PendingAction(obj.uid, obj.kind, obj.name, row, token, now, mine, place.queue)

    def _announce(self, tx: Tx, old: Object | None, new: Object, now: float) -> None:
        """Wake whoever cares about a change: the new object itself, and its observers."""
        if old is None and self.controller_of(new) is not None:
            self.wake(tx, new, now)
        if old is not None and not _is_news(old, new):
            return
        for selector in self._observers(new):
            self._wake(tx, selector, new, now)

    def _observers(self, changed: Object) -> list[Selector]:
        return [
            selector
            for controller in self._controllers.values()
            for selector in controller.wakes(changed)
        ]

    def wake_all(self, tx: Tx, now: float) -> None:
        """Wake everything that has not ended: a new worker trusts what is written, not what was due."""
        kinds = {kind.split(":", 1)[0] for kind in self._controllers}
        for kind in sorted(kinds):
            for obj in tx.list(Selector(kind=kind), limit=WAKE_LIMIT, newest_first=True):
                if not _is_over(obj):
                    self.wake(tx, obj, now)

    def wake(self, tx: Tx, obj: Object, due: float) -> None:
        """Have an object reconciled, with the head start of its kind."""
        type = obj.labels.get("type", "")
        ahead = self._ahead_seconds.get(f"{obj.kind}:{type}", self._ahead_seconds.get(obj.kind, 0))
        tx.wake(obj.kind, obj.name, due, ahead)

    def announce(self, tx: Tx, changed: Object, now: float) -> None:
        """Wake whoever cares about an object that a command changed."""
        for selector in self._observers(changed):
            self._wake(tx, selector, changed, now)

    def _wake(self, tx: Tx, selector: Selector, changed: Object, now: float) -> None:
        for obj in find(tx, selector):
            if obj.key != changed.key and not _is_over(obj):
                self.wake(tx, obj, now)


def load_view(tx: Tx, obj: Object, controller: Controller) -> View:
    """Load what a controller declared it must see."""
    return View(
        object=obj,
        steps=tx.steps_by_name(obj.uid),
        actions=tuple(tx.actions(obj.uid)),
        related={
            name: tuple(find(tx, selector)) for name, selector in controller.select(obj).items()
        },
    )


def find(tx: Tx, selector: Selector) -> list[Object]:
    """Return the objects a selector names, oldest first."""
    if selector.name:
        found = tx.get(selector.kind, selector.name)
        return [found] if found else []
    if selector.newest:
        newest = tx.list(selector, limit=selector.newest, newest_first=True)
        return newest[::-1]
    return tx.list(selector)


def _is_news(old: Object, new: Object) -> bool:
    """Say whether observers care: a phase that stays the same is no news."""
    phase = getattr(new.status, "phase", None)
    return phase is None or phase != getattr(old.status, "phase", None)


def _is_over(obj: Object) -> bool:
    return getattr(obj.status, "phase", "") in TERMINAL
