"""Who may come in, as the web layer asks and administrators manage it.

Answers are plain JSON of a shape in ``andon.api.v1.answers``; secrets stand in the answer to their making
only. Answers to making and changing have ``notes`` where what was done may be a slip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from andon.api.v1 import answers
from andon.api.v1.access import Grant, Identity
from andon.ports.asking import Asked

Json = dict[str, Any]


class Login(Struct, frozen=True, kw_only=True):
    """Somebody has just been let in with a browser.

    Args:
        cookie: Secret of the session.
        csrf: What its pages send along with every write.
        expires_at: Seconds since the Unix epoch.
        identity: Who it is.
    """

    cookie: str
    csrf: str
    expires_at: float
    identity: Identity


class AccessService(Protocol):
    """The door.

    What changes anything raises ``Conflict`` where the name is taken or ``asked.expect`` is not the
    revision any more, ``NotFound`` for an unknown name and ``UsageError`` for what cannot be put that way.
    """

    @property
    def logins(self) -> Sequence[str]:
        """Ways to log in with a browser: ``token``, ``password``, ``oidc``."""
        ...

    # --- at the door -----------------------------------------------------------------------------

    def of_peer(self, uid: int) -> Identity:
        """Return who a process on the Unix socket is: an administrator, by the name of its account."""
        ...

    def of_token(self, secret: str) -> Identity | None:
        """Return whom a token lets in; None: nobody (unknown, expired, revoked, owner disabled)."""
        ...

    def of_session(self, cookie: str) -> tuple[Identity, str] | None:
        """Return whose session a cookie belongs to, and what its pages must send; None: nobody's."""
        ...

    async def log_in(self, name: str, password: str, *, address: str) -> Login:
        """Let a person in by password.

        Raises:
            Denied: Wrong name or password, disabled or locked for a while, all in the same words.
            TooMany: Too many tries from that address; the hint says when to try again.
        """
        ...

    async def log_in_with_token(self, secret: str, *, address: str) -> Login:
        """Begin a session with a token's rights; raises as ``log_in``."""
        ...

    async def log_in_with_code(self, code: str, *, address: str) -> Login:
        """Begin a session with a code of ``one_time_code``; raises as ``log_in``."""
        ...

    async def log_in_as_subject(
        self, subject: str, *, name: str, emails: Sequence[str], groups: Sequence[str]
    ) -> Login:
        """Begin a session for whom the OpenID provider vouches for.

        A subject seen for the first time becomes a user of that name (or finds the user without a
        subject whose first address is among ``emails``); groups become teams as configured.

        Args:
            subject: ``<issuer>#<sub>``.
            name: Preferred name.
            emails: Verified addresses.
            groups: Groups claimed.
        """
        ...

    async def change_password(
        self, identity: Identity, old: str, new: str, *, asked: Asked, address: str
    ) -> answers.User:
        """Give the caller another password; all their sessions end. Raises as ``log_in`` for ``old``.

        Raises:
            Denied: The caller is not a person.
        """
        ...

    async def one_time_code(self, asked: Asked, identity: Identity) -> answers.Code:
        """Return ``{code, expiresAt}``: lets the caller in with a browser, once, within a minute."""
        ...

    async def begin_pairing(self, machine: str, *, address: str) -> answers.Pairing:
        """Have a command line ask to act as a person: ``{secret, code, expiresAt}``.

        Raises:
            TooMany: Too many tries from that address.
        """
        ...

    async def pairing(self, code: str) -> answers.PairingShown:
        """Tell who asks under a code."""
        ...

    async def decide_pairing(
        self, code: str, allow: bool, identity: Identity, *, asked: Asked
    ) -> answers.PairingShown:
        """Say yes or no to who asks under a code.

        Raises:
            Denied: The caller is no person with a session of their own.
        """
        ...

    async def take_pairing(self, secret: str) -> answers.Paired:
        """Wait a while for the answer: ``{state, token, name}``; the token is told once.

        Raises:
            Denied: The person said no.
        """
        ...

    async def log_out(self, cookie: str) -> None:
        """End a session."""
        ...

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        """Write down that somebody was refused.

        The first refusal of (who, operation, environment) is an event at once; repetitions within a
        minute become one event with their number, so that nobody floods the ledger.
        """
        ...

    # --- users, teams, tokens --------------------------------------------------------------------

    async def users(self) -> list[answers.User]:
        """List every ``user``."""
        ...

    async def user(self, name: str) -> answers.User:
        """Return a ``user``."""
        ...

    async def put_user(
        self,
        name: str,
        *,
        asked: Asked,
        create: bool,
        emails: Sequence[str] | None = None,
        grants: Sequence[Grant] | None = None,
        password: str | None = None,
        notify: Sequence[str] | None = None,
        disabled: bool | None = None,
        unlock: bool = False,
        unlink: bool = False,
    ) -> answers.User:
        """Make or change a ``user``; None leaves a field as it is, an empty password takes it away.

        ``unlink`` forgets who they are at the OpenID provider: the next to log in there with their first
        address is they.

        A new password and being disabled end the user's sessions.
        """
        ...

    async def remove_user(self, name: str, *, asked: Asked) -> answers.User:
        """Forget a user, with their tokens and sessions."""
        ...

    async def teams(self) -> list[answers.Team]:
        """List every ``team``."""
        ...

    async def put_team(
        self,
        name: str,
        *,
        asked: Asked,
        create: bool,
        members: Sequence[str] | None = None,
        grants: Sequence[Grant] | None = None,
    ) -> answers.Team:
        """Make or change a ``team``."""
        ...

    async def remove_team(self, name: str, *, asked: Asked) -> answers.Team:
        """Forget a team."""
        ...

    async def tokens(self) -> list[answers.Token]:
        """List every ``token``."""
        ...

    async def make_token(
        self,
        name: str,
        *,
        asked: Asked,
        owner: str = "",
        grants: Sequence[Grant] = (),
        expires_seconds: float = 0,
    ) -> answers.TokenWithSecret:
        """Make a token: ``token`` with ``secret``, this once; 0 seconds: 90 days."""
        ...

    async def revoke_token(self, name: str, *, asked: Asked) -> answers.Token:
        """Let nobody in by it any more; asking again changes nothing."""
        ...

    async def rotate_admin_token(self, *, asked: Asked) -> answers.RotatedToken:
        """Replace the generated administrator's token: its ``token`` with ``file``, where it lies.

        Sessions begun with the one before, or over the socket, end.
        """
        ...
