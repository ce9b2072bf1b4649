"""Where the chains end, while a database transaction moves them."""

from __future__ import annotations

from andon.store.dialect import Connection
from andon.store.ledger import FIRST

ALL = ""
"""In place of a stream: the whole ledger, whose last position is the last ``seq``."""


class Tail:
    """Ends of the chains as one database transaction moves them, written once in its end.

    Args:
        heads: Last position and hash by stream.
        moved: Streams whose head is not written yet.
    """

    def __init__(self, heads: dict[str, tuple[int, str]], moved: set[str]) -> None:
        self._heads = heads
        self._moved = moved

    def copy(self) -> Tail:
        """Keep what there is, to go back to it."""
        return Tail(dict(self._heads), set(self._moved))

    def head(self, db: Connection, stream: str) -> tuple[int, str]:
        """Return a stream's last position and hash."""
        if stream not in self._heads:
            rows = db.run("SELECT n, hash FROM head WHERE stream = ?", (stream,))
            self._heads[stream] = (rows[0][0], rows[0][1]) if rows else (0, FIRST)
        return self._heads[stream]

    def move(self, stream: str, n: int, hash: str) -> None:
        """Say where a stream ends now."""
        self._heads[stream] = (n, hash)
        self._moved.add(stream)

    def write(self, db: Connection) -> None:
        """Write what moved."""
        for stream in sorted(self._moved):
            db.change(
                "INSERT INTO head (stream, n, hash) VALUES (?, ?, ?)"
                " ON CONFLICT (stream) DO UPDATE SET n = excluded.n, hash = excluded.hash",
                (stream, *self._heads[stream]),
            )
        self._moved.clear()
