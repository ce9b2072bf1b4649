"""Postgres: a server that several workers share."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from andon.kernel.errors import AndonError, Conflict, InternalError, Unavailable, UsageError
from andon.store.dialect import Connection, Row, Rows, check_version
from andon.store.migrations import upgrade
from andon.store.schema import LAST_DRAWN, VERSION, statements

WRITER_LOCK = 0x616E646F6E
"""Advisory lock of whoever writes: the letters of our name."""
COPY_LOCK = 0x616E646F
"""Advisory lock of whoever fills a database with a copy."""
IDLE_SECONDS = 5.0
"""A transaction that does nothing for so long is ended: its worker was stopped, others wait."""
LISTEN_SECONDS = 1.0
SEQUENCE_SINCE = 2


class PostgresConnection:
    """A psycopg connection."""

    skip_locked = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement."""
        cursor = self._connection.execute(sql.replace("?", "%s"), parameters)
        return cursor.fetchall() if cursor.description else []

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement."""
        return int(self._connection.execute(sql.replace("?", "%s"), parameters).rowcount)

    def change_many(self, sql: str, rows: Rows) -> None:
        """Execute a statement for each of many rows."""
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Write many rows into a table, by COPY."""
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def token(self) -> tuple[str, tuple[Any, ...]]:
        """Draw a token for each row, once its lock is had: in the order of the rows' changes."""
        return "nextval('token')", ()

    def draw_above(self, token: int) -> None:
        """Raise the sequence."""
        self.run("SELECT setval('token', GREATEST(last_value, ?)) FROM token", (token + 1,))

    def last_token(self) -> int:
        """Return where the sequence stands."""
        ((value,),) = self.run("SELECT last_value FROM token")
        return int(value)

    def clock(self) -> float:
        """Return the server's time."""
        ((seconds,),) = self.run("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")
        return float(seconds)

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
        idle_seconds: How long a transaction may do nothing before the server ends it.
    """

    many_writers = True

    def __init__(self, url: str, idle_seconds: float = IDLE_SECONDS) -> None:
        self._url = self.url = url
        self._idle_seconds = idle_seconds
        self._channel = ""
        self._own: set[int] = set()
        """Server processes of our own writers: what they announce we know."""

    def connect(self, *, write: bool) -> PostgresConnection:
        """Open a connection."""
        return PostgresConnection(self._open())

    def _open(self) -> Any:
        try:
            import psycopg
        except ImportError:
            raise Unavailable(
                "Postgres needs the extra `postgres`", hint="pip install 'andon[postgres]'"
            ) from None
        try:
            connection = psycopg.connect(self._url, autocommit=True, **_patience(self._url))
            milliseconds = str(int(self._idle_seconds * 1000))
            connection.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
                (milliseconds,),
            )
        except psycopg.Error as error:
            raise self.translate(error) from error
        return connection

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction; writers of all processes take turns, as they do on SQLite."""
        if not write:
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        connection.run("BEGIN")
        connection.run("SELECT pg_advisory_xact_lock(?)", (WRITER_LOCK,))

    def begin_beside(self, connection: Connection) -> None:
        """Begin a transaction that locks its own rows."""
        connection.run("BEGIN")

    def begin_alone(self, connection: Connection) -> None:
        """Begin a transaction that nobody else fills this database beside."""
        connection.run("SET idle_in_transaction_session_timeout = 0")
        connection.run("BEGIN")
        ((free,),) = connection.run(
            "SELECT pg_try_advisory_xact_lock(?, hashtext(current_schema()))", (COPY_LOCK,)
        )
        if not free:
            raise Conflict(
                "another copy into that database is under way", hint="wait for it to end"
            )
        self.prepare()
        connection.run("SELECT pg_advisory_xact_lock(?)", (WRITER_LOCK,))

    def announce(self, connection: Connection) -> None:
        """Have others told once this transaction is committed."""
        ((pid,),) = connection.run(
            "SELECT pg_backend_pid() FROM pg_notify(?, '')", (self._channel,)
        )
        self._own.add(pid)

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Be told of what others commit, on a thread and a connection of its own."""
        over = threading.Event()
        thread = threading.Thread(
            target=self._listen, args=(told, over), name="andon-listener", daemon=True
        )
        thread.start()

        def end() -> None:
            over.set()
            with contextlib.suppress(Exception), self._open() as connection:
                connection.execute("SELECT pg_notify(%s, '')", (self._channel,))  # ends the wait
            thread.join()

        return end

    def _listen(self, told: Callable[[], None], over: threading.Event) -> None:
        import psycopg

        while not over.is_set():
            # While the server is away nobody is told; whoever waits looks now and then anyway.
            with contextlib.suppress(psycopg.Error, AndonError), self._open() as connection:
                connection.execute(f'LISTEN "{self._channel}"')
                while not over.is_set():
                    for notice in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                        if notice.pid not in self._own:
                            told()
            if not over.wait(LISTEN_SECONDS):
                told()

    def prepare(self) -> None:
        """Make the schema if it is absent, or move it forward."""
        import psycopg

        connection = self.connect(write=True)
        try:
            ((schema,),) = connection.run("SELECT current_schema()")
            # A channel is known in the whole database, and a database may have several schemas.
            self._channel = f"andon_{zlib.crc32(str(schema).encode()):08x}"
            self.begin(connection, write=True)
            self._make_schema(connection)
            connection.run("COMMIT")
        except psycopg.Error as error:
            raise self.translate(error) from error
        finally:
            connection.close()

    def _make_schema(self, connection: Connection) -> None:
        connection.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        rows = connection.run("SELECT version FROM schema_version")
        found = int(rows[0][0]) if rows else 0
        check_version(found, "the Postgres database")
        if found == VERSION:
            return
        if found:
            upgrade(connection, found, for_postgres)
        for statement in () if found else statements():
            connection.run(for_postgres(statement))
        if found < SEQUENCE_SINCE:
            connection.run("CREATE SEQUENCE token")
            connection.run(f"SELECT setval('token', ({LAST_DRAWN}) + 1)")
        connection.run("DELETE FROM schema_version")
        connection.run("INSERT INTO schema_version VALUES (?)", (VERSION,))

    def wipe(self) -> bool:
        """Leave it to the server: VACUUM frees old versions of rows, its log is recycled in time."""
        return False

    def translate(self, error: Exception) -> AndonError:
        """Say an engine's error in our words."""
        import psycopg

        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, psycopg.OperationalError):
            return Unavailable(
                f"Postgres: {text}", hint="is the address of the database right and the server up?"
            )
        if isinstance(error, psycopg.DataError):  # a text with a NUL, or a number without end
            return UsageError(f"Postgres cannot look up or keep something of it: {text}")
        return InternalError(f"Postgres: {text}")


def _patience(url: str) -> dict[str, Any]:
    """Return settings that notice a server or a way that is gone, unless the address says others."""
    ours = {
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
    }
    return {name: value for name, value in ours.items() if name not in url}


_TYPES = {
    " TEXT": ' TEXT COLLATE "C"',
    " INTEGER": " BIGINT",
    " REAL": " DOUBLE PRECISION",
    " BLOB": " BYTEA",
}


def for_postgres(statement: str) -> str:
    """Write a statement of our schema with the types of Postgres."""
    for ours, theirs in _TYPES.items():
        statement = statement.replace(ours, theirs)
    return statement
