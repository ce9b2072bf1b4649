"""Log lines in SQLite: compressed chunks per label set, found by time, labels and template.

What was acknowledged lies in the head: a row for every ``append``, read again when a killed process comes
back. From time to time the head becomes chunks, in one transaction. Words are not indexed: searching
compressed chunks reads millions of lines a second.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection

import msgspec

from andon.adapters.telemetry.database import Database, until_under
from andon.adapters.telemetry.logs.chunks import (
    SEVERITIES,
    Entry,
    Packed,
    Unpacked,
    pack,
    printable,
)
from andon.adapters.telemetry.logs.learning import TEMPLATES, Learnt
from andon.adapters.telemetry.logs.reading import Reading
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import LogBar, LogLine, LogPage, LogQuestion, LogTemplate

SEAL_LINES = 5_000
SEAL_BYTES = 8 << 20
SMALL_LINES = 2_500
NEAR_NS = 6 * 3600 * 10**9
MOST_LABEL_SETS = 20_000
MOST_LINE_CHARACTERS = 64 << 10
DROP_CHUNKS = 20
FEW_LABELS = ("source", "environment", "service")

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS labels(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS head(
  id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS marks(
  source TEXT PRIMARY KEY, mark TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks(
  id INTEGER PRIMARY KEY AUTOINCREMENT, labels INTEGER NOT NULL, first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL, lines INTEGER NOT NULL, last_number INTEGER NOT NULL,
  worst INTEGER NOT NULL, columns BLOB NOT NULL, texts BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS chunks_time ON chunks(last_ns, first_ns, labels, lines, worst);
CREATE INDEX IF NOT EXISTS chunks_labels ON chunks(labels, last_ns, lines);
CREATE TABLE IF NOT EXISTS chunk_templates(
  template INTEGER NOT NULL, chunk INTEGER NOT NULL, lines INTEGER NOT NULL,
  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
  PRIMARY KEY(template, chunk)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chunk_templates_chunk ON chunk_templates(chunk);
{TEMPLATES}
"""
_log = logging.getLogger("andon.telemetry")
_NO_MARKS: Mapping[str, str] = {}
_ENTRIES = msgspec.msgpack.Decoder(list[Entry])


