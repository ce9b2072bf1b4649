"""Andon itself as people meet it: pausing, moving, copying, and going on after a restore."""

from __future__ import annotations

from typing import Any, Protocol

from andon.api.v1 import answers

Json = dict[str, Any]


class AdminService(Protocol):
    """What may be asked of a running control plane about itself."""

    async def state(self) -> answers.AdminState:
        """Say ``{paused, database, restored}``: why nothing is claimed, on what, and whether it is a copy."""
        ...

    async def pause(self, *, reason: str, by: str) -> answers.AdminState:
        """Have no work begun; ``state``."""
        ...

    async def resume(self, *, choice: str, check: bool, by: str) -> answers.Resumed:
        """Go on, having compared a restored copy with the world.

        Args:
            choice: ``keep-world``, ``enforce-copy`` or empty.
            check: Only compare.
            by: Who asks.
        """
        ...

    def migrate(self, *, to: str, by: str, wait_seconds: float) -> answers.Errand:
        """Begin to move to Postgres; the errand."""
        ...

    def back_up(self, *, path: str, artifacts: bool) -> answers.Errand:
        """Begin to write a backup; the errand."""
        ...

    def errand(self) -> answers.Errand:
        """Say how the last errand stands."""
        ...
