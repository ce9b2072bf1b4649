"""Whole databases from one engine into the other, and what keeps a copy from doing harm."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from andon.kernel.errors import Conflict, Unavailable, Untrusted
from andon.ports.store import Store, Tx
from andon.store import dialect_of, open_store, verify_ledger
from andon.store.copying import Sum, fill, freeze, snapshot, tables, thaw
from andon.store.dialect import Dialect
from andon.testing.postgres import PostgresServer
from andon.testing.store_objects_suite import NOW, appending, event

SOURCE = "/andon/test"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "copy.db")
    server: PostgresServer = request.getfixturevalue("server")
    return server.new_schema()


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Store]:
    """The living story of the last release, as this program goes on with it."""
    path = tmp_path / "control.db"
    connection = sqlite3.connect(path)
    story = Path(__file__).with_name("schema_1.sql").read_text()
    connection.executescript(f"BEGIN; {story} COMMIT; PRAGMA user_version=1;")
    connection.close()
    store = open_store(str(path), source=SOURCE)
    yield store
    store.close()


def nothing(tx: Tx) -> None:
    """Leave the copy as it is."""


class Lossy:
    """An engine that loses the last of the steps it is told to write."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)

    def connect(self, *, write: bool) -> Any:
        connection = self._dialect.connect(write=write)
        load = connection.load

        def lose(table: str, columns: Any, rows: Any) -> None:
            kept = list(rows)
            load(table, columns, kept[:-1] if table == "step" else kept)

        connection.load = lose
        return connection


def copy(store: Store, url: str, origin: str = "here", **changed: Any) -> dict[str, Sum]:
    with snapshot(store) as seen:
        contents = ((table, seen.rows(table)) for table in tables())
        more: dict[str, Any] = {"settle": nothing, "source": SOURCE, **changed}
        return fill(dialect_of(url), contents, token=seen.token, origin=origin, **more)


async def test_copy_holds_everything_and_goes_on(lived: Store, empty: str) -> None:
    sums = copy(lived, empty)
    assert (sums["event"].rows, sums["object"].rows, sums["action"].rows) == (28, 24, 27)
    drawn = await lived.transact(lambda tx: tx.acquire("line", "w", NOW, 1))
    other = open_store(empty, source=SOURCE)
    assert (await other.read(verify_ledger)).findings == ()
    assert await other.transact(appending(event("next"))) == [29]
    assert await other.transact(lambda tx: tx.acquire("line", "w", NOW, 1)) >= drawn
    assert [one.owner for one in await other.read(lambda tx: tx.unfinished())] == [""]
    assert len(await other.transact(lambda tx: tx.claim("w", NOW + 1e6, 10, 100))) == 2
    other.close()


async def test_copy_of_a_copy_is_the_same(lived: Store, empty: str, tmp_path: Path) -> None:
    first = copy(lived, empty)
    other = open_store(empty, source=SOURCE)
    second = copy(other, str(tmp_path / "again.db"))
    other.close()
    freed = {"task", "action", "lease", "setting"}
    same = {name for name in first if first[name] == second[name]}
    assert same >= set(first) - freed


async def test_database_that_holds_other_data_is_refused_and_left_alone(
    lived: Store, empty: str
) -> None:
    other = open_store(empty, source=SOURCE)
    await other.transact(appending(event("mine")))
    with pytest.raises(Conflict, match="not empty: it holds rows") as caught:
        copy(lived, empty)
    assert "an empty one" in caught.value.hint
    assert await other.read(lambda tx: tx.last_seq()) == 1
    other.close()


async def test_unfinished_copy_is_replaced_only_by_one_from_there(lived: Store, empty: str) -> None:
    copy(lived, empty, "here")
    with pytest.raises(Conflict):
        copy(lived, empty, "elsewhere")
    await lived.transact(appending(event("more")))
    assert copy(lived, empty, "here")["event"].rows == 29


def test_copy_that_breaks_off_leaves_nothing(lived: Store, empty: str) -> None:
    def dies(tx: Tx) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(lived, empty, settle=dies)
    assert copy(lived, empty, "elsewhere")["event"].rows == 28


def test_row_that_arrives_otherwise_is_found(lived: Store, empty: str) -> None:
    def altered(tx: Tx) -> None:
        raise AssertionError("it was taken for a true copy")

    with snapshot(lived) as seen:
        contents = ((table, seen.rows(table)) for table in tables())
        with pytest.raises(Untrusted, match="table step is not what was copied"):
            fill(
                Lossy(dialect_of(empty)),
                contents,
                token=0,
                origin="x",
                source=SOURCE,
                settle=altered,
            )


async def test_broken_chain_is_not_copied(lived: Store, empty: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "control.db") as other:
        other.execute("UPDATE event SET subject = 'cart' WHERE seq = 3")
    other.close()
    with pytest.raises(Untrusted, match="does not verify"):
        copy(lived, empty)


@pytest.mark.postgres
def test_two_copies_at_once_are_refused(lived: Store, server: PostgresServer) -> None:
    url = server.new_schema()

    def second(tx: Tx) -> None:
        with pytest.raises(Conflict, match="another copy"):
            copy(lived, url)

    copy(lived, url, settle=second)


@pytest.mark.postgres
def test_what_postgres_cannot_hold_is_said(lived: Store, server: PostgresServer) -> None:
    url = server.new_schema()
    with snapshot(lived) as seen:
        contents = [
            (table, [("k", "a\0b")] if table.name == "setting" else seen.rows(table))
            for table in tables()
        ]
        with pytest.raises(Exception, match=r"NUL|0x00") as caught:
            fill(dialect_of(url), contents, token=0, origin="here", source=SOURCE, settle=nothing)
    assert "Postgres" in str(caught.value)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT COUNT(*) FROM setting").fetchone() == (0,)


async def test_frozen_store_writes_nothing_until_it_thaws(lived: Store) -> None:
    await freeze(lived, Unavailable("moving"))
    with pytest.raises(Unavailable, match="moving"):
        await lived.transact(appending(event("no")))
    assert await lived.read(lambda tx: tx.last_seq()) == 28
    thaw(lived)
    assert await lived.transact(appending(event("yes"))) == [29]
