"""The few differences between SQLite and Postgres."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from andon.kernel.errors import AndonError, Conflict, InternalError, Unavailable
from andon.store.schema import VERSION, statements

Row = tuple[Any, ...]

WRITER_LOCK = 0x616E646F6E
"""Advisory lock of whoever writes: the letters of our name."""


class Connection(Protocol):
    """One connection, in autocommit; the caller says BEGIN and COMMIT."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement; its rows, if it returns any."""
        ...

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement; how many rows it touched."""
        ...

    def in_transaction(self) -> bool:
        """Say whether a transaction is open (an error may have ended it)."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Dialect(Protocol):
    """A database engine."""

    def connect(self, *, write: bool) -> Connection:
        """Open a connection.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction: of the only writer, or over a snapshot."""
        ...

    def prepare(self) -> None:
        """Make the schema if it is absent; refuse a newer one."""
        ...

    def translate(self, error: Exception) -> AndonError:
        """Say an engine's error in our words."""
        ...


def check_version(found: int, where: str) -> None:
    """Refuse a database that a newer program made.

    Raises:
        Conflict: It is newer.
    """
    if found > VERSION:
        raise Conflict(
            f"{where} has schema {found}, this program knows {VERSION}: it was made by a newer Andon",
            hint="install the newer version again, or use another state folder",
        )


# --- SQLite -------------------------------------------------------------------------------------


class SqliteConnection:
    """A connection of the standard library's driver."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement."""
        return self._connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement."""
        return self._connection.execute(sql, parameters).rowcount

    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self._connection.in_transaction

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class Sqlite:
    """A file, in WAL mode, synchronous FULL; one process owns it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def connect(self, *, write: bool) -> SqliteConnection:
        """Open a connection."""
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=10
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA busy_timeout=10000")
            if not write:
                connection.execute("PRAGMA query_only=ON")
        except sqlite3.Error as error:
            raise self.translate(error) from error
        return SqliteConnection(connection)

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction."""
        connection.run("BEGIN IMMEDIATE" if write else "BEGIN")

    def prepare(self) -> None:
        """Make the schema if it is absent."""
        self._create_private()
        connection = self.connect(write=True)
        try:
            ((found,),) = connection.run("PRAGMA user_version")
            check_version(found, str(self._path))
            if not found:
                self._make_schema(connection)
        except sqlite3.Error as error:
            raise self.translate(error) from error
        finally:
            connection.close()

    def _make_schema(self, connection: Connection) -> None:
        self.begin(connection, write=True)
        ((found,),) = connection.run("PRAGMA user_version")
        # Of two that start at once, the second waited and finds the work done.
        for statement in statements() if not found else ():
            connection.run(statement)
        connection.run(f"PRAGMA user_version={VERSION}")
        connection.run("COMMIT")

    def _create_private(self) -> None:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise Unavailable(
                f"the database {self._path} cannot be opened: {error.strerror}",
                hint="`andon doctor` checks the state folder",
            ) from None

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


# --- Postgres -----------------------------------------------------------------------------------


class PostgresConnection:
    """A psycopg connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement."""
        cursor = self._connection.execute(sql.replace("?", "%s"), parameters)
        return cursor.fetchall() if cursor.description else []

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement."""
        return int(self._connection.execute(sql.replace("?", "%s"), parameters).rowcount)

    def in_transaction(self) -> bool:
        """Say whether a transaction is open; one that failed still is, until it is rolled back."""
        return int(self._connection.info.transaction_status) != 0

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class Postgres:
    """A server.

    Args:
        url: ``postgresql://...``.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self, *, write: bool) -> PostgresConnection:
        """Open a connection."""
        try:
            import psycopg
        except ImportError:
            raise Unavailable(
                "Postgres needs the extra `postgres`", hint="pip install 'andon[postgres]'"
            ) from None
        try:
            return PostgresConnection(psycopg.connect(self._url, autocommit=True))
        except psycopg.Error as error:
            raise self.translate(error) from error

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction; writers of all processes take turns, as they do on SQLite."""
        if not write:
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        connection.run("BEGIN")
        connection.run("SELECT pg_advisory_xact_lock(?)", (WRITER_LOCK,))

    def prepare(self) -> None:
        """Make the schema if it is absent."""
        import psycopg

        connection = self.connect(write=True)
        try:
            self.begin(connection, write=True)
            connection.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
            rows = connection.run("SELECT version FROM schema_version")
            found = int(rows[0][0]) if rows else 0
            check_version(found, "the Postgres database")
            if not found:
                for statement in statements():
                    connection.run(_for_postgres(statement))
                connection.run("INSERT INTO schema_version VALUES (?)", (VERSION,))
            connection.run("COMMIT")
        except psycopg.Error as error:
            raise self.translate(error) from error
        finally:
            connection.close()

    def translate(self, error: Exception) -> AndonError:
        """Say an engine's error in our words."""
        import psycopg

        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, psycopg.OperationalError):
            return Unavailable(
                f"Postgres: {text}", hint="is ANDON_DATABASE_URL right and the server up?"
            )
        return InternalError(f"Postgres: {text}")


_TYPES = {
    " TEXT": ' TEXT COLLATE "C"',
    " INTEGER": " BIGINT",
    " REAL": " DOUBLE PRECISION",
    " BLOB": " BYTEA",
}


def _for_postgres(statement: str) -> str:
    for ours, theirs in _TYPES.items():
        statement = statement.replace(ours, theirs)
    return statement
