"""Subscribers of the ledger and their cursors."""

from __future__ import annotations

import msgspec

from andon.ports.store.outbox import Delivering, Subscriber, Subscription
from andon.store.dialect import Connection, Row

QUEUE = "subscription/"
"""Dead letters of a subscriber lie in the queue of this name and its own."""

_spec = msgspec.json.Decoder(Subscription)
_status = msgspec.json.Decoder(Delivering)


class Subscribers:
    """The part of a transaction that keeps subscribers."""

    _db: Connection

    def subscribers(self) -> list[Subscriber]:
        """Return all, by name."""
        rows = self._db.run("SELECT spec, cursor, status FROM subscriber ORDER BY name")
        return [_subscriber(row) for row in rows]

    def subscriber(self, name: str) -> Subscriber | None:
        """Return one, or None."""
        rows = self._db.run("SELECT spec, cursor, status FROM subscriber WHERE name = ?", (name,))
        return _subscriber(rows[0]) if rows else None

    def put_subscriber(self, subscriber: Subscriber) -> None:
        """Write one."""
        self._db.change(
            "INSERT INTO subscriber (name, spec, cursor, status) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, cursor = excluded.cursor,"
            " status = excluded.status",
            (
                subscriber.spec.name,
                msgspec.json.encode(subscriber.spec).decode(),
                subscriber.cursor,
                msgspec.json.encode(subscriber.status).decode(),
            ),
        )

    def remove_subscriber(self, name: str) -> None:
        """Forget one and its dead letters."""
        self._db.change("DELETE FROM subscriber WHERE name = ?", (name,))
        self._db.change("DELETE FROM dead_letter WHERE queue = ?", (QUEUE + name,))


def _subscriber(row: Row) -> Subscriber:
    spec, cursor, status = row
    return Subscriber(spec=_spec.decode(spec), cursor=int(cursor), status=_status.decode(status))
