"""SQLite: a file that one process owns."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from andon.kernel.errors import AndonError, InternalError, Unavailable
from andon.store.dialect import Connection, Row, Rows, check_version
from andon.store.migrations import upgrade
from andon.store.schema import LAST_DRAWN, VERSION, statements

log = logging.getLogger("andon.store")

COUNTER = (
    "CREATE TABLE counter (value INTEGER NOT NULL)",
    f"INSERT INTO counter (value) {LAST_DRAWN}",
)
"""Tokens are drawn from here; Postgres has a sequence."""
COUNTER_SINCE = 2


class SqliteConnection:
    """A connection of the standard library's driver."""

    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error) or not sql.startswith("SELECT"):
                raise
            return self._run_with_damage(sql, parameters)

    def _run_with_damage(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Read texts that are none, so that whoever verifies them can say where they are."""
        before = self._connection.text_factory
        self._connection.text_factory = _damaged
        try:
            return self._connection.execute(sql, parameters).fetchall()
        finally:
            self._connection.text_factory = before

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement."""
        return self._connection.execute(sql, parameters).rowcount

    def change_many(self, sql: str, rows: Rows) -> None:
        """Execute a statement for each of many rows."""
        self._connection.executemany(sql, rows)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Write many rows into a table."""
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)

    def token(self) -> tuple[str, tuple[Any, ...]]:
        """Draw a token."""
        rows = self.run("UPDATE counter SET value = value + 1 RETURNING value")
        return "?", (rows[0][0],)

    def draw_above(self, token: int) -> None:
        """Raise the counter."""
        self.change("UPDATE counter SET value = MAX(value, ?)", (token,))

    def last_token(self) -> int:
        """Return the counter."""
        ((value,),) = self.run("SELECT value FROM counter")
        return int(value)

    def clock(self) -> float:
        """Return the host's time, to a fraction of a millisecond."""
        ((seconds,),) = self.run("SELECT (julianday('now') - 2440587.5) * 86400")
        return float(seconds)

    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self._connection.in_transaction

    def close(self) -> None:
        """Let go."""
        self._connection.close()


def _damaged(text: bytes) -> str:
    """Decode a text; one that is damaged becomes one that no column of ours can hold."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="backslashreplace") + "\0"


class Sqlite:
    """A file, in WAL mode, synchronous FULL; one process owns it.

    Args:
        path: The file.
    """

    many_writers = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = str(path)

    def connect(self, *, write: bool) -> SqliteConnection:
        """Open a connection."""
        if write:
            self._create_private()
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=10
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA busy_timeout=10000")
            connection.execute("PRAGMA secure_delete=ON")
            if not write:
                connection.execute("PRAGMA query_only=ON")
        except sqlite3.Error as error:
            raise self.translate(error) from error
        return SqliteConnection(connection)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction."""
        connection.run("BEGIN IMMEDIATE" if write else "BEGIN")

    def begin_beside(self, connection: Connection) -> None:
        """Begin a transaction of the only writer: there is no beside."""
        self.begin(connection, write=True)

    def begin_alone(self, connection: Connection) -> None:
        """Begin a transaction of the only writer."""
        self.prepare()
        self.begin(connection, write=True)

    def announce(self, connection: Connection) -> None:
        """Nobody else is there."""

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Nobody else is there."""
        return lambda: None

    def prepare(self) -> None:
        """Make the schema if it is absent."""
        self._create_private()
        connection = self.connect(write=True)
        try:
            ((found,),) = connection.run("PRAGMA user_version")
            check_version(found, str(self._path))
            if 0 < found < VERSION:
                self._keep_copy(found)
            if found < VERSION:
                self._make_schema(connection)
        except sqlite3.Error as error:
            raise self.translate(error) from error
        finally:
            connection.close()

    def _make_schema(self, connection: Connection) -> None:
        self.begin(connection, write=True)
        # Of two that start at once, the second waited and finds the work done.
        ((found,),) = connection.run("PRAGMA user_version")
        if found:
            upgrade(connection, found)
        for statement in () if found else statements():
            connection.run(statement)
        for statement in COUNTER if found < COUNTER_SINCE else ():
            connection.run(statement)
        connection.run(f"PRAGMA user_version={VERSION}")
        connection.run("COMMIT")

    def _keep_copy(self, found: int) -> None:
        """Keep the file as an earlier program left it, beside it, until a person removes it."""
        kept = self._path.with_name(f"{self._path.name}.schema-{found}")
        making = kept.with_name(f"{kept.name}.new")
        making.unlink(missing_ok=True)
        os.close(os.open(making, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(sqlite3.connect(making)) as copy:
            with contextlib.closing(sqlite3.connect(self._path)) as source:
                source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        making.rename(kept)
        log.warning(
            "%s moves from schema %d to %d; as it was it is kept as %s",
            *(self._path, found, VERSION, kept),
        )

    def _create_private(self) -> None:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise Unavailable(
                f"the database {self._path} cannot be opened: {error.strerror}",
                hint="`andon doctor` checks the state folder",
            ) from None

    def wipe(self) -> bool:
        """Empty the write-ahead log, which holds pages as they were; free space is overwritten already."""
        with contextlib.closing(self.connect(write=True)) as connection:
            try:
                ((busy, _, _),) = connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise self.translate(error) from error
        return not busy

    def translate(self, error: Exception) -> AndonError:
        """Say an engine's error in our words."""
        text = str(error)
        if isinstance(error, sqlite3.OperationalError):
            full = "full" in text or "disk I/O" in text
            hint = "free some space; work goes on by itself" if full else "`andon doctor` checks it"
            return Unavailable(f"the database {self._path} cannot be written: {text}", hint=hint)
        return InternalError(
            f"the database {self._path} cannot be used: {text}",
            hint="if it is damaged, put a backup in its place",
        )
