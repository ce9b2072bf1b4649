"""Events out and in, as people and programs meet them: answers have a shape in ``andon.api.v1.answers``."""

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

        Raises:
            InvalidDocument: Something is wrong; the message has every problem, one a line.
        """
        ...
