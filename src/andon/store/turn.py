"""One function's statements within the transaction of its group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andon.store.dialect import Connection, Row, Rows


class Turn:
    """A connection that opens a savepoint before its first statement, so that it can be undone.

    A function that asks the database nothing (it appends events, which are written later) needs none.

    Args:
        connection: Inside a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open = False
        self.skip_locked = connection.skip_locked

    def _opened(self) -> Connection:
        if not self._open:
            self._connection.run("SAVEPOINT one")
            self._open = True
        return self._connection

    def keep(self) -> None:
        """End well."""
        if self._open:
            self._connection.run("RELEASE SAVEPOINT one")

    def undo(self) -> None:
        """Take back what was written."""
        if self._open:
            self._connection.run("ROLLBACK TO SAVEPOINT one")
            self._connection.run("RELEASE SAVEPOINT one")

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement."""
        return self._opened().run(sql, parameters)

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement."""
        return self._opened().change(sql, parameters)

    def change_many(self, sql: str, rows: Rows) -> None:
        """Execute a statement for each of many rows."""
        self._opened().change_many(sql, rows)

    def token(self) -> tuple[str, tuple[Any, ...]]:
        """Draw a token."""
        return self._opened().token()

    def draw_above(self, token: int) -> None:
        """Never draw a token that is not greater than this one."""
        self._opened().draw_above(token)

    def clock(self) -> float:
        """Return the database's time."""
        return self._connection.clock()

    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self._connection.in_transaction()

    def close(self) -> None:
        """A turn is not what closes."""
