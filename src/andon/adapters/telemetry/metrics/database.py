"""The store's file: its tables, one connection that writes and some that read."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from andon.kernel.errors import Unavailable

TABLES = """
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, labels TEXT NOT NULL, counter INTEGER NOT NULL,
  first_ms INTEGER, thinned TEXT NOT NULL DEFAULT '[]', carry TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS head (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
  id INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, n INTEGER NOT NULL,
  seq0 INTEGER NOT NULL, seq1 INTEGER NOT NULL, raw0 REAL, off0 REAL NOT NULL, cov0 INTEGER NOT NULL,
  raw1 REAL, off1 REAL NOT NULL, cov1 INTEGER NOT NULL, gap0 INTEGER NOT NULL,
  crc INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS families (
  name TEXT PRIMARY KEY, type TEXT NOT NULL, help TEXT NOT NULL, unit TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS exemplars (series INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""
BUSY_SECONDS = 10
MOST_IDLE = 8
_BROKEN = ("malformed", "not a database")

_log = logging.getLogger("andon.telemetry")


class Database:
    """A SQLite file in WAL mode, synchronous NORMAL: a killed process loses nothing that was committed.

    Args:
        path: The file; it is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._writer = self._open_writer()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction; it is committed at the end, or undone.

        Raises:
            Unavailable: The disk is full, or the file cannot be written.
        """
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                self._undo()
                if isinstance(error, sqlite3.Error):
                    raise unavailable(error) from error
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads.

        Raises:
            Unavailable: The file cannot be read.
        """
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._connect()
            yield connection
        except sqlite3.Error as error:
            raise unavailable(error) from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def used_bytes(self) -> int:
        """Return how much of the file is in use."""
        with self.read() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def begin_anew(self) -> None:
        """Set the file aside and begin an empty one."""
        self.close()
        self._set_aside()
        self._writer = self._prepared()

    def limit_pages(self, most: int) -> None:
        """Let the file have so many pages, from now on: beyond, it is as if the disk was full."""
        with self._writing:
            self._writer.execute(f"PRAGMA max_page_count = {most}")

    def close(self) -> None:
        """Let go; what is lent now is closed by whoever has it."""
        with self._writing, self._guard:
            self._writer.close()
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _undo(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            _log.error("metrics: a transaction could not be undone: %s", error)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    def _open_writer(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise unavailable(error) from error
            _log.error("%s is damaged (%s): it is set aside and begun anew", self._path, error)
            self._set_aside()
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(TABLES)
            connection.execute("SELECT COUNT(*) FROM series").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> None:
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.broken-{number}")).exists():
            number += 1
        self._path.rename(aside)
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)


def is_damage(error: Exception) -> bool:
    """Say whether the file itself is at fault, rather than the disk or who else uses it."""
    return any(word in str(error) for word in _BROKEN)


def unavailable(error: sqlite3.Error) -> Unavailable:
    """Say in one sentence that the file does not take or give samples now."""
    return Unavailable(
        f"metrics cannot be kept or read: {error}",
        hint="room on the disk of the state folder; what was not kept reads as unknown",
    )
