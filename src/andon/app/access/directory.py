"""Everybody who may come in, in memory: each request asks here, and none of them the database."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.access import Grant, Identity, SessionSpec, TokenSpec, UserSpec
from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.app.access import credentials
from andon.kernel.errors import AndonError
from andon.ports.store import Store, Tx

REVISION = "access:revision"
"""Setting that grows with every change of who may come in."""
ADMIN = "admin"
"""Name of the generated administrator's token, the only one that does not expire."""
ADMINISTRATOR = Grant(role="admin")
AT_ONCE = 1000
PAUSE_SECONDS = 0.2
"""What others commit is looked at so often at most; what this process commits, at once."""

SOCKET = "socket"
SESSION = "session"
BEARER = "token "
OF_BEARER = f"{SESSION} of {BEARER}"
OF_SOCKET = f"{SESSION} of {SOCKET}"


class TokenEntry(Struct, frozen=True):
    """A token that counts."""

    name: str
    spec: TokenSpec
    identity: Identity

    def is_over(self, now: float) -> bool:
        """Say whether it has expired."""
        return 0 < self.spec.expires_at <= now


class SessionEntry(Struct, frozen=True):
    """A session that counts, as long as neither it nor the token behind it has expired."""

    spec: SessionSpec
    identity: Identity
    token: TokenEntry | None = None

    def is_over(self, now: float) -> bool:
        """Say whether it has expired."""
        return self.spec.expires_at <= now or (self.token is not None and self.token.is_over(now))


class Snapshot(Struct, frozen=True, kw_only=True):
    """Who may come in, as of one revision.

    Args:
        revision: Of the setting; newer ones win.
        people: Who is not disabled, by name.
        tokens: By digest, without revoked ones.
        sessions: By name, which is the digest of the cookie.
    """

    revision: int = -1
    people: dict[str, Identity] = {}
    tokens: dict[str, TokenEntry] = {}
    sessions: dict[str, SessionEntry] = {}


class Directory:
    """The newest snapshot, and what keeps it the newest.

    Args:
        store: The durable store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now = Snapshot()
        self._heard = asyncio.Event()

    async def refresh(self) -> None:
        """Load what is committed by now."""
        loaded = await self._store.read(load)
        # A slower reader must not bring back what a faster one saw revoked.
        if loaded.revision >= self._now.revision:
            self._now = loaded

    async def follow(self) -> None:
        """Take in what other processes change, until cancelled."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            loop.call_soon_threadsafe(self._heard.set)

        unsubscribe = self._store.subscribe(hear)
        self._heard.set()
        try:
            while True:
                await self._heard.wait()
                self._heard.clear()
                await self._catch_up()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            unsubscribe()

    async def _catch_up(self) -> None:
        try:
            if await self._store.read(revision) != self._now.revision:
                await self.refresh()
        except AndonError as error:
            if not error.retry:
                raise
            self._heard.set()

    # --- asking ----------------------------------------------------------------------------------

    def person(self, name: str) -> Identity | None:
        """Return a user who is not disabled."""
        return self._now.people.get(name)

    def token(self, secret: str, now: float) -> TokenEntry | None:
        """Return the token of a secret; None if it does not count."""
        if not credentials.is_token(secret):
            return None
        digest = credentials.digest_of(secret)
        found = self._now.tokens.get(digest)
        if found is None or not hmac.compare_digest(found.spec.digest, digest):
            return None
        return None if found.is_over(now) else found

    def session(self, cookie: str, now: float) -> SessionEntry | None:
        """Return the session of a cookie; None if it does not count."""
        if not credentials.is_cookie(cookie):
            return None
        found = self._now.sessions.get(credentials.digest_of(cookie))
        return None if found is None or found.is_over(now) else found


# --- loading --------------------------------------------------------------------------------------


def revision(tx: Tx) -> int:
    """Return how often it has changed who may come in."""
    return int(tx.get_setting(REVISION) or "0")


def bump(tx: Tx) -> None:
    """Say that it changes who may come in."""
    tx.put_setting(REVISION, str(revision(tx) + 1))


def every(tx: Tx, kind: str) -> Iterator[Object]:
    """Yield all objects of a kind, oldest first."""
    after = ""
    while page := tx.list(Selector(kind=kind), limit=AT_ONCE, after=after):
        yield from page
        after = page[-1].uid


def load(tx: Tx) -> Snapshot:
    """Read who may come in."""
    teams = list(every(tx, "Team"))
    users = [user for user in every(tx, "User") if not user.spec.disabled]
    people = {user.name: identity_of(user, teams) for user in users}
    tokens = [one for one in (_token(obj, people) for obj in every(tx, "Token")) if one]
    by_name = {one.name: one for one in tokens}
    sessions = ((obj.name, _session(obj.spec, people, by_name)) for obj in every(tx, "Session"))
    return Snapshot(
        revision=revision(tx),
        people=people,
        tokens={one.spec.digest: one for one in tokens},
        sessions={name: one for name, one in sessions if one},
    )


def identity_of(user: Object, teams: list[Object]) -> Identity:
    """Say who a user is, with what their teams bring."""
    spec: UserSpec = user.spec
    mine = [team for team in teams if user.name in team.spec.members]
    grants = dict.fromkeys((*spec.grants, *(grant for team in mine for grant in team.spec.grants)))
    return Identity(
        name=f"person:{user.name}",
        grants=tuple(grants),
        teams=tuple(sorted(team.name for team in mine)),
        emails=spec.emails,
        via=SESSION,
    )


def _token(obj: Object, people: dict[str, Identity]) -> TokenEntry | None:
    spec: TokenSpec = obj.spec
    lasts_for_ever = not spec.expires_at
    if obj.status.revoked_at or (lasts_for_ever and obj.name != ADMIN):
        return None
    via = f"{BEARER}{obj.name}"
    if not spec.owner:
        identity = Identity(name=f"service:{obj.name}", grants=spec.grants, via=via)
        return TokenEntry(obj.name, spec, identity)
    owner = people.get(spec.owner)
    if owner is None:
        return None
    # It acts as its owner, so that nobody approves their own change by way of a token.
    bounded = replace(owner, grants=spec.grants, bound=owner.grants, via=via)
    return TokenEntry(obj.name, spec, bounded)


def _session(
    spec: SessionSpec, people: dict[str, Identity], tokens: dict[str, TokenEntry]
) -> SessionEntry | None:
    if spec.account:
        identity = administrator(spec.account, people.get(spec.account), OF_SOCKET)
        return SessionEntry(spec, identity)
    if spec.token:
        token = tokens.get(spec.token)
        if token is None:
            return None
        return SessionEntry(spec, replace(token.identity, via=f"{OF_BEARER}{token.name}"), token)
    with contextlib.suppress(KeyError):
        return SessionEntry(spec, people[spec.user])
    return None


def administrator(account: str, user: Identity | None, via: str) -> Identity:
    """Say who an account of this machine is: an administrator, and the user of that name."""
    return Identity(
        name=f"person:{account}",
        grants=(ADMINISTRATOR,),
        teams=user.teams if user else (),
        emails=user.emails if user else (),
        via=via,
    )


def administrators(tx: Tx) -> Callable[[], bool]:
    """Note whether there are administrators among the users.

    Returns:
        Says whether there were and are none any more.
    """
    before = _has_administrator(tx)
    return lambda: before and not _has_administrator(tx)


def _has_administrator(tx: Tx) -> bool:
    teams = list(every(tx, "Team"))
    return any(
        identity_of(user, teams).may("administer")
        for user in every(tx, "User")
        if not user.spec.disabled
    )
