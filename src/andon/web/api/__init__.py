"""Every operation, a module a noun."""

from __future__ import annotations

from andon.web.api import (
    admin,
    cord,
    hooks,
    intake,
    ledger,
    people,
    queue,
    reading,
    runs,
    secrets,
    session,
    subscriptions,
    watches,
)
from andon.web.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *reading.OPERATIONS,
    *runs.OPERATIONS,
    *cord.OPERATIONS,
    *ledger.OPERATIONS,
    *watches.OPERATIONS,
    *queue.OPERATIONS,
    *subscriptions.OPERATIONS,
    *intake.OPERATIONS,
    *hooks.OPERATIONS,
    *secrets.OPERATIONS,
    *session.OPERATIONS,
    *people.OPERATIONS,
    *admin.OPERATIONS,
)
