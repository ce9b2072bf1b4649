"""SQLite files of telemetry: apart from what controls, never in its way.

A broken file is set aside and begun anew; a full disk is ``Unavailable``, and what is there stays readable.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from andon.kernel.errors import Unavailable

BUSY_SECONDS = 5.0
_log = logging.getLogger("andon.telemetry")


class Database:
    """One file, one writer at a time, and readers beside it.

    Args:
        path: The file.
        schema: Statements that make the tables where they are not there.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._writing, self._reading = threading.Lock(), threading.Lock()
        try:
            self._writer = _open(path, schema)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _unavailable(path, error) from None
            _set_aside(path, error)
            self._writer = _open(path, schema)
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only=ON")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Write, all or nothing; on disk, for a killed process, when this returns.

        Raises:
            Unavailable: The disk is full, or cannot be written.
        """
        with self._writing, _told(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read one state of it.

        Raises:
            Unavailable: It cannot be read.
        """
        with self._reading, _told(self.path):
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

    def used_bytes(self) -> int:
        """Return how much of the file holds something."""
        with self.read() as db:
            pages = _pragma(db, "page_count") - _pragma(db, "freelist_count")
            return pages * _pragma(db, "page_size")

    def shrink(self) -> None:
        """Give back what was freed."""
        with self._writing, _told(self.path):
            self._writer.execute("PRAGMA incremental_vacuum").fetchall()
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of it."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def _open(path: Path, schema: str) -> sqlite3.Connection:
    db = _connect(path)
    try:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL").fetchall()
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=16777216").fetchall()
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        db.executescript(schema)
    except BaseException:
        db.close()
        raise
    path.chmod(0o600)
    return db


def _set_aside(path: Path, error: Exception) -> None:
    """Rename a broken file and what belongs to it; nothing is deleted."""
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    _log.error("%s is broken (%s): it is %s now, and a new one begins", path, error, aside.name)
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        raise _unavailable(path, error) from None


def _unavailable(path: Path, error: Exception) -> Unavailable:
    return Unavailable(
        f"{path.name} of telemetry cannot be used: {error}",
        hint=f"room on the disk of {path.parent}, and rights to write there; what controls goes on",
    )


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def until_under(
    used: Callable[[], int], most_bytes: int, drop: Callable[[], int], rounds: int = 1000
) -> int:
    """Drop the oldest until what is used is at most ``most_bytes``; returns how much was dropped."""
    dropped = 0
    for _ in range(rounds):
        if used() <= most_bytes:
            break
        gone = drop()
        if not gone:
            break
        dropped += gone
    return dropped
