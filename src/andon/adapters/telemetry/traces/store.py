"""``TraceStore`` in SQLite: chunks of a thousand spans, an index by trace, and a row a kept trace.

What is received lies in chunks that are *open* until each of their traces was decided on; what stays is
written again, sealed, its traces beside each other. Acknowledged is what is committed: a killed process
loses none of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from andon.adapters.telemetry.database import Database, until_under
from andon.adapters.telemetry.traces.chunks import (
    Summary,
    by_trace,
    pack,
    pieces,
    split,
    summarize,
    traces_of,
    unpack,
)
from andon.api.v1.spans import Edge, Span, Tally
from andon.ports.telemetry import Pending, Ripe, Settled, TraceQuestion, TraceSummary

DAY_NS = 86_400 * 10**9
MINUTE_NS = 60 * 10**9
DROPPED_PART = 20
"""Where there is too much, a twentieth of the chunks goes at a time."""
_CACHED_CHUNKS = 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunks(
  id INTEGER PRIMARY KEY AUTOINCREMENT, sealed INTEGER NOT NULL, at_ns INTEGER NOT NULL,
  alive INTEGER NOT NULL, traces BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_by_age ON chunks(sealed, at_ns);
CREATE TABLE IF NOT EXISTS pieces(
  trace BLOB NOT NULL, chunk INTEGER NOT NULL, PRIMARY KEY(trace, chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS traces(
  trace BLOB PRIMARY KEY, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, spans INTEGER NOT NULL,
  failed INTEGER NOT NULL, rooted INTEGER NOT NULL, root TEXT NOT NULL, service TEXT NOT NULL,
  operations TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS traces_by_start ON traces(start_ns);
CREATE TABLE IF NOT EXISTS operations(
  id INTEGER PRIMARY KEY, service TEXT NOT NULL, name TEXT NOT NULL, UNIQUE(service, name));
CREATE TABLE IF NOT EXISTS tallies(
  environment TEXT NOT NULL, service TEXT NOT NULL, operation TEXT NOT NULL, last_ns INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY(environment, service, operation)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edges(
  minute INTEGER NOT NULL, caller TEXT NOT NULL, callee TEXT NOT NULL, calls INTEGER NOT NULL,
  failed INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY(minute, caller, callee)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_ROW = "start_ns, end_ns, spans, failed, rooted, root, service, operations"
_encode_tally = msgspec.msgpack.Encoder().encode
_decode_tally = msgspec.msgpack.Decoder(Tally).decode

GetChunk = Callable[[int], dict[str, list[Span]]]
"""Returns the spans of a chunk, by trace."""


class SpanStore:
    """Keeps spans.

    Args:
        path: Its file.
        keep_days: What is older is forgotten.
        max_bytes: The oldest is forgotten beyond.
    """

    def __init__(self, path: Path, *, keep_days: float = 3, max_bytes: int = 1 << 30) -> None:
        self._db = Database(path, _SCHEMA)
        self._keep_ns = int(keep_days * DAY_NS)
        self._max_bytes = max_bytes

    # --- writing ----------------------------------------------------------------------------------

    def receive(self, spans: Sequence[Span], at_ns: int) -> int:
        """Take spans that may or may not be kept; returns how many."""
        with self._db.write() as db:
            for piece in pieces(spans):
                _put(db, piece, at_ns, sealed=False)
        return len(spans)

    def append(self, spans: Sequence[Span], *, mark: tuple[str, str] = ("", "")) -> int:
        """Keep spans; returns how many."""
        with self._db.write() as db:
            _seal(db, spans)
            if mark[0]:
                db.execute("INSERT OR REPLACE INTO marks VALUES(?, ?)", mark)
        return len(spans)

    def settle(self, settled: Settled) -> None:
        """Keep and drop what was pending and count it, all at once or not at all."""
        with self._db.write() as db:
            for trace in settled.ripe.traces:
                _close_pieces(db, bytes.fromhex(trace), settled.ripe.upto)
            db.execute("DELETE FROM chunks WHERE sealed=0 AND alive<=0")
            _seal(db, settled.kept)
            db.executemany(
                "INSERT OR REPLACE INTO tallies VALUES(?, ?, ?, ?, ?)",
                [(*one.key, one.last_ns, _encode_tally(one)) for one in settled.tallies],
            )
            minute = settled.at_ns - settled.at_ns % MINUTE_NS
            db.executemany(
                "INSERT INTO edges VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "calls=calls+excluded.calls, failed=failed+excluded.failed, "
                "seconds=seconds+excluded.seconds",
                [
                    (minute, one.caller, one.callee, one.calls, one.failed, one.seconds)
                    for one in settled.edges
                ],
            )

    def upkeep(self, now_ns: int) -> int:
        """Forget what is too old or too much; returns how many chunks."""
        oldest = now_ns - self._keep_ns
        with self._db.write() as db:
            old = [id for (id,) in db.execute("SELECT id FROM chunks WHERE at_ns<?", (oldest,))]
            _drop(db, old)
            db.execute("DELETE FROM edges WHERE minute<?", (oldest,))
            db.execute("DELETE FROM tallies WHERE last_ns<?", (oldest,))
        more = until_under(self._db.used_bytes, self._max_bytes, self._drop_oldest)
        if old or more:
            self._db.shrink()
        return len(old) + more

    def _drop_oldest(self) -> int:
        with self._db.write() as db:
            (count,) = db.execute("SELECT count(*) FROM chunks").fetchone()
            wanted = "SELECT id FROM chunks ORDER BY id LIMIT ?"
            return _drop(db, [id for (id,) in db.execute(wanted, (count // DROPPED_PART + 1,))])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # --- reading ----------------------------------------------------------------------------------

    def ripe(self, before_ns: int, limit: int = 20_000) -> Ripe:
        """Return traces of which the first pending span was received before a moment."""
        with self._db.read() as db:
            chunk = _cached(db)
            upto = db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0]
            wanted = "SELECT id, traces FROM chunks WHERE sealed=0 AND at_ns<? ORDER BY id"
            found: dict[str, Pending] = {}
            count = 0
            for id, traces in db.execute(wanted, (before_ns,)):
                if count >= limit:
                    break
                for trace in split(traces):
                    if trace.hex() in found:
                        continue
                    pending = _pending(db, trace, id, chunk)
                    if pending is not None:
                        found[trace.hex()] = pending
                        count += len(pending.spans)
            return Ripe(traces=found, upto=upto)

    def tallies(self) -> list[Tally]:
        """Return what was counted of every operation."""
        with self._db.read() as db:
            return [_decode_tally(body) for (body,) in db.execute("SELECT body FROM tallies")]

    def mark(self, name: str) -> str:
        """Return a note; empty: it was never written."""
        with self._db.read() as db:
            row = db.execute("SELECT value FROM marks WHERE name=?", (name,)).fetchone()
            return row[0] if row else ""

    def trace(self, trace: str) -> list[Span]:
        """Return the spans of a trace, by start; none of them twice."""
        try:
            key = bytes.fromhex(trace)
        except ValueError:
            return []
        with self._db.read() as db:
            return _spans_of(db, key, _cached(db))

    def search(self, question: TraceQuestion) -> list[TraceSummary]:
        """Find traces, newest first."""
        conditions = ["start_ns>=?", "start_ns<?", "end_ns-start_ns>=?"]
        if question.failed:
            conditions.append("failed=1")
        wanted = f"SELECT trace, {_ROW} FROM traces WHERE {' AND '.join(conditions)} ORDER BY start_ns DESC"
        given = (question.start_ns, question.end_ns, int(question.min_seconds * 1e9))
        with self._db.read() as db:
            fits = _fitting(db, question)
            found: list[TraceSummary] = []
            for trace, *row in db.execute(wanted, given):
                summary = _summary(row)
                if len(found) < question.limit and fits(trace, summary):
                    found.append(_told(trace, summary))
                if len(found) >= question.limit:
                    break
            return found

    def edges(self, start_ns: int, end_ns: int) -> list[Edge]:
        """Return who called whom in the minutes that begin then."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT caller, callee, sum(calls), sum(failed), sum(seconds) FROM edges "
                "WHERE minute>=? AND minute<? GROUP BY caller, callee ORDER BY caller, callee",
                (start_ns - start_ns % MINUTE_NS, end_ns),
            )
            return [
                Edge(caller=caller, callee=callee, calls=calls, failed=failed, seconds=seconds)
                for caller, callee, calls, failed, seconds in rows
            ]


