"""Copies of a whole database: read table by table from one engine, written and proven in another.

A copy is filled and verified inside one transaction: until that is committed the target is as it was,
however its writer ends.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import cast

import msgspec
from msgspec import Struct

from andon.kernel.errors import AndonError, Conflict, InternalError, Untrusted
from andon.ports.store import Store, Tx
from andon.store.database import Database, is_of_engine
from andon.store.dialect import Dialect, OwnConnection, Row
from andon.store.schema import statements
from andon.store.tail import Tail
from andon.store.transaction import Transaction
from andon.store.verification import verify

PAGE = 2000
ORIGIN = "copied_from"
"""Setting of a database that was filled with a copy and does not live yet: where the copy is from."""

Progress = Callable[[str, int], None]
"""Told a table and how many of its rows are done."""

_row = msgspec.msgpack.Encoder()


class Table(Struct, frozen=True):
    """A table of our schema.

    Args:
        name: Its name.
        columns: Name and type of each column.
        key: Columns of its primary key, which rows are ordered by.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for name, _ in self.columns)


class Sum(Struct, frozen=True):
    """What proves that two tables hold the same rows."""

    rows: int
    digest: str


@cache
def tables() -> tuple[Table, ...]:
    """Return every table of our schema, in the order it names them."""
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in statements():
            db.execute(statement)
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        return tuple(_table(db, name) for (name,) in names.fetchall())


def _table(db: sqlite3.Connection, name: str) -> Table:
    columns = db.execute(f"PRAGMA table_info({name})").fetchall()
    keys = sorted((key, column) for _, column, _, _, _, key in columns if key)
    return Table(
        name=name,
        columns=tuple((column, type) for _, column, type, *_ in columns),
        key=tuple(column for _, column in keys),
    )


# --- reading --------------------------------------------------------------------------------------


