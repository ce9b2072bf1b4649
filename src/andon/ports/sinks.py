"""Where events go: somebody outside who confirms that they have them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from andon.kernel.errors import Denied, Unavailable
from andon.ports.store.outbox import Mode


class Outgoing(Struct, frozen=True, kw_only=True):
    """An event on its way out.

    Args:
        id: Its id, the same however often it is sent: receivers know a repetition by it.
        type: CDEvents type.
        body: JSON of the whole CloudEvent, as the ledger keeps it.
    """

    id: str
    type: str
    body: bytes


class Receiver(Struct, frozen=True, kw_only=True):
    """Who is told, opened for the one who tells: no ``repr`` shows where or with what.

    Args:
        name: Of the subscription.
        url: Where: ``https``, ``amqp`` or ``nats``; may hold a password, or be one.
        mode: How a CloudEvent is put into a message.
        secrets: What messages are signed with, the newest first.
    """

    name: str
    url: str
    mode: Mode = "structured"
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Receiver({self.name})"


class NotTaken(Unavailable):
    """The other side is there and did not take this event; it may the next time."""


class Gone(Denied):
    """The other side wants no more events at all."""


class Sink(Protocol):
    """The way to one subscriber; opened by the first delivery, and again after a failure."""

    async def deliver(self, event: Outgoing) -> None:
        """Hand over an event; return only once the other side confirmed that it keeps it.

        Raises:
            Unavailable: The other side cannot be reached, or asks to be told later.
            NotTaken: It would not take the event this time.
            Denied: It will never take it.
            Gone: It wants no more events.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; never fails."""
        ...