# --- chunks and pieces ----------------------------------------------------------------------------


def _put(db: sqlite3.Connection, piece: list[Span], at_ns: int, *, sealed: bool) -> None:
    traces = traces_of(piece)
    made = db.execute(
        "INSERT INTO chunks(sealed, at_ns, alive, traces, body) VALUES(?, ?, ?, ?, ?)",
        (sealed, at_ns, len(traces), b"".join(traces), pack(piece)),
    )
    db.executemany("INSERT INTO pieces VALUES(?, ?)", [(one, made.lastrowid) for one in traces])


def _seal(db: sqlite3.Connection, spans: Sequence[Span]) -> None:
    known: dict[tuple[str, str], int] = {}
    for piece in pieces(spans):
        _put(db, piece, max(span.end_ns for span in piece), sealed=True)
        for trace, group in by_trace(piece).items():
            named = frozenset(_operation(db, span, known) for span in group)
            _note(db, bytes.fromhex(trace), summarize(group, named))


def _operation(db: sqlite3.Connection, span: Span, known: dict[tuple[str, str], int]) -> int:
    """Return the number of what a span does."""
    key = (span.service, span.name)
    if key not in known:
        db.execute("INSERT OR IGNORE INTO operations(service, name) VALUES(?, ?)", key)
        row = db.execute("SELECT id FROM operations WHERE service=? AND name=?", key).fetchone()
        known[key] = int(row[0])
    return known[key]


def _note(db: sqlite3.Connection, trace: bytes, summary: Summary) -> None:
    row = db.execute(f"SELECT {_ROW} FROM traces WHERE trace=?", (trace,)).fetchone()
    told = _summary(row).with_more(summary) if row else summary
    db.execute(
        "INSERT OR REPLACE INTO traces VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            trace,
            told.start_ns,
            told.end_ns,
            told.spans,
            told.failed,
            told.rooted,
            told.root,
            told.service,
            ",".join(map(str, sorted(told.operations))),
        ),
    )


