"""The ledger's keeper as people and programs meet it; answers are plain JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Json = dict[str, Any]


class LedgerBook(Protocol):
    """What may be asked of the ledger besides reading it."""

    def key(self) -> Json:
        """Return ``{keyId, publicKey}`` of the key that checkpoints are signed with."""
        ...

    async def checkpoint(self) -> Json:
        """Sign the ends of all chains now: ``{made, seq}``."""
        ...

    async def verify(self, *, deep: bool = False) -> Json:
        """Recompute every chain, check every checkpoint and archived segment.

        Args:
            deep: Recompute the archived segments, too.

        Returns:
            ``{ok, events, streams, erased, archived, segments, checkpoints, signedSeq,
            findings: [str], places: [{stream, n, seq, id, what}]}``.
        """
        ...

    async def erase(self, id: str, *, by: str, reason: str) -> Json:
        """Take out an event's body: ``{id, stream, n, told, wiped}``.

        ``told`` is the event that says so; ``wiped``, whether nothing of it is left in our own files.
        """
        ...

    async def archive(self, *, before: float, by: str) -> Json:
        """Move events older than a moment into the blob store: ``{events, blobs}``."""
        ...

    def export(
        self, *, after: int = 0, filters: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield lines of CloudEvents, and a summary in the end."""
        ...

    async def compare(self, heads: Mapping[str, tuple[int, str]]) -> Json:
        """Say that streams ended like this once: ``{same}``.

        Raises:
            Conflict: Another event is there.
        """
        ...

    async def take_in(self, lines: AsyncIterator[bytes]) -> Json:
        """Restore exported events behind those that are there: ``{events, skipped}``."""
        ...
