"""Objects, steps, ledger and tasks in one database: SQLite by default, Postgres by configuration."""

from __future__ import annotations

from pathlib import Path

from andon.kernel.clock import Clock
from andon.ports.store import Finding, Store, Verification
from andon.store.alone import LoneDatabase
from andon.store.database import Database
from andon.store.dialect import Dialect
from andon.store.parallel import verify_ledger
from andon.store.postgres import IDLE_SECONDS, Postgres
from andon.store.sqlite import Sqlite

__all__ = [
    "Finding",
    "Verification",
    "dialect_of",
    "is_postgres",
    "open_alone",
    "open_store",
    "verify_ledger",
]


def open_store(
    url: str, *, source: str, clock: Clock | None = None, idle_seconds: float = IDLE_SECONDS
) -> Store:
    """Open the store, making its schema if the database is empty.

    Args:
        url: ``postgresql://...``, ``sqlite:///path`` or a path.
        source: CloudEvents source (a URI-reference) of this installation.
        clock: What ``Tx.now`` tells; None: the database's own time.
        idle_seconds: On Postgres, how long a stopped worker may keep others from writing.

    Raises:
        Unavailable: It cannot be reached or written.
        Conflict: A newer program made it.
    """
    return Database(dialect_of(url, idle_seconds), source, clock)


def open_alone(path: Path, *, source: str, clock: Clock) -> LoneDatabase:
    """Open the SQLite store of a process that nobody shares it with, for one loop and no threads.

    Raises:
        Unavailable: It cannot be written.
        Conflict: A newer program made it.
    """
    return LoneDatabase(Sqlite(path), source, clock)


def dialect_of(url: str, idle_seconds: float = IDLE_SECONDS) -> Dialect:
    """Return the engine of an address; nothing is opened."""
    if is_postgres(url):
        return Postgres(url, idle_seconds)
    return Sqlite(Path(url.removeprefix("sqlite://")))


def is_postgres(url: str) -> bool:
    """Say whether an address names a server."""
    return url.startswith(("postgresql://", "postgres://"))
