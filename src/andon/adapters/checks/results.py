"""Results of Checks, in a file of their own: one for each worker and moment."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from andon.api.v1.checks import CheckResult
from andon.kernel.errors import Unavailable

_TABLE = """CREATE TABLE IF NOT EXISTS result (
    name TEXT, worker TEXT, slot REAL, body BLOB NOT NULL, PRIMARY KEY (name, worker, slot)
) WITHOUT ROWID"""


class ResultFile:
    """Keeps results; may be used by several threads.

    Args:
        path: The file.

    Raises:
        Unavailable: It cannot be written, or read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._run("PRAGMA journal_mode = WAL")
        self._run("PRAGMA synchronous = NORMAL")
        self._run(_TABLE)

    def put(self, result: CheckResult) -> bool:
        """Keep a result; False: there is one of that worker for that moment already."""
        row = (result.check, result.worker, result.slot, msgspec.json.encode(result))
        said = "INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?) RETURNING slot"
        return bool(self._run(said, row))

    def last_slot(self, name: str, worker: str) -> float:
        """Return when it was last asked; 0: never."""
        found = self._run(
            "SELECT MAX(slot) FROM result WHERE name = ? AND worker = ?", (name, worker)
        )
        return float(found[0][0] or 0)

    def newest(self, name: str, worker: str, most: int) -> list[CheckResult]:
        """Return results, newest first."""
        rows = self._run(
            "SELECT body FROM result WHERE name = ? AND worker = ? ORDER BY slot DESC LIMIT ?",
            (name, worker, most),
        )
        return [msgspec.json.decode(body, type=CheckResult) for (body,) in rows]

    def forget(self, before: float) -> None:
        """Forget results that were due before a moment."""
        self._run("DELETE FROM result WHERE slot < ?", (before,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _run(self, said: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(said, values).fetchall()
            except sqlite3.Error as error:
                raise Unavailable(
                    f"results of Checks cannot be kept in {self._path}: {error}",
                    hint="is the disk full? what they ask goes on, and is told as missed",
                ) from error
