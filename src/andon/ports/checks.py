"""Checks as people, and workers on other machines, meet them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Protocol

from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.api.v1.checks import CheckResult


class CheckService(Protocol):
    """Everything that may be asked of Checks; raises NotFound for an unknown one."""

    async def list(self) -> list[answers.Check]:
        """List every ``check`` and how it stands."""
        ...

    async def show(self, name: str, *, most: int = 100) -> answers.CheckHistory:
        """Return a ``check`` with its results, newest first."""
        ...

    async def ask(self, name: str) -> answers.CheckResultRow:
        """Ask a Check from here and now; counts nowhere."""
        ...

    async def of_worker(self, worker: str, *, who: Identity) -> builtins.list[answers.CheckOrder]:
        """Return what a worker on another machine is to ask.

        Raises:
            Denied: The name is another one's.
        """
        ...

    async def take(
        self, worker: str, results: Sequence[CheckResult], *, who: Identity
    ) -> answers.CheckTaken:
        """Take what came of a worker's asking; a result that is there already, or too late, is not counted."""
        ...
