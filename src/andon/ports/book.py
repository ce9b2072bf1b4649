"""The ledger's keeper as people and programs meet it; answers are plain JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from andon.api.v1 import answers

Json = dict[str, Any]


class LedgerBook(Protocol):
    """What may be asked of the ledger besides reading it."""

    def key(self) -> answers.Key:
        """Return ``{keyId, publicKey}`` of the key that checkpoints are signed with."""
        ...

    async def checkpoint(self) -> answers.Checkpoint:
        """Sign the ends of all chains now: ``{made, seq}``."""
        ...

    async def verify(self, *, deep: bool = False) -> answers.Verification:
        """Recompute every chain, check every checkpoint and archived segment.

        Args:
            deep: Recompute the archived segments, too.
        """
        ...

    async def erase(self, id: str, *, by: str, reason: str) -> answers.Erasure:
        """Take out an event's body: ``{id, stream, n, told, wiped}``.

        ``told`` is the event that says so; ``wiped``, whether nothing of it is left in our own files.
        """
        ...

    async def archive(self, *, before: float, by: str) -> answers.Archival:
        """Move events older than a moment into the blob store: ``{events, blobs}``."""
        ...

    def export(
        self, *, after: int = 0, filters: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield lines of CloudEvents, and a summary in the end."""
        ...

    async def compare(self, heads: Mapping[str, tuple[int, str]]) -> answers.Comparison:
        """Say that streams ended like this once: ``{same}``.

        Raises:
            Conflict: Another event is there.
        """
        ...

    async def take_in(self, lines: AsyncIterator[bytes]) -> answers.Imported:
        """Restore exported events behind those that are there: ``{events, skipped}``."""
        ...
