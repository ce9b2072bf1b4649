"""A login at an OpenID provider: the authorization code flow with PKCE, state and nonce.

Source: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (issuer in the answer);
RFC 6749, sections 2.3.1 and 4.1.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote_plus, urlencode

from msgspec import Struct

from andon.adapters.oidc.documents import Discovery, Documents
from andon.adapters.oidc.idtoken import Login, UnknownKey, same, verify
from andon.adapters.oidc.person import Claims, claims_of, lacks_something
from andon.adapters.oidc.wire import MEANWHILE, TIMEOUT_SECONDS, Wire, found, read
from andon.adapters.outbound import Answer, Guard
from andon.api.v1.installation import OidcSpec
from andon.kernel.clock import Clock, Randomness
from andon.kernel.errors import AndonError, Denied, Unavailable, UsageError

__all__ = ["Claims", "OpenIdProvider", "Started"]

SECRET_BYTES = 32
MOST_CODE = 4096
_AGAIN = "log in again"
_FIELDS = {
    "invalid_client": "oidc.clientId or oidc.clientSecretFile",
    "unauthorized_client": "oidc.clientId",
    "invalid_scope": "oidc.scopes",
    "invalid_request": "the redirect URI registered there",
    "unsupported_grant_type": "the client registered there",
}
"""What is to be put right when the provider refuses us, and not the person."""


class Started(Struct, frozen=True):
    """A login that waits for its person to come back; kept where only that person's browser reaches it.

    Args:
        url: Where the browser goes.
        state: What it comes back with.
        nonce: What the ID token will say.
        verifier: Proves that who began it also ends it (PKCE).
    """

    url: str
    state: str
    nonce: str
    verifier: str

    def __repr__(self) -> str:
        """Hide everything: together it is what a thief would need."""
        return "Started(…)"


class _Tokens(Struct, frozen=True):
    access_token: str
    token_type: str
    id_token: str


class _Refusal(Struct, frozen=True):
    error: str


class OpenIdProvider:
    """Where people log in.

    Args:
        spec: Which provider, and who Andon is there.
        guard: Where calls may lead.
        clock: Tells whether a token has expired.
        randomness: Yields state, nonce and verifier.
        client_secret: Content of ``spec.client_secret_file``; empty: Andon is a public client.
        timeout_seconds: For one call to the provider.

    Raises:
        UsageError: The issuer is not one.
    """

    def __init__(
        self,
        spec: OidcSpec,
        *,
        guard: Guard,
        clock: Clock,
        randomness: Randomness,
        client_secret: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._randomness = randomness
        self._client_secret = client_secret
        self._wire = Wire(guard, timeout_seconds)
        self._documents = Documents(spec.issuer, self._wire, clock)

    async def begin(self, redirect_uri: str) -> Started:
        """Begin a login.

        Args:
            redirect_uri: Where the provider sends the browser back to; registered there.

        Raises:
            Unavailable: The provider is down.
            UsageError: It is not configured rightly; says what.
        """
        where = (await self._documents.discovery()).authorization_endpoint
        state, nonce, verifier = (self._secret() for _ in range(3))
        query = {
            "response_type": "code",
            "client_id": self._spec.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self._spec.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        url = f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"
        return Started(url, state, nonce, verifier)

    async def finish(
        self,
        started: Started,
        redirect_uri: str,
        code: str,
        state: str,
        iss: str = "",
        error: str = "",
    ) -> Claims:
        """End a login: return who came back.

        Args:
            started: What ``begin`` returned to the same browser.
            redirect_uri: As given to ``begin``.
            code: As the browser brings it, like what follows.
            state: The same.
            iss: The same; empty: not brought.
            error: The same, brought instead of a code.

        Raises:
            Denied: This login does not count; says why.
            Unavailable: The provider is down.
            UsageError: It is not configured rightly; says what.
        """
        if not started.state or not same(state, started.state):
            raise Denied("this login was begun elsewhere, or is an old one (state)", hint=_AGAIN)
        discovery = await self._documents.discovery()
        self._check_issuer(discovery, iss)
        if error:
            raise _refused(error)
        if not 0 < len(code) <= MOST_CODE:
            raise Denied("the OpenID provider sent no code", hint=_AGAIN)
        tokens = await self._redeem(discovery, redirect_uri, code, started.verifier)
        claims = await self._verified(tokens, started.nonce)
        return await self._person(discovery, claims, tokens.access_token)

    def _check_issuer(self, discovery: Discovery, iss: str) -> None:
        expected = bool(iss) or discovery.authorization_response_iss_parameter_supported
        if expected and iss != self._spec.issuer:
            raise Denied("the login comes back from another OpenID provider (iss)", hint=_AGAIN)

    async def _redeem(
        self, discovery: Discovery, redirect_uri: str, code: str, verifier: str
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        who, headers = self._who_we_are(discovery)
        url, field = discovery.token_endpoint, "token_endpoint of the provider"
        answer = await self._wire.post(url, field, {**form, **who}, headers)
        if answer.status in (400, 401, 403):
            raise _not_redeemed(answer)
        tokens = found(answer, _Tokens, url, "oidc.issuer")
        if tokens.token_type.lower() != "bearer":
            raise UsageError(
                "the OpenID provider gives no bearer tokens", hint="is oidc.issuer right?"
            )
        return tokens

    def _who_we_are(self, discovery: Discovery) -> tuple[dict[str, str], dict[str, str]]:
        id, secret = self._spec.client_id, self._client_secret
        offered = discovery.token_endpoint_auth_methods_supported
        if not secret:
            return {"client_id": id}, {}
        if "client_secret_basic" in offered:
            pair = f"{quote_plus(id)}:{quote_plus(secret)}".encode()
            return {}, {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        if "client_secret_post" in offered:
            return {"client_id": id, "client_secret": secret}, {}
        raise UsageError(
            "oidc.clientSecretFile is of no use: the provider takes no secret by client_secret_basic "
            "or client_secret_post",
            hint="register Andon there as a public client, and leave oidc.clientSecretFile out",
        )

    async def _verified(self, tokens: _Tokens, nonce: str) -> dict[str, Any]:
        login = Login(
            issuer=self._spec.issuer,
            client_id=self._spec.client_id,
            nonce=nonce,
            access_token=tokens.access_token,
            now=self._clock.now(),
        )
        try:
            return verify(tokens.id_token, await self._documents.keys(), login)
        except UnknownKey:
            return verify(tokens.id_token, await self._documents.keys(unknown=True), login)

    async def _person(
        self, discovery: Discovery, claims: dict[str, Any], access_token: str
    ) -> Claims:
        more: dict[str, Any] = {}
        if discovery.userinfo_endpoint and lacks_something(claims, self._spec.groups_claim):
            more = await self._ask(discovery.userinfo_endpoint, access_token)
            if more.get("sub") != claims["sub"]:
                raise Denied("the OpenID provider's UserInfo is about somebody else", hint=_AGAIN)
        return claims_of(self._spec, claims, more)

    async def _ask(self, url: str, access_token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        answer = await self._wire.get(url, "userinfo_endpoint of the provider", headers)
        if answer.status in (401, 403):
            raise Denied("the OpenID provider does not say who this is (UserInfo)", hint=_AGAIN)
        if answer.content_type == "application/jwt":
            raise UsageError(
                "the OpenID provider signs its UserInfo, which Andon does not read",
                hint="turn that off for oidc.clientId there",
            )
        return found(answer, dict[str, Any], url, "oidc.issuer")

    def _secret(self) -> str:
        return _base64url(self._randomness.token(SECRET_BYTES))


def _refused(error: str) -> AndonError:
    said = "".join(c for c in error if c.isascii() and (c.isalnum() or c in "_-. "))[:60]
    if said in _FIELDS:
        return UsageError(f"the OpenID provider refuses: {said}", hint=f"is {_FIELDS[said]} right?")
    if said in ("server_error", "temporarily_unavailable"):
        return Unavailable(f"the OpenID provider says: {said}", hint=MEANWHILE)
    return Denied(f"the OpenID provider refused the login: {said}", hint=_AGAIN)


def _not_redeemed(answer: Answer) -> AndonError:
    try:
        return _refused(read(answer.body, _Refusal).error)
    except ValueError:
        return _refused(str(answer.status))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
