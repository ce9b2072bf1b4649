"""Events out and in, as people and programs meet them: plain JSON, as ``andon.ports.line`` has it.

``subscription``
    ``{name, url, types, stream, mode, signedWith, state, paused, cursor, lag, lagMore, waitingSince,
    delivered, deliveredAt, attempts, error, failedAt, nextAt, dead, createdAt, createdBy}``. ``state``
    is active, failing or paused; ``url`` lacks what may be secret; ``lag`` counts the events to be told,
    of the next 1000 in the ledger if ``lagMore``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from andon.api.v1 import answers
from andon.ports.asking import Asked

Json = dict[str, Any]


class SubscriptionService(Protocol):
    """What may be asked about who is told what happens."""

    async def add(
        self,
        name: str,
        *,
        url: str,
        types: Sequence[str] = (),
        stream: str = "",
        start: str = "now",
        mode: Literal["structured", "binary"] = "structured",
        secret: str = "",
        asked: Asked,
    ) -> answers.SubscriptionWithSecret:
        """Tell somebody outside; a ``subscription``, with ``secret`` if one was made."""
        ...

    async def list(self) -> list[answers.Subscription]:
        """List every ``subscription``."""
        ...

    async def show(self, name: str) -> answers.SubscriptionWithLetters:
        """Return a ``subscription`` with ``letters: [{event, error, attempts, at}]``."""
        ...

    async def pause(self, name: str, *, asked: Asked, reason: str) -> answers.Subscription:
        """Send nothing until ``resume``."""
        ...

    async def resume(self, name: str, *, asked: Asked) -> answers.Subscription:
        """Go on, at once."""
        ...

    async def replay(self, name: str, *, start: str, asked: Asked) -> answers.Subscription:
        """Tell everything again from a sequence on."""
        ...

    async def rotate(
        self, name: str, *, asked: Asked, secret: str = "", drop_old: bool = False
    ) -> answers.SubscriptionWithSecret:
        """Sign with a new secret, and with the one before as well until ``drop_old``."""
        ...

    async def remove(self, name: str, *, asked: Asked) -> answers.Subscription:
        """Forget a subscription."""
        ...

    async def retry(self, name: str, *, event: str = "") -> answers.Retried:
        """Try dead letters once more: ``{delivered: [id], failed: [{event, error}]}``."""
        ...


class IntakeService(Protocol):
    """Takes events of others."""

    async def take(self, documents: Sequence[Json]) -> answers.Intake:
        """Keep CloudEvents that hold CDEvents; all of them, or none if one cannot be understood.

        Returns:
            ``{events: [{id, source, event, seq, created, change, evidence: [name], notes: [str]}]}``;
            ``event`` is its id in the ledger, ``created`` False for one that was there already.

        Raises:
            InvalidDocument: Something is wrong; the message has every problem, one a line.
        """
        ...
