"""The ledger within a transaction: appending, reading, and the few ways it may be changed."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import astuple

from andon.api.v1.control import Event
from andon.kernel.errors import Conflict, NotFound
from andon.ports.store import Checkpoint, LedgerRow, Segment
from andon.store.dialect import Connection
from andon.store.ledger import EVENT, Raw, draft
from andon.store.tail import ALL, Tail

_CHECKPOINT = "seq, time, body, key_id, signature"
_SEGMENT = "stream, first_n, last_n, first_seq, last_seq, prev_hash, last_hash, digest, erased, archived_at"
LOWEST, HIGHEST = -(2**63), 2**63 - 1
PAGE = 500


def rows_between(db: Connection, after: int, upto: int) -> Iterator[Raw]:
    """Yield rows as they are, behind ``after`` up to ``upto``, without holding them all."""
    while rows := db.run(
        f"SELECT {EVENT} FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        (after, upto, PAGE),
    ):
        yield from rows
        after = rows[-1][0]


def _text(value: object) -> str:
    return value if type(value) is str else repr(value)


class Events:
    """The part of a transaction that keeps the ledger."""

    _db: Connection
    _tail: Tail
    _source: str
    news: bool

    def append(self, event: Event, now: float) -> None:
        """Append an event to its stream."""
        self._tail.add(draft(event, self._source, now))
        self.news = True

    # --- reading ---------------------------------------------------------------------------------

    def events(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        limit: int = 1000,
    ) -> builtins.list[LedgerRow]:
        """Return events by ``seq``."""
        where: builtins.list[str] = ["seq > ?"]
        parameters: builtins.list[Any] = [after]
        for column, value in (("stream", stream), ("chain", chain), ("subject", subject)):
            if value:
                where.append(f"{column} = ?")
                parameters.append(value)
        if type.endswith("."):
            where.append("type >= ? AND type < ?")
            parameters += [type, type[:-1] + "/"]
        elif type:
            where.append("type = ?")
            parameters.append(type)
        rows = self._written().run(
            f"SELECT {EVENT} FROM event WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?",
            (*parameters, limit),
        )
        return [LedgerRow(*row) for row in rows]

    def event(self, id: str) -> LedgerRow | None:
        """Return one event."""
        rows = self._written().run(f"SELECT {EVENT} FROM event WHERE id = ?", (id,))
        return LedgerRow(*rows[0]) if rows else None

    def linked(self, id: str) -> tuple[builtins.list[str], builtins.list[str]]:
        """Return the ids an event points to, and those that point to it."""
        db = self._written()
        to = db.run("SELECT DISTINCT target FROM link WHERE source = ? ORDER BY target", (id,))
        of = db.run("SELECT DISTINCT source FROM link WHERE target = ? ORDER BY source", (id,))
        return [row[0] for row in to], [row[0] for row in of]

    def heads(self) -> dict[str, tuple[int, str]]:
        """Return each stream's last position and hash."""
        self._tail.write(self._db)
        rows = self._db.run("SELECT stream, n, hash FROM head WHERE stream <> ''")
        return {stream: (n, hash) for stream, n, hash in rows}

    def last_seq(self) -> int:
        """Return the ``seq`` of the newest event; 0 if there is none."""
        return self._tail.head(self._written(), ALL)[0]

    def raw_events(self) -> Iterator[Raw]:
        """Yield all rows as they are, in the order of ``seq``, without holding them all."""
        return rows_between(self._written(), LOWEST, HIGHEST)

    def hash_at(self, stream: str, n: int) -> str | None:
        """Return the hash of one event, by its place."""
        rows = self._written().run("SELECT hash FROM event WHERE stream = ? AND n = ?", (stream, n))
        return str(rows[0][0]) if rows else None

    def heads_at(self, seq: int) -> dict[str, int]:
        """Return the last position of each stream up to a ``seq``, of those not archived."""
        rows = self._written().run(
            "SELECT stream, MAX(n) FROM event WHERE seq <= ? GROUP BY stream", (seq,)
        )
        return {_text(stream): n if type(n) is int else HIGHEST for stream, n in rows}

    def _written(self) -> Connection:
        """Write what was appended, so that it can be read."""
        self._tail.flush(self._db)
        return self._db

    # --- changing --------------------------------------------------------------------------------

    def erase(self, id: str) -> None:
        """Take out an event's body."""
        if not self._written().change("UPDATE event SET body = ? WHERE id = ?", (b"", id)):
            raise NotFound(f"there is no event {id}", hint="`andon ledger list` lists them")

    def restore(self, rows: Sequence[LedgerRow], links: Sequence[tuple[str, str, str]]) -> None:
        """Write events exactly as they were elsewhere."""
        db = self._written()
        self._tail.put(db, [astuple(row) for row in rows])
        for row in rows:
            self._tail.move(row.stream, row.seq, row.n, row.hash)
        if links:
            db.change_many(
                "INSERT INTO link (source, target, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                links,
            )
        self.news = True

    # --- checkpoints -----------------------------------------------------------------------------

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed checkpoint."""
        self._db.change(
            f"INSERT INTO checkpoint ({_CHECKPOINT}) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (seq) DO NOTHING",
            astuple(checkpoint),
        )

    def checkpoints(self, *, newest: int = 0) -> builtins.list[Checkpoint]:
        """Return the checkpoints by ``seq``."""
        rows = self._db.run(
            f"SELECT {_CHECKPOINT} FROM checkpoint ORDER BY seq DESC LIMIT ?",
            (newest or 2**62,),
        )
        return [Checkpoint(*row) for row in reversed(rows)]

    # --- the archive -----------------------------------------------------------------------------

    def segments(self) -> builtins.list[Segment]:
        """Return what was archived."""
        rows = self._db.run(f"SELECT {_SEGMENT} FROM segment ORDER BY stream, first_n")
        return [Segment(*row) for row in rows]

    def replace_blob(self, old: str, new: str, erased: str) -> None:
        """Let segments be in another blob."""
        self._db.change(
            "UPDATE segment SET erased = erased + 1 WHERE digest = ? AND stream = ?", (old, erased)
        )
        self._db.change("UPDATE segment SET digest = ? WHERE digest = ?", (new, old))

    def archived_in(self, id: str) -> Segment | None:
        """Return the segment that an archived event is in."""
        rows = self._db.run(
            f"SELECT {', '.join(f's.{name}' for name in _SEGMENT.split(', '))} FROM archived a"
            " JOIN segment s ON s.stream = a.stream AND s.first_n <= a.n AND s.last_n >= a.n"
            " WHERE a.id = ?",
            (id,),
        )
        return Segment(*rows[0]) if rows else None

    def archive(self, segments: Sequence[Segment]) -> None:
        """Let rows be in the blob store instead."""
        db = self._written()
        for segment in segments:
            self._expect_same(segment)
            db.change(
                f"INSERT INTO segment ({_SEGMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                astuple(segment),
            )
            mine = (segment.stream, segment.first_n, segment.last_n)
            rows = "FROM event WHERE stream = ? AND n >= ? AND n <= ?"
            db.change(f"INSERT INTO archived (id, stream, n) SELECT id, stream, n {rows}", mine)
            db.change(f"DELETE FROM link WHERE source IN (SELECT id {rows})", mine)
            db.change(f"DELETE {rows}", mine)

    def _expect_same(self, segment: Segment) -> None:
        rows = self._db.run(
            "SELECT COUNT(*), SUM(CASE WHEN LENGTH(body) = 0 THEN 1 ELSE 0 END) FROM event"
            " WHERE stream = ? AND n >= ? AND n <= ?",
            (segment.stream, segment.first_n, segment.last_n),
        )
        ends = (
            segment.last_n - segment.first_n + 1,
            segment.erased,
            segment.last_hash,
        )
        if (*rows[0], self.hash_at(segment.stream, segment.last_n)) != ends:
            raise Conflict(
                f"{segment.stream} changed while it was archived", hint="try `archive` again"
            )

    def delivered_seq(self) -> int | None:
        """Return the ``seq`` up to which every subscriber has been told."""
        ((least,),) = self._db.run("SELECT MIN(cursor) FROM subscriber")
        return None if least is None else int(least)
