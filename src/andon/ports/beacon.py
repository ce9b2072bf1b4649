"""What browsers of real users tell."""

from __future__ import annotations

from typing import Protocol


class BeaconService(Protocol):
    """Takes what pages tell."""

    @property
    def sample_ratio(self) -> float:
        """Share of the views of pages that tell."""
        ...

    def hears(self, origin: str) -> bool:
        """Say whether pages of an origin may tell."""
        ...

    async def take(self, origin: str, body: bytes, address: str) -> None:
        """Count a visit; nothing of the visitor is kept.

        Args:
            origin: Whose page it was; one that is heard.
            body: What it told.
            address: Where it came from: only to see whether too much comes from there.

        Raises:
            UsageError: It is none.
            TooMany: Too many come, from there or at all.
        """
        ...
