"""Rules of the policy branch are objects while it says so, and what they were known to say is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.definitions import Definition, Metadata
from andon.api.v1.objectives import Exclusion, ObjectiveSpec
from andon.api.v1.records import Object
from andon.app.parts import controllers
from andon.app.telemetry.rules import rules_of, take_in
from andon.domains.reliability.report import exclusion_key
from andon.ports.store import Store
from andon.runtime.system import SystemRandomness
from andon.runtime.turns import Turns
from andon.store import open_store

MOVE = Exclusion(start="2026-03-10", end="2026-03-11", reason="the move", agreed="2026-03-01")


class World:
    """A store that rules are taken into."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turns = Turns(controllers(), SystemRandomness())

    def take(
        self, revision: str, now: float, *told: Definition, repository: str = "/srv/shop"
    ) -> None:
        self.do(lambda tx: take_in(tx, self.turns, repository, revision, told, now))

    def do(self, fn: Any) -> Any:
        return asyncio.run(self.store.transact(fn))

    def rules(self) -> dict[str, Object]:
        return self.do(lambda tx: rules_of(tx, "Objective"))

    def told(self) -> list[str]:
        rows = self.do(lambda tx: tx.events(type="dev.cdeventsx.andon-rule."))
        return [f"{row.type.split('.')[3]} {row.subject}" for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path}/andon.db", source="/andon/test")
    yield World(store)
    store.close()


def objective(name: str = "shop", target: float = 0.99, **more: Any) -> Definition:
    spec = ObjectiveSpec(service="shop", availability=target, **more)
    return Definition(kind="Objective", metadata=Metadata(name=name), spec=spec)


def test_what_is_new_changed_and_gone_is_taken_in_and_told(world: World):
    world.take("r1", 10.0, objective())
    world.take("r2", 20.0, objective())
    world.take("r3", 30.0, objective(target=0.9))
    assert world.rules()["shop"].spec.availability == 0.9
    assert world.rules()["shop"].status.revision == "r3"
    world.take("r4", 40.0)
    assert world.rules() == {}
    assert world.told() == [
        "taken Objective/shop",
        "taken Objective/shop",
        "removed Objective/shop",
    ]


def test_rules_of_another_repository_stay(world: World):
    world.take("r1", 10.0, objective())
    world.take("s1", 20.0, objective(target=0.5), repository="/srv/other")
    world.take("r2", 30.0)
    assert {name: rule.spec.availability for name, rule in world.rules().items()} == {
        "shop-other": 0.5
    }


def test_an_exclusion_is_known_since_it_was_first_there(world: World):
    key = exclusion_key(MOVE)
    world.take("r1", 10.0, objective(exclusions=(MOVE,)))
    world.take("r2", 20.0, objective(target=0.9, exclusions=(MOVE,)))
    assert world.rules()["shop"].status.known == {key: 10.0}
    world.take("r3", 30.0, objective())
    world.take("r4", 40.0, objective(exclusions=(MOVE,)))
    assert world.rules()["shop"].status.known == {key: 40.0}
