"""An outcome is committed with the turn it leads to, and never lost to a turn that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.actions import Done, Intent, Notify
from andon.api.v1.control import Ask, Decision, NewObject, Selector, View
from andon.api.v1.records import HoldSpec, HoldStatus, Object, Subject
from andon.ports.store import Store, Tx
from andon.runtime.engine import Engine
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import SeededRandomness
from andon.testing.polling import eventually

HOLD = HoldSpec(scope=Subject(service="web"), reason="r", source="person:ann")


class Counting:
    """Tells three times, one after the other; takes no turn with an outcome while it is broken."""

    kind = "Hold"
    broken = False

    def select(self, obj: Object) -> dict[str, Selector]:
        return {}

    def wakes(self, changed: Object) -> tuple[Selector, ...]:
        return ()

    def reconcile(self, view: View, now: float) -> Decision:
        done = [row for row in view.actions if row.outcome is not None]
        if done and self.broken:
            raise RuntimeError("no turn")
        count = int(view.object.status.lifted_at) + len(done)
        more = (Ask(step=f"tell-{count}", action=Notify(url="u", body={})),) if count < 3 else ()
        return Decision(
            status=HoldStatus(lifted_at=count), consumed=tuple(row.key for row in done), ask=more
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "a.db"), source="/t")
    yield opened
    opened.close()


async def work(
    store: Store, controller: Counting, until: Callable[[Tx], Any], performed: list[str]
) -> Engine:
    """Run an engine until something is so."""

    async def tell(action: Notify, intent: Intent) -> Done:
        performed.append(intent.key)
        return Done()

    turns = Turns([controller], SeededRandomness())
    engine = Engine(store, turns, {Notify: tell}, "w")
    await engine.start()
    new = NewObject(kind="Hold", name="h", spec=HOLD, status=HoldStatus())
    await store.transact(lambda tx: turns.create(tx, Decision(create=(new,)), tx.now()))
    running = asyncio.create_task(engine.run())
    await eventually(lambda: store.read(until))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return engine


def told(tx: Tx) -> bool:
    return bool(tx.require("Hold", "h").status.lifted_at == 3)


async def test_each_step_is_performed_once_in_its_order(store: Store):
    performed: list[str] = []
    await work(store, Counting(), told, performed)
    assert [key.split("/")[2] for key in performed] == ["tell-0", "tell-1", "tell-2"]
    assert await store.read(lambda tx: (tx.unfinished(), tx.next_due())) == ([], None)


async def test_an_outcome_whose_turn_fails_is_kept(store: Store):
    controller = Counting()
    controller.broken = True

    def kept(tx: Tx) -> bool:
        hold = tx.get("Hold", "h")
        return bool(hold and any(row.outcome for row in tx.actions(hold.uid)))

    performed: list[str] = []
    await work(store, controller, kept, performed)
    controller.broken = False
    await work(store, controller, told, performed)
    assert len(performed) == len(set(performed)) == 3


async def test_no_turn_follows_an_outcome_while_all_is_paused(store: Store):
    performed: list[str] = []
    holding = Counting()

    def paused(tx: Tx) -> bool:
        return bool(tx.get("Hold", "h"))

    await store.transact(lambda tx: tx.pause("moving"))
    await work(store, holding, paused, performed)
    assert performed == []
    await store.transact(lambda tx: tx.resume())
    await work(store, holding, told, performed)
    assert len(performed) == 3
