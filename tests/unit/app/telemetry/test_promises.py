"""A gate that asks for an objective opens on a budget that is known not to be spent, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.api.v1.objectives import ObjectiveSpec
from andon.api.v1.records import Subject
from andon.domains.line.gate import Gate, judge_gate
from andon.domains.line.promises import FRESH_SECONDS, applicable
from andon.kernel.errors import Unavailable
from andon.testing.promises import PromiseWorld

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PromiseWorld]:
    world = PromiseWorld(tmp_path, requires=("objective",))
    yield world
    world.close()


def gate(world: PromiseWorld) -> Gate:
    found = world.evidence()
    subject = Subject(service="shop", environment="prod", digest="sha256:" + "b" * 64)
    claims = () if found is None else (found,)
    return judge_gate(subject, ("objective",), claims, (), world.clock.now(), 30 * 86_400.0)


def test_a_kept_promise_opens_the_gate(world: PromiseWorld):
    world.live(HOUR)
    assert gate(world).open


def test_a_spent_budget_holds_and_says_how_much(world: PromiseWorld):
    world.live(HOUR, each=10, failed=1)
    assert "1000 % of the budget is spent" in gate(world).explain()


def test_what_is_unknown_holds_and_says_why(world: PromiseWorld):
    world.live(HOUR)
    world.live(600, scraped=False)
    assert "objective says Inconclusive" in gate(world).explain()
    assert "nothing was observed for" in gate(world).explain()


def test_nothing_evaluated_for_a_while_holds(world: PromiseWorld):
    world.live(HOUR)
    world.clock.advance(FRESH_SECONDS + 1)
    assert "too old" in gate(world).explain()


def test_it_is_renewed_while_it_is_true(world: PromiseWorld):
    world.live(HOUR)
    world.live(FRESH_SECONDS + 60)
    assert gate(world).open


def test_a_budget_of_a_document_counts_before_the_defaults(world: PromiseWorld):
    world.promise("lax", ObjectiveSpec(service="shop", availability=0.5))
    world.live(HOUR, each=10, failed=1, slow=10)
    assert gate(world).open


def test_each_change_of_mind_is_an_event_and_nothing_else_is(world: PromiseWorld):
    world.live(HOUR)
    for _ in range(5):
        world.live(90)
    world.live(2 * HOUR, each=10, failed=5)
    found = world.transact(lambda tx: tx.events(subject="shop"))
    assert [row.type.split(".")[3] for row in found] == ["kept", "missed"]


def test_a_full_disk_of_telemetry_holds_the_gate(world: PromiseWorld):
    world.live(HOUR)
    world.tallies._db._writer.execute("PRAGMA max_page_count=1")  # As many as there are.
    with pytest.raises(Unavailable):
        world.live(6 * HOUR)
    world.clock.advance(FRESH_SECONDS + 1)
    assert "too old" in gate(world).explain()
    assert world.evidence() is not None


def test_a_first_version_has_nothing_to_keep(world: PromiseWorld):
    world.forget_running()
    world.turn()
    assert world.evidence() is None
    assert applicable(("tests", "objective"), runs=False) == ("tests",)