class Snapshot:
    """A database as it is at one moment.

    Args:
        connection: Inside a transaction that sees one moment.
        source: CloudEvents source of the installation.
        writable: Whether it may be changed; ``commit`` ends that.
    """

    def __init__(
        self, connection: OwnConnection, source: str = "", *, writable: bool = False
    ) -> None:
        self._connection = connection
        self.source = source
        self._tail = Tail(writable=writable)
        self.tx = Transaction(connection, source, self._tail)

    @property
    def token(self) -> int:
        """A token at least as great as every one that was drawn."""
        return self._connection.last_token()

    def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        ((count,),) = self._connection.run(f"SELECT COUNT(*) FROM {table.name}")
        return int(count)

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield the rows of a table in the order of its key, without holding them all."""
        chosen, order = ", ".join(table.names), ", ".join(table.key)
        marks = ", ".join("?" * len(table.key))
        places = [table.names.index(column) for column in table.key]
        where, after = "", ()
        while page := self._connection.run(
            f"SELECT {chosen} FROM {table.name} {where} ORDER BY {order} LIMIT {PAGE}",
            after,
        ):
            yield from page
            where = f"WHERE ({order}) > ({marks})"
            after = tuple(page[-1][place] for place in places)

    def verify(self) -> None:
        """Recompute every chain.

        Raises:
            Untrusted: One is broken.
        """
        tx = self.tx
        found = verify(tx.raw_events(), tx.heads(), tx.last_seq(), tx.segments())
        if found.findings:
            one = found.findings[0]
            raise Untrusted(
                f"the ledger does not verify: {one.stream} #{one.n} (seq {one.seq}): {one.what}",
                hint="`andon ledger verify` names every place",
            )

    def commit(self) -> None:
        """Make durable what was written."""
        self._tail.write(self._connection)
        self._connection.run("COMMIT")


def engine_of(store: Store) -> str:
    """Name the engine of a store."""
    return "postgresql" if cast(Database, store).dialect.many_writers else "sqlite"


@contextmanager
def snapshot(store: Store) -> Iterator[Snapshot]:
    """See the database of a store at one moment, on this thread and a connection of its own."""
    database = cast(Database, store)
    with _told(database.dialect), closing(database.dialect.connect(write=False)) as connection:
        database.dialect.begin(connection, write=False)
        yield Snapshot(connection, database.source)


class Summing:
    """Adds up rows that pass."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()

    def over(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass the rows on."""
        for row in rows:
            self._count += 1
            self._digest.update(_row.encode(row))
            yield row

    @property
    def sum(self) -> Sum:
        """What passed until now."""
        return Sum(self._count, self._digest.hexdigest())


# --- writing --------------------------------------------------------------------------------------


def fill(
    dialect: Dialect,
    contents: Iterable[tuple[Table, Iterable[Row]]],
    *,
    source: str,
    token: int,
    origin: str,
    settle: Callable[[Tx], None],
    progress: Progress = lambda table, rows: None,
) -> dict[str, Sum]:
    """Fill an empty database with a copy, prove it, and commit; or leave it as it was.

    Args:
        dialect: The database; its schema is made if need be.
        contents: Rows of every table.
        source: CloudEvents source of this installation.
        token: Tokens are drawn above it.
        origin: Where the copy is from: an unfinished one from there may be replaced.
        settle: Writes what makes the copy a database of its own, in the same transaction.
        progress: Told how far it is.

    Raises:
        Conflict: It holds data that is not an unfinished copy from there, or another copy goes on.
        Untrusted: What was written is not what was read, or a chain is broken.
        Unavailable: The database cannot be reached or written.
    """
    with _told(dialect), closing(dialect.connect(write=True)) as connection:
        dialect.begin_alone(connection)
        target = Snapshot(connection, source, writable=True)
        _make_room(connection, target, origin)
        sums = {table.name: _load(connection, table, rows, progress) for table, rows in contents}
        _expect_equal(target, sums)
        target.verify()
        forget_workers(connection)
        target.tx.put_setting(ORIGIN, origin)
        settle(target.tx)
        connection.draw_above(token)
        target.commit()
    return sums


def expect_room(dialect: Dialect, origin: str) -> None:
    """Make sure that ``fill`` would find an empty database.

    Raises:
        Conflict: It holds data that is not an unfinished copy from there, or another copy goes on.
    """
    with _told(dialect), closing(dialect.connect(write=True)) as connection:
        dialect.begin_alone(connection)
        _make_room(connection, Snapshot(connection), origin)
        connection.run("ROLLBACK")


def _make_room(connection: OwnConnection, target: Snapshot, origin: str) -> None:
    held = [table for table in tables() if target.count(table)]
    if held and target.tx.get_setting(ORIGIN) != origin:
        names = ", ".join(f"{target.count(table)} in {table.name}" for table in held[:3])
        raise Conflict(
            f"that database is not empty: it holds rows ({names}) that are not of this copy",
            hint="name an empty one: another --state; on Postgres also ?options=-csearch_path%3DNAME",
        )
    for table in held:
        connection.change(f"DELETE FROM {table.name}")


def _load(connection: OwnConnection, table: Table, rows: Iterable[Row], progress: Progress) -> Sum:
    summing = Summing()

    def passing() -> Iterator[Row]:
        for number, row in enumerate(summing.over(rows), 1):
            if number % PAGE == 0:
                progress(table.name, number)
            yield row

    connection.load(table.name, table.names, passing())
    progress(table.name, summing.sum.rows)
    return summing.sum


def _expect_equal(target: Snapshot, sums: dict[str, Sum]) -> None:
    for table in tables():
        summing = Summing()
        for _ in summing.over(target.rows(table)):
            pass
        if summing.sum != sums[table.name]:
            raise Untrusted(
                f"table {table.name} is not what was copied: {summing.sum.rows} rows of"
                f" {sums[table.name].rows}, or others; nothing was kept"
            )


def forget_workers(connection: OwnConnection) -> None:
    """Free everything that workers held elsewhere: none of them is here."""
    connection.change(
        "UPDATE task SET owner = '', lease_until = 0, due = claimed_due WHERE lease_until > 0"
    )
    connection.change("UPDATE action SET owner = '' WHERE outcome IS NULL")
    connection.change("DELETE FROM lease")


@contextmanager
def _told(dialect: Dialect) -> Iterator[None]:
    """Say an engine's errors in our words."""
    try:
        yield
    except Exception as error:
        if isinstance(error, AndonError) or not is_of_engine(error):
            raise
        told = dialect.translate(error)
        if isinstance(told, InternalError):
            told.hint = told.hint or "nothing of the copy was kept"
        raise told from error


# --- while a store is copied ----------------------------------------------------------------------


async def freeze(store: Store, why: AndonError) -> None:
    """Refuse all writing to a store; what was asked before is on disk when this returns."""
    await cast(Database, store).freeze(why)


def thaw(store: Store) -> None:
    """Write again."""
    cast(Database, store).thaw()
