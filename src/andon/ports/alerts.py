"""Alerts and error budgets, as people and other tools ask for them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Protocol

from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.ports.asking import Asked


class AlertService(Protocol):
    """What fires, who is told, and what is kept quiet."""

    async def list(self, *, all: bool, limit: int) -> answers.Alerts:
        """List alerts that fire, those that may yet, and what keeps them quiet.

        Args:
            all: Those that are over, too.
            limit: At most so many.
        """
        ...

    async def show(self, name: str) -> answers.AlertInFull:
        """Return an alert with its story.

        Raises:
            NotFound: There is none.
        """
        ...

    async def acknowledge(self, name: str, *, asked: Asked, reason: str) -> answers.Alert:
        """Take an alert on: it is not repeated any more.

        Raises:
            Conflict: It is over.
        """
        ...

    async def silences(self, *, all: bool) -> builtins.list[answers.Silence]:
        """List silences, newest first; those that are over only with ``all``."""
        ...

    async def silence(
        self, matchers: Sequence[str], *, seconds: float, asked: Asked, reason: str
    ) -> answers.Silence:
        """Have nobody told of alerts that match, for a while.

        Raises:
            UsageError: It has no end, no reason, or would silence everything.
        """
        ...

    async def unsilence(self, name: str, *, asked: Asked) -> answers.Silence:
        """End a silence before its time."""
        ...

    async def take_alertmanager(self, document: Any, *, asked: Asked) -> answers.AlertsTaken:
        """Take a webhook of Alertmanager, all of it or nothing.

        Raises:
            InvalidDocument: It is none.
            TooMany: So many alerts fire already that nobody can look at more.
        """
        ...

    async def take_pagerduty(
        self, document: Any, *, asked: Asked, who: Identity | None
    ) -> answers.PagerDutyTaken:
        """Take an event of PagerDuty's Events API v2.

        Args:
            document: Its JSON.
            asked: How it came.
            who: Who sent it, if that is known; else its routing key must be a token.

        Raises:
            NotLoggedIn: Nobody knows who sent it.
            Denied: They may not.
        """
        ...


class BudgetService(Protocol):
    """What services may still do by the error budget they have left."""

    async def list(self) -> builtins.list[answers.Budget]:
        """List budgets and how they stand, worst first."""
        ...

    async def show(self, policy: str) -> answers.BudgetPolicy:
        """Return a policy, how its budgets stand, and who has set it aside.

        Raises:
            NotFound: There is none.
        """
        ...

    async def override(
        self,
        policy: str,
        *,
        environment: str,
        service: str,
        seconds: float,
        asked: Asked,
        reason: str,
    ) -> answers.Override:
        """Set a policy aside for a while; only a person may, and the ledger says who.

        Raises:
            NotFound: No such policy.
            Denied: Only people it names may.
            UsageError: It has no end, or no reason.
        """
        ...
