"""Cumulative counts of what objectives are about: any window is two look-ups.

A counter has a row whenever it was advanced, with everything since it began: bad events, all events, and
the seconds that were observed. As each row holds the whole sum, old rows are thinned by leaving some out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from andon.adapters.telemetry.database import Database

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
THINNED = ((2 * HOUR_MS, 60_000), (3 * DAY_MS, 300_000), (35 * DAY_MS, HOUR_MS))
"""Rows older than the first are one in so many milliseconds."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS counter(
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, since_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL, heard_ms INTEGER NOT NULL,
  bad REAL NOT NULL, total REAL NOT NULL, covered REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tally(
  counter INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  bad REAL NOT NULL, total REAL NOT NULL, covered REAL NOT NULL,
  PRIMARY KEY(counter, at_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history(
  goal TEXT NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL, remaining REAL, burn REAL,
  PRIMARY KEY(goal, at_ms)) WITHOUT ROWID;
"""
_AT = (
    "SELECT bad, total, covered FROM tally WHERE counter=? AND at_ms<=? ORDER BY at_ms DESC LIMIT 1"
)


class Counter(Struct, frozen=True):
    """How far a counter has come.

    Args:
        id: Its number here.
        key: What it counts.
        since_ms: When it began.
        last_ms: Until when it was advanced.
        heard_ms: When something was last observed; 0: never.
        bad: Bad events since it began.
        total: All events.
        covered: Seconds that were observed.
    """

    id: int
    key: str
    since_ms: int
    last_ms: int
    heard_ms: int = 0
    bad: float = 0.0
    total: float = 0.0
    covered: float = 0.0


class Moment(Struct, frozen=True):
    """How a goal stood: state, share of the budget left, burn."""

    at_ms: int
    state: str
    remaining: float | None
    burn: float | None


class Lookup:
    """Looks windows up in one state of the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def between(self, counter: Counter, start_ms: int, end_ms: int) -> tuple[float, float, float]:
        """Return bad events, all events and observed seconds of a window."""
        first, last = self._at(counter, start_ms), self._at(counter, end_ms)
        return last[0] - first[0], last[1] - first[1], last[2] - first[2]

    def _at(self, counter: Counter, at_ms: int) -> tuple[float, float, float]:
        if at_ms >= counter.last_ms:
            return counter.bad, counter.total, counter.covered
        if at_ms <= counter.since_ms:
            return 0.0, 0.0, 0.0
        row = self._db.execute(_AT, (counter.id, at_ms)).fetchone()
        return row or (0.0, 0.0, 0.0)


class Tallies:
    """Keeps counters.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)

    def counters(self) -> dict[str, Counter]:
        """Return all counters by key."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT id, key, since_ms, last_ms, heard_ms, bad, total, covered FROM counter"
            )
            return {row[1]: Counter(*row) for row in rows}

    def begin(self, keys: Iterable[tuple[str, int]]) -> dict[str, Counter]:
        """Make counters that begin at a moment, where there are none; returns all."""
        with self._db.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO counter(key, since_ms, last_ms, heard_ms, bad, total, covered) "
                "VALUES(?, ?, ?, 0, 0, 0, 0)",
                [(key, at_ms, at_ms) for key, at_ms in keys],
            )
        return self.counters()

    def advance(self, rows: Sequence[Counter]) -> None:
        """Write how far counters have come, all at once; of several rows of one, in order of time."""
        with self._db.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO tally VALUES(?, ?, ?, ?, ?)",
                [(one.id, one.last_ms, one.bad, one.total, one.covered) for one in rows],
            )
            last = {one.id: one for one in rows}
            db.executemany(
                "UPDATE counter SET since_ms=?, last_ms=?, heard_ms=?, bad=?, total=?, covered=? "
                "WHERE id=?",
                [
                    (
                        *(one.since_ms, one.last_ms, one.heard_ms),
                        *(one.bad, one.total, one.covered, one.id),
                    )
                    for one in last.values()
                ],
            )

    @contextmanager
    def looking(self) -> Iterator[Lookup]:
        """Look up many windows in one state of the file."""
        with self._db.read() as db:
            yield Lookup(db)

    def remember(self, moments: Iterable[tuple[str, Moment]]) -> None:
        """Keep how goals stood."""
        with self._db.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO history VALUES(?, ?, ?, ?, ?)",
                [(goal, one.at_ms, one.state, one.remaining, one.burn) for goal, one in moments],
            )

    def history(self, goal: str, start_ms: int, end_ms: int) -> list[Moment]:
        """Return how a goal stood, by time."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT at_ms, state, remaining, burn FROM history "
                "WHERE goal=? AND at_ms BETWEEN ? AND ? ORDER BY at_ms",
                (goal, start_ms, end_ms),
            )
            return [Moment(*row) for row in rows]

    def histories(self, start_ms: int) -> dict[str, list[Moment]]:
        """Return how all goals stood since a moment."""
        found: dict[str, list[Moment]] = {}
        with self._db.read() as db:
            rows = db.execute(
                "SELECT goal, at_ms, state, remaining, burn FROM history WHERE at_ms>=? "
                "ORDER BY goal, at_ms",
                (start_ms,),
            )
            for goal, *row in rows:
                found.setdefault(goal, []).append(Moment(*row))
        return found

    def thin(self, now_ms: int, keep_days: float = 400) -> None:
        """Leave out rows of long ago."""
        oldest = now_ms - int(keep_days * DAY_MS)
        edges = [*(age for age, _ in THINNED[1:]), int(keep_days * DAY_MS)]
        with self._db.write() as db:
            for (age_ms, step_ms), until_ms in zip(THINNED, edges, strict=True):
                _thin(db, now_ms - until_ms, now_ms - age_ms, step_ms)
            _thin_history(db, oldest, now_ms - 2 * DAY_MS)
            db.execute("DELETE FROM tally WHERE at_ms<?", (oldest,))
            db.execute("DELETE FROM history WHERE at_ms<?", (oldest,))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _thin(db: sqlite3.Connection, start_ms: int, end_ms: int, step_ms: int) -> None:
    """Keep the last row of each step between two moments."""
    db.execute(
        "DELETE FROM tally WHERE at_ms>=? AND at_ms<? AND (counter, at_ms) NOT IN ("
        "SELECT counter, max(at_ms) FROM tally WHERE at_ms>=? AND at_ms<? "
        "GROUP BY counter, (at_ms-1)/?)",
        (start_ms, end_ms, start_ms, end_ms, step_ms),
    )


def _thin_history(db: sqlite3.Connection, start_ms: int, end_ms: int) -> None:
    """Keep the last moment of each hour between two moments."""
    db.execute(
        "DELETE FROM history WHERE at_ms>=? AND at_ms<? AND (goal, at_ms) NOT IN ("
        "SELECT goal, max(at_ms) FROM history WHERE at_ms>=? AND at_ms<? GROUP BY goal, at_ms/?)",
        (start_ms, end_ms, start_ms, end_ms, HOUR_MS),
    )