def _close_pieces(db: sqlite3.Connection, trace: bytes, upto: int) -> None:
    """Take a trace out of the open chunks."""
    wanted = (
        "SELECT chunk FROM pieces JOIN chunks ON id=chunk WHERE trace=? AND chunk<=? AND sealed=0"
    )
    for (chunk,) in db.execute(wanted, (trace, upto)).fetchall():
        db.execute("DELETE FROM pieces WHERE trace=? AND chunk=?", (trace, chunk))
        db.execute("UPDATE chunks SET alive=alive-1 WHERE id=?", (chunk,))


def _drop(db: sqlite3.Connection, ids: Iterable[int]) -> int:
    """Forget chunks, and traces of which nothing is left."""
    count = 0
    for id in ids:
        (traces,) = db.execute("SELECT traces FROM chunks WHERE id=?", (id,)).fetchone()
        keys = [(one,) for one in split(traces)]
        db.executemany(f"DELETE FROM pieces WHERE trace=? AND chunk={int(id)}", keys)
        db.executemany(
            "DELETE FROM traces WHERE trace=?1 AND NOT EXISTS(SELECT 1 FROM pieces WHERE trace=?1)",
            keys,
        )
        db.execute("DELETE FROM chunks WHERE id=?", (id,))
        count += 1
    return count


def _cached(db: sqlite3.Connection) -> GetChunk:
    """Return what reads a chunk, and remembers the last few."""
    kept: dict[int, dict[str, list[Span]]] = {}

    def get(id: int) -> dict[str, list[Span]]:
        if id not in kept:
            if len(kept) >= _CACHED_CHUNKS:
                kept.pop(next(iter(kept)))
            row = db.execute("SELECT body FROM chunks WHERE id=?", (id,)).fetchone()
            kept[id] = by_trace(unpack(row[0]))
        return kept[id]

    return get


def _spans_of(db: sqlite3.Connection, trace: bytes, chunk: GetChunk) -> list[Span]:
    ids = db.execute("SELECT chunk FROM pieces WHERE trace=?", (trace,)).fetchall()
    found = {span.id: span for (id,) in ids for span in chunk(id).get(trace.hex(), ())}
    return sorted(found.values(), key=lambda span: (span.start_ns, span.end_ns, span.id))


def _pending(db: sqlite3.Connection, trace: bytes, first: int, chunk: GetChunk) -> Pending | None:
    """Return the open spans of a trace; None: it was decided on, as far as this chunk has it."""
    wanted = "SELECT chunk, sealed FROM pieces JOIN chunks ON id=chunk WHERE trace=? ORDER BY chunk"
    places = dict(db.execute(wanted, (trace,)).fetchall())
    if first not in places:
        return None
    mine: dict[bool, dict[str, Span]] = {False: {}, True: {}}
    for id, sealed in places.items():
        mine[bool(sealed)].update((one.id, one) for one in chunk(id).get(trace.hex(), ()))
    known = mine[True]
    fresh = tuple(span for id, span in mine[False].items() if id not in known)
    return Pending(spans=fresh, known=tuple(known.values()))


# --- questions ------------------------------------------------------------------------------------


def _summary(row: Sequence[Any]) -> Summary:
    start_ns, end_ns, spans, failed, rooted, root, service, operations = row
    numbers = frozenset(map(int, operations.split(",")))
    return Summary(start_ns, end_ns, spans, bool(failed), bool(rooted), root, service, numbers)


def _told(trace: bytes, summary: Summary) -> TraceSummary:
    return TraceSummary(
        trace=trace.hex(),
        root=summary.root,
        service=summary.service,
        start_ns=summary.start_ns,
        seconds=max(0, summary.end_ns - summary.start_ns) / 1e9,
        spans=summary.spans,
        failed=summary.failed,
    )


def _fitting(db: sqlite3.Connection, question: TraceQuestion) -> Callable[[bytes, Summary], bool]:
    """Return what says whether a trace has a span of the service and name, with the attributes."""
    chunk = _cached(db)
    wanted = _operations(db, question)

    def fits(trace: bytes, summary: Summary) -> bool:
        if wanted is not None and not wanted & summary.operations:
            return False
        if not question.attributes:
            return True
        return any(map(partial(_has, question), _spans_of(db, trace, chunk)))

    return fits


def _operations(db: sqlite3.Connection, question: TraceQuestion) -> set[int] | None:
    """Return the numbers of what is asked for; None: anything."""
    if not question.service and not question.name:
        return None
    rows = db.execute(
        "SELECT id FROM operations WHERE ?1 IN ('', service) AND ?2 IN ('', name)",
        (question.service, question.name),
    )
    return {id for (id,) in rows}


def _has(question: TraceQuestion, span: Span) -> bool:
    return (
        question.service in ("", span.service)
        and question.name in ("", span.name)
        and question.attributes.items() <= span.attributes.items()
    )
