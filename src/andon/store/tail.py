"""What one database transaction adds to the ledger: kept here, sealed and written once, at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from andon.kernel.errors import InternalError
from andon.store.dialect import Connection
from andon.store.ledger import EVENT, FIRST, Draft, Raw, sealed

ALL = ""
"""In place of a stream: the whole ledger, whose last position is the last ``seq``."""

_INSERT_EVENT = f"INSERT INTO event ({EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_LINK = "INSERT INTO link (source, target, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_MOVE_HEAD = (
    "INSERT INTO head (stream, n, hash) VALUES (?, ?, ?)"
    " ON CONFLICT (stream) DO UPDATE SET n = excluded.n, hash = excluded.hash"
)
_ASKED_AT_ONCE = 200

Heads = dict[str, tuple[int, str]]


class _State(Struct):
    """Ends of the chains, those not written yet, and events without a place yet."""

    heads: Heads
    moved: set[str]
    drafts: list[Draft]


class Tail:
    """Events and ends of chains within one database transaction of several functions.

    Args:
        writable: Whether anything can be appended.
    """

    def __init__(self, *, writable: bool = True) -> None:
        self._writable = writable
        self._now = _State({}, set(), [])
        self._mark = 0
        self._before: _State | None = None

    # --- one function after another --------------------------------------------------------------

    def mark(self) -> None:
        """Remember this place, to go back to it."""
        self._mark = len(self._now.drafts)
        self._before = None

    def go_back(self) -> None:
        """Forget what came since the mark; its rows, if any were written, are rolled back."""
        if self._before is not None:
            self._now = self._before
            self._before = None
        else:
            del self._now.drafts[self._mark :]

    # --- appending -------------------------------------------------------------------------------

    def add(self, draft: Draft) -> None:
        """Append an event; its place is known once it is written."""
        if not self._writable:
            raise InternalError("events are appended by the writer only")
        self._now.drafts.append(draft)

    def flush(self, db: Connection) -> None:
        """Give the events their places, and write them; those already there are dropped."""
        if not self._now.drafts:
            return
        if self._before is None:
            now = self._now
            self._before = _State(dict(now.heads), set(now.moved), now.drafts[: self._mark])
        fresh = {draft.id: draft for draft in reversed(self._now.drafts)}
        for id in _known(db, list(fresh)):
            del fresh[id]
        drafts = [draft for draft in self._now.drafts if fresh.get(draft.id) is draft]
        self._now.drafts = []
        self.put(db, [self._seal(db, draft) for draft in drafts])
        links = [(draft.id, *link) for draft in drafts for link in draft.links]
        if links:
            db.change_many(_INSERT_LINK, links)

    def put(self, db: Connection, rows: Sequence[Raw]) -> None:
        """Write finished rows."""
        if rows:
            db.change_many(_INSERT_EVENT, rows)

    def _seal(self, db: Connection, draft: Draft) -> Raw:
        seq, _ = self.head(db, ALL)
        n, prev_hash = self.head(db, draft.stream)
        row = sealed(draft, seq + 1, n + 1, prev_hash)
        self.move(draft.stream, seq + 1, n + 1, row[-1])
        return row

    # --- ends ------------------------------------------------------------------------------------

    def head(self, db: Connection, stream: str) -> tuple[int, str]:
        """Return a stream's last position and hash, as far as written."""
        heads = self._now.heads
        if stream not in heads:
            rows = db.run("SELECT n, hash FROM head WHERE stream = ?", (stream,))
            heads[stream] = (rows[0][0], rows[0][1]) if rows else (0, FIRST)
        return heads[stream]

    def move(self, stream: str, seq: int, n: int, hash: str) -> None:
        """Say where a stream, and with it the ledger, ends now."""
        self._now.heads[ALL] = (seq, "")
        self._now.heads[stream] = (n, hash)
        self._now.moved |= {ALL, stream}

    def write(self, db: Connection) -> None:
        """Write all there is."""
        self.flush(db)
        moved = sorted(self._now.moved)
        if moved:
            if self._before is None:
                self._before = _State(dict(self._now.heads), set(moved), [])
            db.change_many(_MOVE_HEAD, [(stream, *self._now.heads[stream]) for stream in moved])
            self._now.moved = set()


def _known(db: Connection, ids: list[str]) -> Iterable[str]:
    """Yield those of some ids whose events are in the ledger, or were archived from it."""
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        some: list[Any] = ids[start : start + _ASKED_AT_ONCE]
        places = ", ".join("?" * len(some))
        yield from (
            id
            for (id,) in db.run(
                f"SELECT id FROM event WHERE id IN ({places}) UNION ALL"
                f" SELECT id FROM archived WHERE id IN ({places})",
                (*some, *some),
            )
        )
