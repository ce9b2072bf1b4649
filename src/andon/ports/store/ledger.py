"""The ledger as a transaction sees it."""

from __future__ import annotations

import builtins
from typing import Protocol

from msgspec import Struct

from andon.api.v1.control import Event


class LedgerRow(Struct, frozen=True):
    """An event as the ledger keeps it.

    Args:
        seq: Position in the whole ledger; readers resume after it.
        stream: Chain it belongs to.
        n: Position in that chain, from 1.
        id: Id of the event.
        type: CDEvents type.
        subject: Id of the subject.
        chain: Groups all events of one Change.
        time: When it was appended.
        body: JSON of the whole CloudEvent, keys sorted; empty once erased.
        body_digest: Digest of the body; the hash covers this instead of the body, and all the rest.
        prev_hash: Hash of the row before it in the chain.
        hash: Hash of this row.
    """

    seq: int
    stream: str
    n: int
    id: str
    type: str
    subject: str
    chain: str
    time: float
    body: bytes
    body_digest: str
    prev_hash: str
    hash: str


class Ledger(Protocol):
    """The part of a transaction that appends events and reads them."""

    def append(self, event: Event, now: float) -> int | None:
        """Append an event to its stream; its ``seq``, or None if that id is already there."""
        ...

    def events(
        self,
        *,
        after: int = 0,
        stream: str = "",
        chain: str = "",
        subject: str = "",
        type: str = "",
        limit: int = 1000,
    ) -> builtins.list[LedgerRow]:
        """Return events by ``seq``; empty filters match everything.

        Args:
            after: Only events with a greater ``seq``.
            stream: Only this stream.
            chain: Only events of this Change.
            subject: Only about this subject.
            type: Only this type; one that ends in a dot is a prefix (``dev.cdevents.service.``).
            limit: At most so many.
        """
        ...

    def event(self, id: str) -> LedgerRow | None:
        """Return one event."""
        ...

    def linked(self, id: str) -> tuple[builtins.list[str], builtins.list[str]]:
        """Return the ids an event points to, and the ids of events that point to it."""
        ...

    def heads(self) -> dict[str, tuple[int, str]]:
        """Return each stream's last position and hash."""
        ...

    def last_seq(self) -> int:
        """Return the ``seq`` of the newest event; 0 if there is none."""
        ...
