"""Objectives, as people and programs ask for them."""

from __future__ import annotations

from typing import Protocol

from andon.api.v1 import standings
from andon.ports.news import Sees


class ObjectiveService(Protocol):
    """What was promised, and how it stands."""

    async def board(self, *, service: str, environment: str, sees: Sees) -> standings.Board:
        """Return how all promises stand.

        Args:
            service: Only of this one; empty: of all.
            environment: Only there; empty: everywhere.
            sees: Says which environments may be told of.
        """
        ...

    async def objective(self, name: str, *, days: float, sees: Sees) -> standings.Objective:
        """Return an Objective with its history.

        Args:
            name: Its name.
            days: How long ago the history begins.
            sees: Says which environments may be told of.

        Raises:
            NotFound: There is none of that name.
        """
        ...

    async def report(
        self, *, begin: float, end: float, name: str, service: str, sees: Sees
    ) -> standings.Report:
        """Say how promises were kept in a period.

        Args:
            begin: Seconds since the Unix epoch.
            end: Seconds since the Unix epoch.
            name: Only of this Objective; empty: of all.
            service: Only of this service; empty: of all.
            sees: Says which environments may be told of.

        Raises:
            NotFound: There is none of that name.
            UsageError: The period is none.
        """
        ...

    async def openslo(self, name: str) -> standings.Exported:
        """Write Objectives as OpenSLO documents.

        Args:
            name: Only this one; empty: all.

        Raises:
            NotFound: There is none of that name.
        """
        ...