class SqliteLogStore:
    """Keeps log lines.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)
        self._turn = threading.Lock()
        self._label_sets: dict[int, dict[str, str]] = {}
        self._label_ids: dict[str, int] = {}
        self._head: list[Entry] = []
        self._head_bytes = 0
        self._next_number = 1
        with self._db.read() as db:
            self._learnt = Learnt(db)
            self._read_labels(db)
            self._read_head(db)
        self._reading = Reading(self._db, self._learnt, self._label_sets, self._head_now)

    def search(self, question: LogQuestion) -> LogPage:
        """Find lines, newest first; a page may end early where very many lines were looked at."""
        return self._reading.search(question)

    def templates(self, question: LogQuestion) -> list[LogTemplate]:
        """Count the templates of the lines in question, most frequent first."""
        return self._reading.templates(question)

    def histogram(self, question: LogQuestion, bars: int) -> list[LogBar]:
        """Count the lines in question over time, by severity."""
        return self._reading.histogram(question, bars)

    def label_sets(self, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        """Return the label sets that have lines then."""
        return self._reading.label_sets(start_ns, end_ns)

    def _read_labels(self, db: Connection) -> None:
        for id, text in db.execute("SELECT id, text FROM labels"):
            self._remember_labels(id, text)

    def _read_head(self, db: Connection) -> None:
        for (body,) in db.execute("SELECT body FROM head ORDER BY id"):
            self._head += _ENTRIES.decode(body)
            self._head_bytes += len(body)
        last = db.execute("SELECT max(last_number) FROM chunks").fetchone()[0] or 0
        self._next_number = max([last, *(one.number for one in self._head)]) + 1

    def _head_now(self) -> list[Entry]:
        with self._turn:
            return self._head[:]

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._db.close()

    # --- writing -----------------------------------------------------------------------------------

    def append(self, lines: Sequence[LogLine], marks: Mapping[str, str] = _NO_MARKS) -> int:
        """Keep lines; when this returns, a kill loses none of them.

        Args:
            lines: The lines.
            marks: How far their sources are read now; empty: forget that.

        Raises:
            Unavailable: The disk is full; none is kept, and no mark.
        """
        if not lines and not marks:
            return 0
        with self._turn:
            ids = self._ids_of_labels(lines)
            numbers = range(self._next_number, self._next_number + len(lines))
            templates = self._learnt.learn(lines)
            entries = [_entry(*one) for one in zip(lines, numbers, ids, templates, strict=True)]
            body = msgspec.msgpack.encode(entries)
            with self._db.write() as db:
                if entries:
                    db.execute("INSERT INTO head(body) VALUES(?)", (body,))
                    self._learnt.save(db)
                _mark(db, marks)
            self._learnt.saved()
            self._next_number += len(lines)
            self._head.extend(entries)
            self._head_bytes += len(body)
            if len(self._head) >= SEAL_LINES or self._head_bytes >= SEAL_BYTES:
                self._seal_if_there_is_room()
        return len(lines)

    def marks(self) -> dict[str, str]:
        """Return how far sources were read."""
        with self._db.read() as db:
            return dict(db.execute("SELECT source, mark FROM marks").fetchall())

    def template_of(self, text: str) -> int:
        """Return the template of a line that was kept."""
        return self._learnt.template_of(text)

    def seal(self) -> None:
        """Turn the head into chunks.

        Raises:
            Unavailable: There is no room; the head stays.
        """
        with self._turn:
            self._seal()

    def _seal_if_there_is_room(self) -> None:
        try:
            self._seal()
        except Unavailable as error:
            _log.warning("the head of the logs stays as it is: %s", error.message)

    def _seal(self) -> None:
        groups: dict[int, list[Entry]] = defaultdict(list)
        for one in self._head:
            groups[one.labels].append(one)
        with self._db.write() as db:
            for labels, entries in groups.items():
                small = db.execute(
                    "SELECT id, columns, texts FROM chunks WHERE labels = ? AND lines < ?"
                    " AND last_ns > ? ORDER BY last_ns DESC LIMIT 1",
                    (labels, SMALL_LINES, entries[0].at_ns - NEAR_NS),
                ).fetchone()
                if small is not None:
                    id, columns, texts = small
                    entries = [*Unpacked(labels, Packed(texts, columns)).entries(), *entries]
                    _drop(db, [id])
                self._write_chunk(db, labels, sorted(entries, key=lambda one: one.place))
            db.execute("DELETE FROM head")
        self._head, self._head_bytes = [], 0

    def _write_chunk(self, db: Connection, labels: int, entries: list[Entry]) -> None:
        packed = pack(entries)
        row = (
            labels,
            entries[0].at_ns,
            entries[-1].at_ns,
            len(entries),
            max(one.number for one in entries),
            max(one.severity for one in entries),
            packed.columns,
            packed.texts,
        )
        chunk = db.execute(
            "INSERT INTO chunks(labels, first_ns, last_ns, lines, last_number, worst, columns, texts)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        by_template: dict[int, list[int]] = defaultdict(list)
        for one in entries:
            by_template[one.template].append(one.at_ns)
        db.executemany(
            "INSERT INTO chunk_templates VALUES(?, ?, ?, ?, ?)",
            [
                (template, chunk, len(times), times[0], times[-1])
                for template, times in by_template.items()
            ],
        )

    def _ids_of_labels(self, lines: Sequence[LogLine]) -> list[int]:
        """Return the ids of lines' label sets; new ones are on disk before anything speaks of them."""
        texts = [self._told(one.labels) for one in lines]
        new = sorted(set(texts) - self._label_ids.keys())
        if new:
            with self._db.write() as db:
                rows = [
                    (db.execute("INSERT INTO labels(text) VALUES(?)", (text,)).lastrowid, text)
                    for text in new
                ]
            for id, text in rows:
                self._remember_labels(id or 0, text)
        return [self._label_ids[text] for text in texts]

    def _told(self, labels: dict[str, str]) -> str:
        text = printable(json.dumps(labels, sort_keys=True, ensure_ascii=False))
        if len(self._label_ids) < MOST_LABEL_SETS or text in self._label_ids:
            return text
        return json.dumps({name: labels[name] for name in FEW_LABELS if name in labels})

    def _remember_labels(self, id: int, text: str) -> None:
        self._label_ids[text] = id
        self._label_sets[id] = json.loads(text)

    # --- keeping -----------------------------------------------------------------------------------

    def forget(self, before_ns: int, max_bytes: int) -> int:
        """Forget chunks that ended before a moment, then the oldest until it fits; returns lines."""
        with self._db.write() as db:
            old = db.execute("SELECT id, lines FROM chunks WHERE last_ns < ?", (before_ns,))
            rows: list[tuple[int, int]] = old.fetchall()
            _drop(db, [id for id, _ in rows])
        gone = sum(lines for _, lines in rows)
        gone += until_under(self._db.used_bytes, max_bytes, self._drop_oldest)
        if gone:
            self._forget_labels()
            self._db.shrink()
        return gone

    def _forget_labels(self) -> None:
        """Forget label sets that no line has any more, such as those of Runs long ended."""
        with self._turn:
            held = {one.labels for one in self._head}
            with self._db.write() as db:
                rows = db.execute(
                    "SELECT id FROM labels WHERE id NOT IN (SELECT labels FROM chunks)"
                )
                idle = [(id,) for (id,) in rows if id not in held]
                db.executemany("DELETE FROM labels WHERE id = ?", idle)
            gone = {id for (id,) in idle}
            self._label_ids = {text: id for text, id in self._label_ids.items() if id not in gone}
            for id in gone:
                self._label_sets.pop(id, None)

    def _drop_oldest(self) -> int:
        with self._db.write() as db:
            rows: list[tuple[int, int]] = db.execute(
                "SELECT id, lines FROM chunks ORDER BY last_ns LIMIT ?", (DROP_CHUNKS,)
            ).fetchall()
            _drop(db, [id for id, _ in rows])
        return sum(lines for _, lines in rows)


def _entry(line: LogLine, number: int, labels: int, template: int) -> Entry:
    return Entry(
        line.at_ns,
        number,
        labels,
        printable(line.text[:MOST_LINE_CHARACTERS]),
        SEVERITIES.index(line.severity) if line.severity in SEVERITIES else 0,
        line.trace,
        line.span,
        line.attributes,
        template,
    )


def _mark(db: Connection, marks: Mapping[str, str]) -> None:
    for source, mark in marks.items():
        if mark:
            db.execute("INSERT OR REPLACE INTO marks VALUES(?, ?)", (source, mark))
        else:
            db.execute("DELETE FROM marks WHERE source = ?", (source,))


def _drop(db: Connection, chunks: list[int]) -> None:
    rows = [(one,) for one in chunks]
    db.executemany("DELETE FROM chunks WHERE id = ?", rows)
    db.executemany("DELETE FROM chunk_templates WHERE chunk = ?", rows)
