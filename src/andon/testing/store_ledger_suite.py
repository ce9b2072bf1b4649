"""What every Store must do with events, transactions and those who listen."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from andon.api.v1.control import Link
from andon.kernel.errors import Unavailable
from andon.ports.store import Store, Tx
from andon.store import verify_ledger
from andon.testing.store_objects_suite import NOW, appending, event, hold, write

PRODUCERS = 12


class LedgerOfStore:
    """Events and their chains."""

    async def test_event_is_appended_once(self, store: Store) -> None:
        assert await store.transact(appending(event("a"), event("b"), event("a"))) == [1, 2, None]
        assert await store.transact(appending(event("b"), event("c"))) == [None, 3]
        assert await store.read(lambda tx: tx.last_seq()) == 3
        row = await store.read(lambda tx: tx.event("c"))
        assert row is not None
        assert (row.seq, row.n, row.stream, row.time) == (3, 3, "env/prod", NOW)
        assert await store.read(lambda tx: tx.event("d")) is None

    async def test_each_stream_is_a_chain_of_its_own(self, store: Store) -> None:
        streams = ("org", "env/prod", "org", "env/dev")
        await store.transact(
            appending(*(event(str(n), stream=stream) for n, stream in enumerate(streams)))
        )
        rows = await store.read(lambda tx: tx.events())
        assert [(row.stream, row.n) for row in rows] == [
            *(("org", 1), ("env/prod", 1), ("org", 2), ("env/dev", 1))
        ]
        heads = await store.read(lambda tx: tx.heads())
        assert heads == {row.stream: (row.n, row.hash) for row in rows}
        found = await store.read(verify_ledger)
        assert (found.events, found.streams, found.erased, found.findings) == (4, 3, 0, ())

    async def test_links_are_walked_both_ways(self, store: Store) -> None:
        two = (Link(target="a"), Link(target="b"), Link(target="a", kind="COMPOSITION"))
        await store.transact(
            appending(event("a"), event("b", links=(Link(target="a"),)), event("c", links=two))
        )
        assert await store.read(lambda tx: tx.linked("a")) == ([], ["b", "c"])
        assert await store.read(lambda tx: tx.linked("c")) == (["a", "b"], [])
        assert await store.read(lambda tx: tx.linked("none")) == ([], [])

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, "abcd"),
            ({"after": 2}, "cd"),
            ({"limit": 3}, "abc"),
            ({"stream": "org"}, "d"),
            ({"chain": "c1"}, "ab"),
            ({"subject": "cart", "chain": "c1"}, "b"),
            ({"type": "dev.cdevents.service."}, "ab"),
            ({"type": "dev.cdevents.service.upgraded.0.3.0"}, "b"),
            ({"type": "dev.cdevents.service"}, ""),
            ({"type": "dev.cdevents."}, "abd"),
        ],
    )
    async def test_events_are_filtered(
        self, store: Store, asked: dict[str, Any], expected: str
    ) -> None:
        await store.transact(
            appending(
                event("a", chain="c1"),
                event("b", chain="c1", subject="cart", type="dev.cdevents.service.upgraded.0.3.0"),
                event("c", type="dev.cdeventsx.andon-hold.pulled.0.1.0"),
                event("d", stream="org", type="dev.cdevents.servicex.deployed.0.3.0"),
            )
        )
        rows = await store.read(lambda tx: tx.events(**asked))
        assert "".join(row.id for row in rows) == expected

    async def test_positions_are_dense_and_never_skip_a_late_commit(self, store: Store) -> None:
        seen: list[int] = []
        over = asyncio.Event()

        async def follow() -> None:
            finished = False
            while not finished:
                finished = over.is_set()
                rows = await store.read(lambda tx: tx.events(after=seen[-1] if seen else 0))
                seen.extend(row.seq for row in rows)

        async def produce(number: int) -> None:
            for n in range(10):
                one = event(f"{number}/{n}", stream=f"env/{number % 3}")
                await store.transact(appending(one))

        follower = asyncio.create_task(follow())
        await asyncio.gather(*(produce(number) for number in range(PRODUCERS)))
        over.set()
        await follower
        assert seen == list(range(1, PRODUCERS * 10 + 1))
        assert (await store.read(verify_ledger)).findings == ()


class TransactionsOfStore:
    """Group commit, snapshots, subscriptions and the end."""

    async def test_failing_neighbour_harms_nobody(self, store: Store) -> None:
        def failing(number: int) -> Any:
            def run(tx: Tx) -> None:
                tx.append(event(f"lost/{number}"), NOW)
                tx.put_setting(f"lost/{number}", "x")
                raise ValueError(number)

            return run

        jobs = [
            store.transact(failing(n) if n % 3 == 0 else appending(event(f"kept/{n}")))
            for n in range(30)
        ]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        for n, answer in enumerate(answers):
            if n % 3 == 0:
                assert isinstance(answer, ValueError)
                assert answer.args == (n,)
        rows = await store.read(lambda tx: tx.events())
        assert [row.id for row in rows] == [f"kept/{n}" for n in range(30) if n % 3]
        assert [row.seq for row in rows] == list(range(1, 21))
        assert await store.read(lambda tx: tx.get_setting("lost/0")) is None
        assert (await store.read(verify_ledger)).findings == ()

    async def test_failure_inside_the_engine_stays_with_its_caller(self, store: Store) -> None:
        def twice(tx: Tx) -> None:
            tx.create(hold("a"), "same-uid", NOW)
            tx.create(hold("b"), "same-uid", NOW)

        answers = await asyncio.gather(
            store.transact(twice), store.transact(appending(event("a"))), return_exceptions=True
        )
        assert type(answers[0]).__module__ == "andon.kernel.errors"
        assert answers[1] == [1]
        assert await store.read(lambda tx: tx.get("Hold", "a")) is None

    async def test_cancelled_caller_does_not_stop_the_writer(self, store: Store) -> None:
        entered, leave = threading.Event(), threading.Event()

        def slow(_: Tx) -> None:
            entered.set()
            leave.wait(10)

        running = asyncio.create_task(store.transact(slow))
        assert await asyncio.to_thread(entered.wait, 10)
        queued = asyncio.create_task(store.transact(appending(event("cancelled"))))
        await asyncio.sleep(0)
        for task in (running, queued):
            task.cancel()
        await asyncio.gather(running, queued, return_exceptions=True)
        leave.set()
        await store.transact(appending(event("next")))
        assert [row.id for row in await store.read(lambda tx: tx.events())] == ["next"]

    async def test_read_is_a_snapshot(self, store: Store) -> None:
        await write(store, ("put_setting", ("k", "old")))
        looked, changed = threading.Event(), threading.Event()

        def twice(tx: Tx) -> tuple[str | None, str | None]:
            before = tx.get_setting("k")
            looked.set()
            changed.wait(10)
            return before, tx.get_setting("k")

        reading = asyncio.create_task(store.read(twice))
        assert await asyncio.to_thread(looked.wait, 10)
        await write(store, ("put_setting", ("k", "new")))
        changed.set()
        assert await reading == ("old", "old")
        assert await store.read(lambda tx: tx.get_setting("k")) == "new"

    async def test_reader_may_not_write(self, store: Store) -> None:
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            await store.read(lambda tx: tx.put_setting("k", "1"))
        assert await store.read(lambda tx: tx.get_setting("k")) is None

    async def test_subscriber_is_told_of_events_and_wakes(self, store: Store) -> None:
        told: list[str] = []

        def broken() -> None:
            raise ValueError("a listener's own trouble")

        store.subscribe(broken)
        leave = store.subscribe(lambda: told.append("x"))
        # Listeners hear of a commit after its caller: a second transaction proves the first was told.
        for count, call in enumerate(
            (("append", (event("a"), NOW)), ("wake", ("Run", "a", NOW))), start=1
        ):
            await write(store, call)
            await write(store, ("put_setting", ("quiet", "1")))
            assert len(told) == count
        leave()
        leave()
        await write(store, ("append", (event("b"), NOW)))
        await write(store, ("put_setting", ("quiet", "1")))
        assert len(told) == 2

    async def test_failed_function_tells_nobody(self, store: Store) -> None:
        told: list[str] = []
        store.subscribe(lambda: told.append("x"))

        def failing(tx: Tx) -> None:
            tx.wake("Run", "a", NOW)
            raise KeyError

        with pytest.raises(KeyError):
            await store.transact(failing)
        await write(store, ("put_setting", ("quiet", "1")))
        assert told == []

    async def test_close_finishes_what_waits_and_refuses_the_rest(self, store: Store) -> None:
        jobs = [asyncio.ensure_future(store.transact(appending(event(f"e{n}")))) for n in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        assert await asyncio.gather(*jobs) == [[n] for n in range(1, 21)]
        store.close()
        with pytest.raises(Unavailable, match="closed"):
            await store.transact(appending(event("late")))
        with pytest.raises(Unavailable, match="closed"):
            await store.read(lambda tx: tx.last_seq())
