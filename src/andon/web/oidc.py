"""Logging in at the OpenID provider: there by redirect, and back.

What a login is bound to travels in a cookie of the browser that began it, sealed under a key that lives as
long as this process: nobody else can finish it, and nothing has to be kept here.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from andon.adapters.oidc import Started
from andon.kernel.errors import AndonError, Denied
from andon.ports.offices import Offices
from andon.web.answers import problem
from andon.web.api.session import keep_cookie
from andon.web.doorkeeper import is_encrypted

BEGIN, BACK = "/login/oidc", "/login/oidc/back"
COOKIE = "andon_login"
PATIENCE_SECONDS = 600
"""Within this time people log in at the provider."""
_NONCE_BYTES = 12


class Logins:
    """The two pages of a login.

    Args:
        offices: The provider, and the door behind it.
    """

    def __init__(self, offices: Offices) -> None:
        self._offices = offices
        self._key = AESGCM(AESGCM.generate_key(256))

    async def begin(self, request: Request) -> Response:
        """Send the browser to the provider."""
        started: Started = await self._offices.provider.begin(self._back(request))
        response = RedirectResponse(started.url, 303)
        response.set_cookie(
            COOKIE,
            self._seal(started),
            max_age=PATIENCE_SECONDS,
            httponly=True,
            secure=is_encrypted(request),
            samesite="lax",
            path=BEGIN,
        )
        return response

    async def back(self, request: Request) -> Response:
        """Take the browser back, and let its person in."""
        query = request.query_params
        started = self._open(request.cookies.get(COOKIE, ""))
        claims = await self._offices.provider.finish(
            started,
            self._back(request),
            query.get("code", ""),
            query.get("state", ""),
            query.get("iss", ""),
            query.get("error", ""),
        )
        login = await self._offices.access.log_in_as_subject(
            claims.subject, name=claims.name, emails=claims.emails, groups=claims.groups
        )
        response = RedirectResponse("/", 303)
        keep_cookie(response, request, login)
        response.delete_cookie(COOKIE, path=BEGIN)
        return response

    def _back(self, request: Request) -> str:
        return f"{(self._offices.url or str(request.base_url)).rstrip('/')}{BACK}"

    def _seal(self, started: Started) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return (nonce + self._key.encrypt(nonce, msgspec.msgpack.encode(started), None)).hex()

    def _open(self, cookie: str) -> Started:
        try:
            data = bytes.fromhex(cookie)
            opened = self._key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
            return msgspec.msgpack.decode(opened, type=Started)
        except (ValueError, InvalidTag, msgspec.DecodeError):
            raise Denied(
                "this login was begun in another browser, too long ago, or before a restart",
                hint="begin it again",
            ) from None


def routes(offices: Offices) -> list[Route]:
    """Return the pages, if there is a provider."""
    if offices.provider is None:
        return []
    logins = Logins(offices)
    return [Route(BEGIN, _page(logins.begin)), Route(BACK, _page(logins.back))]


def _page(answer: Callable[[Request], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return await answer(request)
        except AndonError as error:
            if request.scope["path"] == BEGIN and error.http_status >= 500:
                return problem(error)
            return RedirectResponse(f"/#denied={quote(error.message)}", 303)

    return respond
