"""A turn writes all that was decided, or nothing, and never asks the same thing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.api.v1.actions import Done, Notify
from andon.api.v1.control import Ask, Decision, Event, NewObject, Selector, View
from andon.api.v1.records import HoldSpec, HoldStatus, Object, Subject
from andon.kernel.errors import Fenced
from andon.ports.store import PendingAction, Place, Store
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import SeededRandomness

NOW = 1_700_000_000.0
HOLD = HoldSpec(scope=Subject(service="web"), reason="r", source="person:ann")


class Teller:
    """A controller that tells twice, one thing after the other, and ends."""

    kind = "Hold"
    breaks = False

    def select(self, obj: Object) -> dict[str, Selector]:
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        done = [row for row in view.actions if row.outcome is not None]
        event = Event(id="told", stream="org", type="dev.cdeventsx.andon-x.told.0.1.0", subject="x")
        return Decision(
            status=HoldStatus(lift_reason="told"),
            events=(event,),
            ask=tuple(
                Ask(step=one, action=Notify(url="u", body={})) for one in ("first", "second")
            ),
            consumed=tuple(row.key for row in done),
            create=(NewObject(kind="Nothing", name="x", spec=1, status=1),) if self.breaks else (),
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "a.db"), source="/t")
    yield opened
    opened.close()


def take(store: Store, teller: Teller, stops_seconds: float = 0) -> list[PendingAction]:
    turns = Turns([teller], SeededRandomness())

    async def turn() -> list[PendingAction]:
        new = NewObject(kind="Hold", name="h", spec=HOLD, status=HoldStatus())
        await store.transact(lambda tx: turns.create(tx, Decision(create=(new,)), NOW))
        await store.transact(lambda tx: tx.wake("Hold", "h", NOW))
        (task,) = await store.beside(lambda tx: tx.claim("w", NOW, 30, 1))
        if stops_seconds:
            later = NOW + stops_seconds
            await store.beside(lambda tx: tx.claim("other", later, 30, 1))
        return await store.transact(lambda tx: turns.take(tx, task, NOW, "w", {"Notify"}))

    return asyncio.run(turn())


def events(store: Store) -> list[str]:
    return [row.id for row in asyncio.run(store.read(lambda tx: tx.events()))]


def test_a_turn_that_fails_leaves_no_event_no_status_and_no_intent(store: Store):
    teller = Teller()
    teller.breaks = True
    with pytest.raises(Exception, match="no kind Nothing"):
        take(store, teller)
    assert events(store) == []
    assert asyncio.run(store.read(lambda tx: tx.require("Hold", "h"))).status == HoldStatus()
    assert asyncio.run(store.read(lambda tx: tx.unfinished())) == []


def test_each_intent_has_a_key_of_its_own_and_is_asked_once(store: Store):
    first = take(store, Teller())
    assert len({pending.row.key for pending in first}) == len(first) == 2
    assert take(store, Teller()) == []
    assert events(store) == ["told"]


def test_an_outcome_that_was_used_is_not_seen_again(store: Store):
    (first, _) = take(store, Teller())
    asyncio.run(store.transact(lambda tx: tx.set_outcome(first.row.key, first.token, Done(), NOW)))
    take(store, Teller())
    left = asyncio.run(store.read(lambda tx: tx.actions(first.uid)))
    assert first.row.key not in [row.key for row in left]


def test_a_worker_whose_claim_was_taken_over_writes_nothing(store: Store):
    with pytest.raises(Fenced):
        take(store, Teller(), stops_seconds=31)
    assert events(store) == []
    assert asyncio.run(store.read(lambda tx: tx.unfinished())) == []


def test_an_intent_of_a_limited_queue_waits_to_be_taken(store: Store):
    turns = Turns([Teller()], SeededRandomness(), lambda _: Place(queue="Slow"))

    async def turn() -> list[PendingAction]:
        new = NewObject(kind="Hold", name="h", spec=HOLD, status=HoldStatus())
        await store.transact(lambda tx: turns.create(tx, Decision(create=(new,)), NOW))
        (task,) = await store.beside(lambda tx: tx.claim("w", NOW, 30, 1))
        return await store.transact(lambda tx: turns.take(tx, task, NOW, "w", {"Notify"}))

    assert asyncio.run(turn()) == []
    waiting = asyncio.run(store.read(lambda tx: tx.unfinished()))
    assert [(one.owner, one.queue) for one in waiting] == [("", "Slow")] * 2
