"""From each released schema to the next; every step runs inside one transaction with the version."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from andon.store.dialect import Connection
from andon.store.schema import VERSION, tables_named

Step = Callable[[Connection, Callable[[str], str]], None]


class _Tag(Struct):
    action: str


def upgrade(connection: Connection, found: int, translated: Callable[[str], str] = str) -> None:
    """Move a database forward to this program's schema.

    Args:
        connection: Inside a writing transaction.
        found: Version the database has, at least 1.
        translated: Turns a statement of ours into the engine's.
    """
    for version in range(found, VERSION):
        STEPS[version](connection, translated)


def _tokens_and_workers(connection: Connection, translated: Callable[[str], str]) -> None:
    """1 to 2: tokens instead of epochs, queues, several workers, checkpoints, subscribers."""
    for statement in (
        "ALTER TABLE step ADD COLUMN written INTEGER NOT NULL DEFAULT 1",
        "CREATE INDEX step_by_written ON step (uid, written)",
        "DROP INDEX action_unfinished",
        "DROP INDEX action_open",
        "CREATE INDEX action_open ON action (uid, asked) WHERE consumed = 0",
        "ALTER TABLE action RENAME COLUMN epoch TO token",
        "ALTER TABLE action ADD COLUMN queue TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE action ADD COLUMN batch TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE action ADD COLUMN rank REAL NOT NULL DEFAULT 0",
        "ALTER TABLE action ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "UPDATE action SET rank = created_at",
        "CREATE INDEX action_unfinished ON action (queue, rank) WHERE outcome IS NULL",
        "CREATE INDEX action_under_way ON action (batch) WHERE outcome IS NULL AND batch <> ''",
        "DROP INDEX task_by_due",
        "ALTER TABLE task RENAME COLUMN claims TO token",
        "ALTER TABLE task DROP COLUMN worker_epoch",
        "ALTER TABLE task ADD COLUMN ahead REAL NOT NULL DEFAULT 0",
        "CREATE INDEX task_by_due ON task (due) WHERE lease_until = 0",
        "ALTER TABLE lease RENAME COLUMN epoch TO token",
        "DELETE FROM lease",
        *tables_named("bucket", "dead_letter", "subscriber", "checkpoint", "segment", "archived"),
    ):
        connection.run(translated(statement))
    _name_queues(connection)


def _name_queues(connection: Connection) -> None:
    for key, body in connection.run("SELECT key, body FROM action WHERE outcome IS NULL"):
        queue = msgspec.json.decode(body, type=_Tag).action
        connection.change("UPDATE action SET queue = ? WHERE key = ?", (queue, key))


STEPS: Mapping[int, Step] = {1: _tokens_and_workers}
