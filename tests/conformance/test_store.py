import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from andon.kernel.errors import Conflict, Unavailable
from andon.ports.store import Store, Tx
from andon.store import open_store, verify_ledger
from andon.testing.postgres import PostgresServer
from andon.testing.store_objects_suite import NOW, appending, claiming, event, write
from andon.testing.store_suite import StoreSuite

SOURCE = "/andon/test"


class TestSqlite(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = open_store(str(tmp_path / "control.db"), source=SOURCE)
        yield opened
        opened.close()


def end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


def wait_for_writer(url: str) -> None:
    """Wait until a second writer waits for a lock: the advisory one, or without it that of a row."""
    give_up = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as other:
        while time.monotonic() < give_up:
            found = other.execute("SELECT locktype FROM pg_locks WHERE NOT granted").fetchall()
            if found:
                assert found == [("advisory",)]
                return
    raise AssertionError("the second writer does not wait for the first")


@pytest.mark.postgres
class TestPostgres(StoreSuite):
    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[Store]:
        opened = open_store(server.new_schema(), source=SOURCE)
        yield opened
        opened.close()

    async def test_two_writers_take_turns(self, server: PostgresServer) -> None:
        url = server.new_schema()
        stores = [open_store(url, source=SOURCE) for _ in range(2)]
        # Both write every event: whoever comes second finds it there.
        answers = await asyncio.gather(
            *(store.transact(appending(event(str(n)))) for n in range(40) for store in stores)
        )
        written = [one for (one,) in answers if one is not None]
        assert sorted(written) == list(range(1, 41))
        assert (await stores[0].read(verify_ledger)).findings == ()
        await write(stores[0], ("wake", ("Run", "a", NOW)))
        claims = await asyncio.gather(*(store.transact(claiming()) for store in stores))
        assert sorted(map(len, claims)) == [0, 1]
        for store in stores:
            store.close()

    async def test_reader_never_misses_a_late_commit_of_another_worker(
        self, server: PostgresServer
    ) -> None:
        url = server.new_schema()
        first, second = (open_store(url, source=SOURCE) for _ in range(2))
        entered, leave = threading.Event(), threading.Event()

        def slow(tx: Tx) -> None:
            appending(event("early", stream="env/a"))(tx)
            entered.set()
            leave.wait(60)

        held = asyncio.create_task(first.transact(slow))
        assert await asyncio.to_thread(entered.wait, 60)
        other = asyncio.create_task(second.transact(appending(event("late", stream="env/b"))))
        await asyncio.to_thread(wait_for_writer, url)
        # A later position is not to be seen before the earlier one.
        assert await second.read(lambda tx: tx.events()) == []
        leave.set()
        await held
        assert await other == [2]
        rows = await second.read(lambda tx: tx.events())
        assert [(row.seq, row.id) for row in rows] == [(1, "early"), (2, "late")]
        for store in (first, second):
            store.close()

    async def test_connections_lost_while_idle_are_replaced(self, server: PostgresServer) -> None:
        url = server.new_schema()
        store = open_store(url, source=SOURCE)
        await write(store, ("append", (event("a"), NOW)))
        await store.read(lambda tx: tx.last_seq())
        end_connections(url)
        assert await store.transact(appending(event("b"))) == [2]
        assert await store.read(lambda tx: tx.last_seq()) == 2
        store.close()

    async def test_connection_lost_within_a_transaction_writes_nothing(
        self, server: PostgresServer
    ) -> None:
        url = server.new_schema()
        store = open_store(url, source=SOURCE)

        def cut(tx: Tx) -> None:
            appending(event("a"))(tx)
            end_connections(url)
            tx.append(event("b"), NOW)

        with pytest.raises(Unavailable, match="Postgres"):
            await store.transact(cut)
        assert await store.transact(appending(event("c"))) == [1]
        store.close()

    async def test_newer_schema_is_refused(self, server: PostgresServer) -> None:
        url = server.new_schema()
        open_store(url, source=SOURCE).close()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("UPDATE schema_version SET version = 99")
        with pytest.raises(Conflict, match="newer Andon"):
            open_store(url, source=SOURCE)

    def test_server_that_is_not_there_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="Postgres"):
            open_store(f"postgresql://postgres@/x?host={tmp_path}", source=SOURCE)
