"""A door with known guests: ``AccessService`` for the web layer's tests, without a database."""

from __future__ import annotations

from typing import Any

from andon.api.v1.access import Grant, Identity
from andon.kernel.errors import Denied
from andon.ports.access import Login

ADMINISTRATOR = Identity(name="person:ada", grants=(Grant(role="admin"),), via="socket")
CSRF = "csrf-of-the-session"


class FixedDoor:
    """Lets in by tokens that are given.

    Args:
        guests: Identity by token.
        sessions: Identity by cookie.
    """

    logins = ("token", "password")

    def __init__(
        self,
        guests: dict[str, Identity] | None = None,
        sessions: dict[str, Identity] | None = None,
    ) -> None:
        self.guests = guests or {}
        self.sessions = sessions or {}
        self.refused: list[tuple[str, str, str]] = []

    def of_peer(self, uid: int) -> Identity:
        """Know everybody on the socket."""
        return ADMINISTRATOR

    def of_token(self, secret: str) -> Identity | None:
        """Know the tokens given."""
        return self.guests.get(secret)

    def of_session(self, cookie: str) -> tuple[Identity, str] | None:
        """Know the sessions given."""
        found = self.sessions.get(cookie)
        return (found, CSRF) if found else None

    async def log_in(self, name: str, password: str, *, address: str) -> Login:
        """Let in whose password is the name."""
        if name != password:
            raise Denied("wrong name or password")
        return self._login(Identity(name=f"person:{name}", grants=(Grant(role="viewer"),)))

    async def log_in_with_token(self, secret: str, *, address: str) -> Login:
        """Begin a session by a known token."""
        found = self.guests.get(secret)
        if found is None:
            raise Denied("this token lets nobody in")
        return self._login(found)

    async def log_in_with_code(self, code: str, *, address: str) -> Login:
        """Take a known token for a code."""
        found = self.guests.get(code)
        if found is None:
            raise Denied("this code lets nobody in")
        return self._login(found)

    def _login(self, who: Identity) -> Login:
        cookie = f"cookie-of-{who.name}"
        self.sessions[cookie] = who
        return Login(cookie=cookie, csrf=CSRF, expires_at=2e9, identity=who)

    async def pairing(self, code: str) -> dict[str, Any]:
        """Have a laptop ask under every code."""
        return {"code": code, "machine": "laptop", "address": "192.0.2.7", "expiresAt": 2e9}

    async def log_out(self, cookie: str) -> None:
        """Forget a session."""
        self.sessions.pop(cookie, None)

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        """Remember who was refused what."""
        self.refused.append((who, operation, environment))

    async def users(self) -> list[Any]:
        """Nobody is a user."""
        return []

    teams = tokens = users

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            return {"revision": "1"}

        return answer
