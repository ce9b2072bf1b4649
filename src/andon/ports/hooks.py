"""Forges: what they tell us, what they are told back; and how people are told what concerns them.

Answers of ``HookService`` are plain JSON of a shape in ``andon.api.v1.answers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from andon.api.v1 import answers
from andon.api.v1.forges import HookSpec
from andon.ports.asking import Asked
from andon.ports.store import Tx

Json = dict[str, Any]
State = Literal["pending", "success", "failure", "error"]
MOST_BYTES = 25 << 20
"""Longest message that is taken: as much as GitHub sends."""


class Pushed(Struct, frozen=True, kw_only=True):
    """A branch has moved. Only a nudge: what is shipped is where the branch is when we look.

    Args:
        branch: Which.
        project: ``owner/name`` that it belongs to.
        login: Who pushed, as the forge knows them.
        emails: Their addresses, lower case.
        sent_at: When the forge says that was; 0: it does not say.
    """

    branch: str
    project: str
    login: str
    emails: tuple[str, ...] = ()
    sent_at: float = 0


GONE = "a repository that is gone"
"""In place of a fork's address."""


class Proposed(Struct, frozen=True, kw_only=True):
    """A branch is proposed for merging.

    Args:
        branch: Which.
        project: ``owner/name`` that it is proposed to.
        number: As the forge counts.
        login: Who did it.
        emails: Their addresses, lower case.
        fork: Address of the repository that it comes from, or ``GONE``; empty: it is the same.
        sha: Its commit as the forge says, to be named to a person; nothing is built by it.
        sent_at: When the forge says that was; 0: it does not say.
    """

    branch: str
    project: str
    number: int
    login: str
    emails: tuple[str, ...] = ()
    fork: str = ""
    sha: str = ""
    sent_at: float = 0


class Passed(Struct, frozen=True, kw_only=True):
    """A message that nothing is done about.

    Args:
        reason: Why.
    """

    reason: str


Told = Pushed | Proposed | Passed


class Signed(Struct, frozen=True, kw_only=True):
    """What a signature covers.

    Args:
        content: What tells this message from any other, as far as it is signed.
        signed_at: When it was signed; 0: that is not covered.
    """

    content: bytes
    signed_at: float = 0


class CommitStatus(Struct, frozen=True, kw_only=True):
    """How a commit fares, in the words that forges share.

    Args:
        state: ``error`` where it is not the commit's own fault.
        description: Why, one line.
        url: Where to read more.
    """

    state: State
    description: str
    url: str


class Call(Struct, frozen=True, kw_only=True):
    """A POST to a forge's API.

    Args:
        url: Where.
        headers: With the token.
        body: JSON.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Call({self.url})"


class Forge(Protocol):
    """The words of one kind of forge. Header names are in lower case."""

    def signed(self, secret: str, headers: Mapping[str, str], body: bytes) -> Signed | None:
        """Check a message's signature, in constant time and before anything is parsed.

        Returns:
            What it covers; None: whoever sent this does not know the secret.
        """
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Told:
        """Read a message that is signed.

        Raises:
            InvalidDocument: It is not as this forge writes.
        """
        ...

    def status_call(self, hook: HookSpec, token: str, sha: str, status: CommitStatus) -> Call:
        """Say how a commit's status is reported."""
        ...

    def knows_already(self, code: int, answer: bytes) -> bool:
        """Say whether an answer that is no success means that the status is there already."""
        ...


class Vault(Protocol):
    """Keeps what only Andon itself must know, sealed."""

    def seal(self, tx: Tx, name: str, value: str) -> None:
        """Keep a value under a name, in place of the one before."""
        ...

    def open(self, tx: Tx, name: str) -> str | None:
        """Return a value, or None.

        Raises:
            Unavailable: The key cannot be read.
        """
        ...

    def forget(self, tx: Tx, name: str) -> None:
        """Forget a value, if there is one."""
        ...


class Refusals(Protocol):
    """Writes down who was refused; ``AccessService`` does."""

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        """Write it down, without letting anybody flood the ledger."""
        ...


class HookService(Protocol):
    """Hooks as forges call and administrators manage them."""

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> answers.Delivery:
        """Take a message of a forge.

        Args:
            name: Of the hook.
            headers: As they came.
            body: As it came, byte for byte.

        Returns:
            ``{taken: true, change, sha, created, ref}``, or ``{taken: false, reason}`` with
            ``command`` where a person may do what was not done.

        Raises:
            Denied: It is not signed with the hook's secret, or was signed too long ago.
            Conflict: It was taken before.
            InvalidDocument: It is signed, but not as the forge writes.
        """
        ...

    async def add(
        self,
        name: str,
        *,
        asked: Asked,
        forge: str,
        repository: str,
        branches: Sequence[str] = (),
        pull_requests: bool = True,
        api: str = "",
        project: str = "",
        token: str = "",
        secret: str = "",
    ) -> answers.HookWithSecret:
        """Listen to a forge: ``hook``, with ``secret`` if it was made here.

        Args:
            name: Unique.
            asked: Who asks.
            forge: ``github``, ``gitlab`` or ``gitea``.
            repository: Address that is shipped.
            branches: Whose pushes are shipped; none: the policy branch.
            pull_requests: Build what is proposed from the repository itself.
            api: Address of the forge's API; empty: no statuses are reported.
            project: ``owner/name`` there.
            token: Lets statuses be written.
            secret: That messages are signed with; empty: one is made.
        """
        ...

    async def list(self) -> list[answers.Hook]:
        """List every ``hook``."""
        ...

    async def show(self, name: str) -> answers.HookInFull:
        """Return a ``hook``; with ``statuses: subscription`` where statuses are reported."""
        ...

    async def rotate(
        self, name: str, *, asked: Asked, secret: str = "", token: str = ""
    ) -> answers.HookWithSecret:
        """Replace the secret, or with ``token`` that of the API instead; ``hook`` as from ``add``."""
        ...

    async def remove(self, name: str, *, asked: Asked) -> answers.Hook:
        """Listen no more; the ``hook`` that was."""
        ...
