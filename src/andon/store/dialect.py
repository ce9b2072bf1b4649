"""The few differences between SQLite and Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from andon.kernel.errors import AndonError, Conflict
from andon.store.schema import VERSION

Row = tuple[Any, ...]
Rows = Sequence[Sequence[Any]]


class Connection(Protocol):
    """One connection, in autocommit; the caller says BEGIN and COMMIT."""

    skip_locked: str
    """What a SELECT ends in that passes over rows another transaction has locked."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement; its rows, if it returns any."""
        ...

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement; how many rows it touched."""
        ...

    def change_many(self, sql: str, rows: Rows) -> None:
        """Execute a statement for each of many rows."""
        ...

    def token(self) -> tuple[str, tuple[Any, ...]]:
        """Return an expression, and its parameters, that is greater than every token so far."""
        ...

    def draw_above(self, token: int) -> None:
        """Never draw a token that is not greater than this one."""
        ...

    def clock(self) -> float:
        """Return the database's time, in seconds since the Unix epoch."""
        ...

    def in_transaction(self) -> bool:
        """Say whether a transaction is open (an error may have ended it)."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class OwnConnection(Connection, Protocol):
    """A connection that nobody shares, for copies of the whole."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Write many rows into a table."""
        ...

    def last_token(self) -> int:
        """Return a token at least as great as every one that was drawn."""
        ...


class Dialect(Protocol):
    """A database engine."""

    url: str
    """Where the database is, for a process of its own."""
    many_writers: bool
    """Whether transactions that lock their own rows may go on beside the writer."""

    def connect(self, *, write: bool) -> OwnConnection:
        """Open a connection.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    def begin(self, connection: Connection, *, write: bool) -> None:
        """Begin a transaction: of the only writer, or over a snapshot."""
        ...

    def begin_beside(self, connection: Connection) -> None:
        """Begin a writing transaction beside the writer."""
        ...

    def begin_alone(self, connection: Connection) -> None:
        """Begin a long writing transaction that fills the database; its schema is made before.

        Raises:
            Conflict: Another process is doing so.
        """
        ...

    def announce(self, connection: Connection) -> None:
        """Have other processes told of this transaction once it is committed."""
        ...

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Be told, on another thread, of what other processes announce; returns what ends that."""
        ...

    def prepare(self) -> None:
        """Make the schema if it is absent, move an older one forward, refuse a newer one."""
        ...

    def wipe(self) -> bool:
        """Overwrite what was erased, as far as that is in our hands; whether it is done."""
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
