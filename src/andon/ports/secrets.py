"""Secrets: sealed at rest, handed out only to the jobs and services that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from andon.api.v1.jobs import SecretRef
from andon.ports.asking import Asked

if TYPE_CHECKING:
    from andon.api.v1 import answers

Json = dict[str, Any]


class SecretReader(Protocol):
    """Opens secrets, at the last moment before they are used."""

    async def values(self, refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
        """Return the values by environment variable.

        Raises:
            NotFound: There is no such secret or version any more; says which, never what it was.
            Unavailable: The key cannot be read.
        """
        ...


class SecretService(Protocol):
    """Secrets as people manage them.

    A ``secret`` is ``{name, environment, version, by, at, usedBy: [text], revision}``; its value is in
    no answer.
    """

    async def put(
        self, environment: str, name: str, value: str, *, asked: Asked, create: bool
    ) -> answers.ReleasedSecret:
        """Keep a value: a new secret, or a new version of one.

        A new version is a configuration release: every service that runs with the secret there is
        rolled out again by the environment's own rules.

        Args:
            environment: Where it holds; ``pipelines`` for build jobs.
            name: Its name.
            value: The secret itself.
            asked: Who asks.
            create: Refuse (Conflict) if it exists; otherwise refuse (NotFound) if it does not.
        """
        ...

    async def list(self, *, environment: str = "") -> list[answers.Secret]:
        """List every ``secret``, by environment and name."""
        ...

    async def remove(self, environment: str, name: str, *, asked: Asked) -> answers.Secret:
        """Forget a secret with all its values.

        Raises:
            Conflict: A service runs with it; says which.
        """
        ...

    async def rewrap(self, *, old_key: str, lost: bool, asked: Asked) -> answers.Sealed:
        """Have another key of the installation seal everything; values and what runs stay.

        Args:
            old_key: The key before, where the installation names the next one already; empty: the
                next key is made in the file of the key.
            lost: Forget what was sealed by a key that is lost.
            asked: Who asks.

        Raises:
            Conflict: That key seals them already.
            Unavailable: A key is not there.
        """
        ...
