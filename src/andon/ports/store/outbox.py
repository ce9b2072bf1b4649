"""Subscribers of the ledger: who is told, how far they are, and how it goes.

The ledger itself is the outbox. A subscriber has a cursor into it, moved only after the other side
confirmed what lies before it.
"""

import builtins
from typing import Literal, Protocol

from msgspec import Struct

Mode = Literal["structured", "binary"]


class Subscription(Struct, frozen=True, kw_only=True):
    """What somebody wants to be told, and where.

    Args:
        name: Unique.
        url: Where: ``https``, ``amqp`` or ``nats``; as it may be shown, once it is sealed.
        types: Beginnings of event types; empty: every type.
        stream: Only this chain; empty: all, without what came in from outside.
        mode: How a CloudEvent is put into a message.
        sealed: Whether the whole address and what signs lie in the vault.
        signed_with: How many secrets sign.
        secrets: In clear, as an earlier Andon kept them: sealed when the control plane starts.
        created_at: When.
        created_by: By whom.
    """

    name: str
    url: str
    types: tuple[str, ...] = ()
    stream: str = ""
    mode: Mode = "structured"
    sealed: bool = False
    signed_with: int = 0
    secrets: tuple[str, ...] = ()
    created_at: float = 0
    created_by: str = ""


class Delivering(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How telling goes.

    Args:
        paused: Why nothing is sent; empty: it is.
        attempts: How often the next event was tried in vain since something last succeeded.
        refused: How often the other side itself would not take it.
        error: What went wrong the last time; empty: all is well.
        failed_at: When that was.
        next_at: When to try again.
        delivered: Events confirmed so far.
        delivered_at: When the last one was.
    """

    paused: str = ""
    attempts: int = 0
    refused: int = 0
    error: str = ""
    failed_at: float = 0
    next_at: float = 0
    delivered: int = 0
    delivered_at: float = 0


class Subscriber(Struct, frozen=True, kw_only=True):
    """A subscription and its cursor.

    Args:
        spec: What is wanted.
        cursor: ``seq`` of the last event that is done with: confirmed, not wanted, or given up.
        status: How it goes.
    """

    spec: Subscription
    cursor: int
    status: Delivering = Delivering()


class Outbox(Protocol):
    """The part of a transaction that keeps subscribers."""

    def subscribers(self) -> builtins.list[Subscriber]:
        """Return all, by name."""
        ...

    def subscriber(self, name: str) -> Subscriber | None:
        """Return one, or None."""
        ...

    def put_subscriber(self, subscriber: Subscriber) -> None:
        """Write one, replacing the one of that name."""
        ...

    def remove_subscriber(self, name: str) -> None:
        """Forget one and its dead letters."""
        ...
