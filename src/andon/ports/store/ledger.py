"""The ledger as a transaction sees it."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
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


class Checkpoint(Struct, frozen=True):
    """Ends of all chains, signed.

    Args:
        seq: Position in the ledger that it covers everything up to.
        time: When it was made.
        body: JSON of ``seq``, ``time``, ``heads`` and the digest of the checkpoint before; signed.
        key_id: Key it is signed with.
        signature: In hexadecimal digits.
    """

    seq: int
    time: float
    body: str
    key_id: str
    signature: str


class Segment(Struct, frozen=True):
    """The beginning of a stream, or what followed it, that was moved into the blob store.

    Args:
        stream: Chain.
        first_n: Position of its first event in that chain.
        last_n: Of its last.
        first_seq: Position of the first in the ledger.
        last_seq: Of the last.
        prev_hash: Hash before the first.
        last_hash: Hash of the last.
        digest: Of the blob; other streams' segments may be in the same one.
        erased: How many of them have no body any more.
        archived_at: When.
    """

    stream: str
    first_n: int
    last_n: int
    first_seq: int
    last_seq: int
    prev_hash: str
    last_hash: str
    digest: str
    erased: int
    archived_at: float


class Finding(Struct, frozen=True, kw_only=True):
    """Something in the ledger that is not as it was written.

    Args:
        stream: Chain; empty: the ledger as a whole.
        n: Position in it.
        seq: Position in the ledger.
        what: What is wrong.
        id: Id of the event there, if there is one.
    """

    stream: str
    n: int
    seq: int
    what: str
    id: str = ""

    def __str__(self) -> str:
        place = f"{self.stream} #{self.n} (seq {self.seq})" if self.stream else f"seq {self.seq}"
        return f"{place}{f' {self.id}' if self.id else ''}: {self.what}"


class Verification(Struct, frozen=True, kw_only=True):
    """The result of recomputing every chain.

    Args:
        events: Events whose rows were read.
        streams: Chains.
        erased: Events whose body was taken out; what is left of them still fits the chain.
        findings: What is wrong, by place.
        archived: Events that are in archived segments.
        segments: Such segments.
        checkpoints: Signed checkpoints that hold.
        signed_seq: Everything up to here is covered by one of them.
    """

    events: int
    streams: int
    erased: int
    findings: tuple[Finding, ...]
    archived: int = 0
    segments: int = 0
    checkpoints: int = 0
    signed_seq: int = 0


class Ledger(Protocol):
    """The part of a transaction that appends events and reads them."""

    def append(self, event: Event, now: float) -> None:
        """Append an event to its stream, unless one of that id is in the ledger."""
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

    def hash_at(self, stream: str, n: int) -> str | None:
        """Return the hash of one event, by its place; None if it is not there."""
        ...

    def heads_at(self, seq: int) -> dict[str, int]:
        """Return the last position of each stream up to a ``seq``, of those not archived."""
        ...

    def last_seq(self) -> int:
        """Return the ``seq`` of the newest event; 0 if there is none."""
        ...

    def erase(self, id: str) -> None:
        """Take out an event's body; its digest and the chain stay.

        Raises:
            NotFound: No such event in the database.
        """
        ...

    def restore(self, rows: Sequence[LedgerRow], links: Sequence[tuple[str, str, str]]) -> None:
        """Write events exactly as they were elsewhere, behind all others.

        Args:
            rows: Verified, in the order of ``seq``.
            links: Source, target and kind of each of their links.
        """
        ...

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed checkpoint, unless there is one of that ``seq``."""
        ...

    def checkpoints(self, *, newest: int = 0) -> builtins.list[Checkpoint]:
        """Return the checkpoints by ``seq``; all, or so many of the newest."""
        ...

    def segments(self) -> builtins.list[Segment]:
        """Return what was archived, by stream and position."""
        ...

    def replace_blob(self, old: str, new: str, erased: str) -> None:
        """Let segments be in another blob, as a body in it was erased.

        Args:
            old: Digest of the blob they were in.
            new: Digest of the one they are in.
            erased: Stream of the erased event.
        """
        ...

    def archived_in(self, id: str) -> Segment | None:
        """Return the segment that an archived event is in."""
        ...

    def archive(self, segments: Sequence[Segment]) -> None:
        """Let rows be in the blob store instead, which must hold them durably already.

        Raises:
            Conflict: They are not there any more, or changed meanwhile.
        """
        ...

    def delivered_seq(self) -> int | None:
        """Return the ``seq`` up to which every subscriber has been told; None: there is none."""
        ...
