"""What the writer remembers is never older, or newer, than what is written."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from andon.api.v1.control import NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.records import EnvironmentRecordStatus, StepRow
from andon.api.v1.steps import Steps
from andon.ports.store import Store, Tx
from andon.store import memo, open_store

FIRST = StepRow(name="a", position=0)
PASSED = StepRow(name="a", position=0, state="passed")
FAILED = StepRow(name="a", position=0, state="failed")
NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    opened = open_store(path, source="/t")
    yield opened
    opened.close()


def put(store: Store, row: StepRow) -> None:
    asyncio.run(store.transact(lambda tx: tx.put_step("u", row)))


def steps(store: Store) -> dict[str, StepRow]:
    return asyncio.run(store.transact(lambda tx: dict(tx.steps_by_name("u"))))


def test_steps_that_another_process_wrote_are_seen(path: str, store: Store):
    put(store, FIRST)
    assert steps(store) == {"a": FIRST}
    other = open_store(path, source="/t")
    put(other, PASSED)
    other.close()
    assert steps(store) == {"a": PASSED}


def test_steps_seen_in_what_was_rolled_back_are_forgotten(store: Store):
    put(store, FIRST)

    def fail(tx: Tx) -> None:
        tx.put_step("u", PASSED)
        assert tx.steps_by_name("u")["a"] == PASSED
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(store.transact(fail))
    assert steps(store) == {"a": FIRST}
    put(store, FAILED)
    assert steps(store) == {"a": FAILED}


def test_spec_seen_in_what_was_rolled_back_is_forgotten(store: Store):
    new = NewObject(
        kind="Environment", name="e", spec=EnvironmentSpec(), status=EnvironmentRecordStatus()
    )
    asyncio.run(store.transact(lambda tx: tx.create(new, "u1", NOW)))

    def change(tx: Tx, after: str) -> None:
        tx.put_spec(tx.require("Environment", "e"), EnvironmentSpec(after=after))
        assert tx.require("Environment", "e").spec.after == after
        if after == "never":
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(store.transact(lambda tx: change(tx, "never")))
    asyncio.run(store.transact(lambda tx: change(tx, "dev")))
    found = asyncio.run(store.read(lambda tx: tx.require("Environment", "e")))
    assert (found.spec.after, found.generation) == ("dev", 2)


def test_what_is_held_of_a_run_does_not_grow_as_its_steps_end(store: Store):
    """Ended steps say as much as they like: 4 KB each, of which nearly nothing stays."""
    begun = [StepRow(name=f"j{number}", position=number) for number in range(2_000)]

    def end(tx: Tx, rows: Iterable[StepRow]) -> None:
        for row in rows:
            tx.put_step("u", replace(row, state="passed", message=f"{row.name:x<4000}"))

    def look(tx: Tx) -> int:
        tx.steps_by_name("u")
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async def growth() -> int:
        await store.transact(lambda tx: [tx.put_step("u", row) for row in begun])
        await store.transact(lambda tx: end(tx, begun[:500]))
        before = await store.transact(look)
        await store.transact(lambda tx: end(tx, begun[500:]))
        return await store.transact(look) - before

    tracemalloc.start()
    try:
        grown = asyncio.run(growth())
    finally:
        tracemalloc.stop()
    assert grown < 0  # One that waits is held whole.
    assert [row.message[:5] for row in steps(store).values()] == [
        f"{row.name:x<4000}"[:5] for row in begun
    ]


def test_memory_is_bounded_by_what_is_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memo, "SPEC_CHARACTERS", 10)
    monkeypatch.setattr(memo, "STEP_ROWS", 2)
    known = memo.Memo(memo.Specs())
    for name in "abc":
        known.specs.keep(name, 1, name, 4)
        known.keep_book(name, Steps([FIRST]), 7)
    assert [known.specs.get(name, 1) for name in "abc"] == [None, "b", "c"]
    assert [known.book(name)[1] for name in "abc"] == [0, 7, 7]
