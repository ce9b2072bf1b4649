from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.api.v1.control import Event, NewObject
from andon.api.v1.records import RunSpec, RunStatus
from andon.app.events.news import INBOX_EVENTS, PAGE, Inbox, Listener, Newsroom
from andon.kernel.errors import Unavailable
from andon.ports.news import HEARTBEAT_SECONDS, Item
from andon.ports.store import Store, Tx
from andon.store import open_store
from andon.testing.clock import FakeClock

T = TypeVar("T")
NOW = 1_700_000_000.0


class Counting:
    """A real store whose reads are counted, and refused while ``away``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.subscribed = 0
        self.away = False

    async def read(self, fn: Callable[[Tx], T]) -> T:
        self.reads += 1
        if self.away:
            raise Unavailable("the database is away")
        return await self._store.read(fn)

    async def transact(self, fn: Callable[[Tx], T]) -> T:
        return await self._store.transact(fn)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.subscribed += 1
        unsubscribe = self._store.subscribe(callback)

        def end() -> None:
            self.subscribed -= 1
            unsubscribe()

        return end

    async def append(self, first: int, last: int, stream: str = "org") -> None:
        """Append the events of some numbers; in a new ledger these are their sequences."""

        def write(tx: Tx) -> None:
            for number in range(first, last + 1):
                tx.append(event(number, stream), NOW)

        await self.transact(write)


def event(number: int, stream: str = "org") -> Event:
    return Event(
        id=f"event/{number}",
        stream=stream,
        type="dev.cdevents.service.deployed.0.3.0",
        subject="shop",
        chain="c1",
        content={"environment": {"id": "prod"}},
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counting]:
    opened = open_store(str(tmp_path / "a.db"), source="/andon/test")
    yield Counting(opened)
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def news(store: Any, clock: FakeClock) -> Newsroom:
    return Newsroom(store, clock)


async def hear(reader: Listener, last: int) -> list[Item]:
    """Hear until an event."""
    heard: list[Item] = []
    async with asyncio.timeout(60):
        while not heard or heard[-1].seq < last:
            heard += await anext(reader)
    return heard


def seqs(items: list[Item]) -> list[int]:
    return [item.seq for item in items if item.kind == "event"]


async def test_fifty_readers_hear_each_event_once_and_in_order(
    news: Newsroom, store: Counting
) -> None:
    await store.append(1, 20)
    readers = [await news.open(after) for after in range(-1, 49)]

    async def append() -> None:
        for first in range(21, 200, 3):
            await store.append(first, first + 2)

    *heard, _ = await asyncio.gather(*(hear(reader, 200) for reader in readers), append())
    for after, items in zip(range(-1, 49), heard, strict=True):
        first = 21 if after < 0 else after + 1
        assert seqs(items) == list(range(first, 201))
    for reader in readers:
        reader.close()


async def test_one_reads_for_all(news: Newsroom, store: Counting) -> None:
    readers = [await news.open(-1) for _ in range(100)]
    before = store.reads
    await store.append(1, 1)
    await asyncio.gather(*(hear(reader, 1) for reader in readers))
    assert store.reads - before < len(readers) / 2
    for reader in readers:
        reader.close()


async def test_where_nobody_listens_nobody_reads(news: Newsroom, store: Counting) -> None:
    reader = await news.open(-1)
    await store.append(1, 1)
    await hear(reader, 1)
    reader.close()
    before = store.reads
    await store.append(2, 3)
    assert (store.reads, store.subscribed) == (before, 0)
    again = await news.open(1)
    assert seqs(await hear(again, 3)) == [2, 3]
    again.close()


async def test_a_reader_catches_up_over_many_pages(news: Newsroom, store: Counting) -> None:
    last = 2 * PAGE + 7
    await store.append(1, last)
    reader = await news.open(3)
    assert seqs(await hear(reader, last)) == list(range(4, last + 1))
    reader.close()


async def test_a_slow_reader_misses_no_event(news: Newsroom, store: Counting) -> None:
    slow, quick = await news.open(-1), await news.open(-1)
    last = 3 * INBOX_EVENTS
    for first in range(1, last, 64):
        await store.append(first, first + 63)
        await hear(quick, first + 63)
    assert seqs(await hear(slow, last)) == list(range(1, last + 1))
    slow.close()
    quick.close()


async def test_a_reader_hears_only_of_what_it_sees(news: Newsroom, store: Counting) -> None:
    await store.append(1, 1, "env/prod")
    await store.append(2, 2, "env/dev")
    reader = await news.open(0, lambda environment: environment == "dev")
    assert seqs(await hear(reader, 2)) == [2]
    await store.append(3, 3, "env/prod")
    await store.append(4, 4, "org")
    assert seqs(await hear(reader, 4)) == [4]
    reader.close()


async def test_a_reader_who_sees_nothing_of_a_page_goes_on(news: Newsroom, store: Counting) -> None:
    await store.append(1, PAGE + 3, "env/prod")
    await store.append(PAGE + 4, PAGE + 4)
    reader = await news.open(0, lambda environment: False)
    assert seqs(await hear(reader, PAGE + 4)) == [PAGE + 4]
    reader.close()


def a_run(phase: str) -> NewObject:
    spec = RunSpec(type="build", change="c1")
    return NewObject(kind="Run", name="build-1", spec=spec, status=RunStatus(phase=phase))


async def test_progress_is_heard_by_whoever_comes_and_only_its_newest(
    news: Newsroom, store: Counting
) -> None:
    await store.transact(lambda tx: tx.create(a_run("Running"), "u1", NOW))
    first = await news.open(-1)
    (heard,) = await anext(first)
    assert (heard.kind, heard.subject, heard.seq) == ("progress", "build-1", 0)
    second = await news.open(-1)
    assert await anext(second) == [heard]

    for message in ("a", "b"):

        def move(tx: Tx, message: str = message) -> None:
            run = tx.require("Run", "build-1")
            tx.put_status(run, RunStatus(phase="Running", message=message))
            tx.append(event(ord(message)), NOW)

        await store.transact(move)
        moved = await anext(first)
    assert b'"message":"b"' in moved[-1].body
    (*events, newest) = await anext(second)
    assert ([item.seq for item in events], newest) == ([1, 2], moved[-1])
    first.close()
    second.close()


async def test_a_sign_of_life_is_given_to_who_has_heard_all(
    news: Newsroom, store: Counting, clock: FakeClock
) -> None:
    reader = await news.open(-1)
    await store.append(1, 1)
    assert seqs(await anext(reader)) == [1]
    clock.advance(HEARTBEAT_SECONDS)
    await store.append(2, 2)
    heard = [await anext(reader), await anext(reader)]
    assert sorted(map(seqs, heard)) == [[], [2]]
    reader.close()


async def test_readers_hear_that_the_store_is_away_and_resume(
    news: Newsroom, store: Counting
) -> None:
    readers = [await news.open(-1), await news.open(-1)]
    await store.append(1, 1)
    for reader in readers:
        await hear(reader, 1)
    store.away = True
    await store.append(2, 2)
    for reader in readers:
        with pytest.raises(Unavailable):
            await anext(reader)
    assert store.subscribed == 0
    store.away = False
    again = await news.open(1)
    assert seqs(await hear(again, 2)) == [2]
    again.close()


async def test_closing_ends_who_waits(news: Newsroom) -> None:
    reader = await news.open(-1)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    reader.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_programs_within_hear_plain_json(news: Newsroom, store: Counting) -> None:
    await store.append(1, 2)
    items = news.items(0)
    assert [(await anext(items))["seq"] for _ in range(2)] == [1, 2]
    await items.aclose()
    assert store.subscribed == 0


# --- joining, in every order ---------------------------------------------------------------------


def items_between(after: int, upto: int) -> list[Item]:
    return [
        Item("event", seq, "", "dev" if seq % 3 else "prod", b"")
        for seq in range(after + 1, upto + 1)
    ]


STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3 * INBOX_EVENTS)),
    st.tuples(st.sampled_from(["tell", "look", "found", "take"]), st.just(0)),
)


@given(
    before=st.integers(0, 2 * PAGE),
    told=st.integers(0, 2 * PAGE),
    after=st.integers(0, 2 * PAGE),
    steps=st.lists(STEPS, max_size=40),
    blind=st.booleans(),
)
def test_whatever_the_order_each_event_is_heard_once(
    before: int, told: int, after: int, steps: list[tuple[str, int]], blind: bool
) -> None:
    """The ledger grows, all are told, a page is looked for and found later, the inbox is emptied."""
    last, told, after = before, min(told, before), min(after, before)
    sees = (lambda environment: environment == "dev") if blind else None
    inbox = Inbox(after, told, sees)
    heard: list[Item] = []
    looked: tuple[list[Item], int] | None = None

    def carry_out(step: str, count: int) -> None:
        nonlocal last, told, looked
        match step:
            case "append":
                last += count
            case "tell":
                upto = min(last, told + PAGE)
                inbox.tell(items_between(told, upto), upto)
                told = upto
            case "look" if inbox.behind and looked is None:
                page = items_between(inbox.seq, min(last, inbox.seq + PAGE))
                looked = page, inbox.goal
            case "found" if looked is not None:
                heard.extend(inbox.catch_up(*looked))
                looked = None
            case "take" if not inbox.behind:
                heard.extend(inbox.take())

    for step in steps:
        carry_out(*step)
    for _ in range(2 + (last + PAGE) // PAGE):
        carry_out("tell", 0)
    while inbox.behind:
        carry_out("look", 0)
        carry_out("found", 0)
    carry_out("found", 0)
    carry_out("take", 0)
    expected = [item for item in items_between(after, last) if not blind or item.seq % 3]
    assert heard == expected
