"""News of the line: what many readers hear, each event once, in order, and without a gap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from msgspec import Struct

HEARTBEAT_SECONDS = 15.0
"""So often a reader gets an empty list: a sign of life, and the moment to ask whether it may stay."""

Sees = Callable[[str], bool]
"""Whether a reader may hear of an environment."""


class Item(Struct, frozen=True):
    """A ledger event, or numbers of a Run that moved.

    Args:
        kind: ``event`` or ``progress``.
        seq: Sequence of the event; 0 for progress, of which only the newest counts.
        subject: Name of the Run whose numbers moved; empty for an event.
        environment: Where it happened; empty: nowhere in particular.
        body: JSON of it, written once for all readers.
    """

    kind: str
    seq: int
    subject: str
    environment: str
    body: bytes


class Reader(Protocol):
    """Hears what happens, until it is closed."""

    @property
    def begins(self) -> int:
        """Sequence behind which it hears everything."""
        ...

    def __aiter__(self) -> AsyncIterator[list[Item]]:
        """Hear."""
        ...

    async def __anext__(self) -> list[Item]:
        """Return what happened since: events in order, then progress; empty as a sign of life.

        Raises:
            AndonError: The store cannot be read; come again, after the last event heard.
        """
        ...

    def close(self) -> None:
        """End; whoever waits for the next list finds that there is none."""
        ...


class News(Protocol):
    """Where readers come in."""

    async def open(self, after: int, sees: Sees | None = None) -> Reader:
        """Let somebody hear.

        Args:
            after: Sequence of the last event heard; negative: only what is new.
            sees: Leaves out events and Runs of other environments; None: nothing is left out.
        """
        ...
