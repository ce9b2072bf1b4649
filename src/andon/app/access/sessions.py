"""Sessions of browsers, and the codes that begin one from the command line."""

from __future__ import annotations

import hmac
import os
import pwd
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from andon.api.v1 import answers
from andon.api.v1.access import Identity, SessionSpec
from andon.api.v1.control import NewObject
from andon.app.access import credentials
from andon.app.access.directory import (
    BEARER,
    OF_BEARER,
    OF_SOCKET,
    SOCKET,
    administrator,
    bump,
)
from andon.app.access.recording import note
from andon.app.access.room import NOTHING, Room, end_sessions
from andon.kernel.errors import Denied
from andon.ports.access import Login
from andon.ports.asking import Asked
from andon.ports.store import Tx

SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 20
"""Of more sessions of one user or token the oldest ends."""
CODE_SECONDS = 60.0
MOST_CODES = 1000


class Origin(Struct, frozen=True, kw_only=True):
    """What a session is begun with, and has the rights of: one of the three."""

    user: str = ""
    token: str = ""
    account: str = ""

    @property
    def label(self) -> str:
        """Label that all sessions of it have.

        >>> Origin(user="ann").label
        'user/ann'
        """
        if self.user:
            return f"user/{self.user}"
        return f"token/{self.token}" if self.token else f"account/{self.account}"


class _Code(Struct, frozen=True):
    digest: str
    origin: Origin
    expires_at: float


class Sessions(Room):
    """Begins sessions, knows them again, and ends them."""

    _codes: dict[str, _Code]

    def of_peer(self, uid: int) -> Identity:
        """Return who a process on the Unix socket is.

        Only the owner of the socket and root can open it; should its mode ever be loosened, others
        are known by name and may do nothing.
        """
        account = account_of(uid)
        if uid not in (0, os.geteuid()):
            return Identity(name=f"person:{account}", via=SOCKET)
        return administrator(account, self.directory.person(account), SOCKET)

    def of_token(self, secret: str) -> Identity | None:
        """Return whom a token lets in."""
        found = self.directory.token(secret, self.clock.now())
        return found.identity if found else None

    def of_session(self, cookie: str) -> tuple[Identity, str] | None:
        """Return whose session a cookie belongs to, and what its pages must send."""
        found = self.directory.session(cookie, self.clock.now())
        return (found.identity, found.spec.csrf) if found else None

    # --- beginning and ending --------------------------------------------------------------------

    async def begin(
        self,
        origin: Origin,
        *,
        via: str,
        address: str,
        before: Callable[[Tx], None] = lambda tx: None,
    ) -> Login:
        """Begin a session.

        Args:
            origin: With what.
            via: How they proved who they are, for the ledger.
            address: From where, for the ledger.
            before: What is to be checked and written in the same transaction.

        Raises:
            Denied: Who began it counts no more.
        """
        now = self.clock.now()
        cookie, csrf = (credentials.new_cookie(self.randomness) for _ in range(2))
        spec = SessionSpec(
            csrf=csrf,
            user=origin.user,
            token=origin.token,
            account=origin.account,
            expires_at=now + SESSION_SECONDS,
            created_at=now,
        )
        session = NewObject(
            kind="Session",
            name=credentials.digest_of(cookie),
            spec=spec,
            status=NOTHING,
            labels={"of": origin.label},
        )

        def write(tx: Tx) -> None:
            before(tx)
            _expect_to_count(tx, origin)
            end_sessions(tx, origin.label, keep=MOST_SESSIONS - 1)
            self.create(tx, session)
            note(tx, now, "login", "succeeded", _about(origin), via=via, address=address)
            bump(tx)

        await self.store.transact(write)
        await self.directory.refresh()
        found = self.directory.session(cookie, now)
        if found is None:
            raise Denied("this lets nobody in any more", hint="log in again")
        return Login(cookie=cookie, csrf=csrf, expires_at=spec.expires_at, identity=found.identity)

    async def log_out(self, cookie: str) -> None:
        """End a session; one that is over already stays so."""
        name = credentials.digest_of(cookie)

        def end(tx: Tx) -> None:
            found = tx.get("Session", name)
            if found is None:
                return
            spec: SessionSpec = found.spec
            whose = Origin(user=spec.user, token=spec.token, account=spec.account)
            tx.forget(found)
            note(tx, self.clock.now(), "session", "ended", _about(whose))
            bump(tx)

        await self.store.transact(end)
        await self.directory.refresh()

    # --- codes -----------------------------------------------------------------------------------

    async def one_time_code(self, asked: Asked, identity: Identity) -> answers.Code:
        """Make a code that lets the caller in with a browser, once, within a minute."""
        now = self.clock.now()
        self._codes = {key: one for key, one in self._codes.items() if one.expires_at > now}
        while len(self._codes) >= MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = credentials.new_cookie(self.randomness)
        digest = credentials.digest_of(code)
        self._codes[digest] = _Code(digest, origin_of(identity), now + CODE_SECONDS)
        return {"code": code, "expiresAt": now + CODE_SECONDS}

    def redeem(self, code: str) -> Origin | None:
        """Return who made a code, which then counts no more; None: nobody."""
        digest = credentials.digest_of(code)
        found = self._codes.pop(digest, None)
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        return found.origin if found.expires_at > self.clock.now() else None


def origin_of(identity: Identity) -> Origin:
    """Say what a session of somebody who is in already has the rights of: never more than theirs."""
    via, name = identity.via, identity.name.partition(":")[2]
    if via in (SOCKET, OF_SOCKET):
        return Origin(account=name)
    for prefix in (OF_BEARER, BEARER):
        if via.startswith(prefix):
            return Origin(token=via.removeprefix(prefix))
    return Origin(user=name)


def _about(origin: Origin) -> str:
    return f"service:{origin.token}" if origin.token else f"person:{origin.user or origin.account}"


def _expect_to_count(tx: Tx, origin: Origin) -> None:
    user = tx.get("User", origin.user) if origin.user else None
    token = tx.get("Token", origin.token) if origin.token else None
    gone = (origin.user and (user is None or user.spec.disabled)) or (
        origin.token and (token is None or token.status.revoked_at)
    )
    if gone:
        raise Denied("this lets nobody in any more", hint="ask an administrator")


@lru_cache(maxsize=64)
def account_of(uid: int) -> str:
    """Return the name of an account of this machine."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
