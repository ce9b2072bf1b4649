"""What makes an ID token count: whose signature it bears, and that it is for us, for now and for this login.

Source: OpenID Connect Core 1.0, sections 3.1.3.7 and 3.1.3.8; RFC 8725, section 3.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import jwt
from msgspec import Struct

from andon.adapters.oidc.documents import Jwk
from andon.adapters.oidc.wire import read
from andon.kernel.errors import Denied

LEEWAY_SECONDS = 60.0
"""How far the provider's clock may be from ours."""
MOST_AGE_SECONDS = 600.0
"""A token is asked for at the end of a login and is made then."""
MOST_SUBJECT = 255
AGAIN = "log in again; if it stays so, are oidc.issuer and oidc.clientId right, and this machine's clock?"

_RSA, _EC, _OKP = {"kty": "RSA"}, {"kty": "EC"}, {"kty": "OKP"}
ALGORITHMS: dict[str, dict[str, str]] = {
    **{f"RS{bits}": _RSA for bits in (256, 384, 512)},
    **{f"PS{bits}": _RSA for bits in (256, 384, 512)},
    "ES256": {**_EC, "crv": "P-256"},
    "ES384": {**_EC, "crv": "P-384"},
    "ES512": {**_EC, "crv": "P-521"},
    "EdDSA": {**_OKP, "crv": "Ed25519"},
}
"""What counts as a signature, and the key it takes. Whoever knows a public key could make a HS256."""

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384}


class UnknownKey(Denied):
    """The token is signed with a key that was not among those given."""


class IdToken(Struct, frozen=True, kw_only=True):
    """The claims of an ID token that Andon looks at."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nonce: str
    azp: str | None = None
    at_hash: str | None = None


class Login(Struct, frozen=True, kw_only=True):
    """The login a token has to belong to.

    Args:
        issuer: The provider.
        client_id: Who we are there.
        nonce: What this login was begun with.
        access_token: What came along with the token.
        now: Seconds since the Unix epoch.
    """

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    now: float


def verify(token: str, keys: Sequence[Jwk], login: Login) -> dict[str, Any]:
    """Return all claims of a token that counts.

    Args:
        token: As it came.
        keys: Those the provider publishes.
        login: What it has to belong to.

    Raises:
        UnknownKey: Newer keys may help.
        Denied: It does not count; says why.
    """
    algorithm, key_id = _header(token)
    payload = _signed(token, algorithm, _pick(keys, algorithm, key_id))
    try:
        claims, everything = read(payload, IdToken), read(payload, dict[str, Any])
    except ValueError as error:
        raise _denied(f"is none: {error}") from None
    _check(claims, login)
    _check_access_token(claims, algorithm, login.access_token)
    return everything


def _header(token: str) -> tuple[str, str | None]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise _denied("is not one") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _denied(f"is signed by {algorithm!r}, which does not count"[:200])
    if "crit" in header:
        raise _denied("asks for something Andon does not understand (crit)")
    return algorithm, key_id


def _pick(keys: Sequence[Jwk], algorithm: str, key_id: str | None) -> Jwk:
    fitting = [key for key in keys if _fits(key, algorithm)]
    if key_id is not None:
        fitting = [key for key in fitting if key.get("kid") == key_id]
    if len(fitting) != 1:
        raise UnknownKey(
            "the ID token is signed with a key that the OpenID provider does not publish",
            hint=AGAIN,
        )
    return fitting[0]


def _fits(key: Jwk, algorithm: str) -> bool:
    signs = key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm
    return signs and all(key.get(name) == is_ for name, is_ in ALGORITHMS[algorithm].items())


def _signed(token: str, algorithm: str, key: Jwk) -> bytes:
    try:
        opened = jwt.PyJWS().decode_complete(
            token,
            jwt.PyJWK.from_dict(key, algorithm),
            algorithms=[algorithm],
            options={"verify_signature": True, "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise _denied("bears a signature that is not the provider's") from None
    return bytes(opened["payload"])


def _check(claims: IdToken, login: Login) -> None:
    if claims.iss != login.issuer:
        raise _denied(f"is of another issuer: {claims.iss[:200]!r}")
    _check_audience(claims, login.client_id)
    if login.now >= claims.exp + LEEWAY_SECONDS:
        raise _denied("has expired")
    if not -LEEWAY_SECONDS <= login.now - claims.iat < MOST_AGE_SECONDS:
        raise _denied("was not made just now")
    if not login.nonce or not same(claims.nonce, login.nonce):
        raise _denied("belongs to another login (nonce)")
    if not 0 < len(claims.sub) <= MOST_SUBJECT or not claims.sub.isprintable():
        raise _denied("has no usable subject")


def _check_audience(claims: IdToken, client_id: str) -> None:
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if client_id not in audience:
        raise _denied("is for another application (aud)")
    if (claims.azp is not None or len(audience) > 1) and claims.azp != client_id:
        raise _denied("was given to another application (azp)")


def _check_access_token(claims: IdToken, algorithm: str, access_token: str) -> None:
    if claims.at_hash is None:
        return
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not same(claims.at_hash, half):
        raise _denied("belongs to another access token (at_hash)")


def same(one: str, other: str) -> bool:
    """Compare what somebody else could guess at, in a time that tells nothing."""
    sides = (text.encode("utf-8", "surrogatepass") for text in (one, other))
    return hmac.compare_digest(*sides)


def _denied(why: str) -> Denied:
    return Denied(f"the OpenID provider's ID token {why}", hint=AGAIN)
