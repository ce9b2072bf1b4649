"""What every Store must do; an engine's tests subclass this and provide the fixture."""

from __future__ import annotations

from andon.testing.store_ledger_suite import LedgerOfStore, TransactionsOfStore
from andon.testing.store_objects_suite import ObjectsOfStore
from andon.testing.store_outbox_suite import OutboxOfStore
from andon.testing.store_queue_suite import ActionsOfStore, TasksOfStore


class StoreSuite(
    ObjectsOfStore, TasksOfStore, ActionsOfStore, LedgerOfStore, TransactionsOfStore, OutboxOfStore
):
    """Fixture to provide: ``store``, open and empty."""
