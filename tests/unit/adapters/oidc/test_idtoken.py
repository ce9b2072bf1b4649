"""Which ID tokens count."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lying_provider import Key, Liar, by_hand, half_hash, unpadded

from andon.kernel.errors import Denied

OURS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def use(liar: Liar, key: Key) -> None:
    liar.key, liar.published = key, [key.jwk]


@pytest.mark.parametrize("algorithm", OURS)
async def test_signature_by_a_pair_of_keys_counts(liar: Liar, algorithm: str) -> None:
    use(liar, Key(algorithm, "it"))
    liar.claims = {"at_hash": half_hash(algorithm)}
    assert (await liar.log_in()).subject.endswith("#7")


async def test_key_needs_no_name_where_there_is_only_one(liar: Liar) -> None:
    liar.header = {"kid": None}
    liar.published.append(Key("RS256", "another kind").jwk)
    await liar.log_in()
    liar.published.append(Key("ES256", "another").jwk)
    with pytest.raises(Denied, match="does not publish"):
        await liar.log_in()


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["andon", "another"]}, "azp"),
        ({"aud": ["andon", "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"exp": 1_699_999_900}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"iat": 1_700_000_100}, "just now"),
        ({"iat": 1_699_999_000}, "just now"),
        ({"iat": None}, "iat"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"at_hash": half_hash("ES256", "another")}, "at_hash"),
        ({"at_hash": ""}, "at_hash"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": None}, "sub"),
    ],
)
async def test_token_that_is_not_for_this_login_is_refused(
    liar: Liar, claims: dict[str, Any], why: str
) -> None:
    liar.claims = claims
    with pytest.raises(Denied, match=why) as caught:
        await liar.log_in()
    assert caught.value.hint


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["andon"]},
        {"aud": ["andon", "another"], "azp": "andon"},
        {"exp": 1_699_999_960},
        {"iat": 1_700_000_050},
        {"at_hash": half_hash("ES256")},
    ],
)
async def test_token_for_this_login_counts(liar: Liar, claims: dict[str, Any]) -> None:
    liar.claims = claims
    await liar.log_in()


async def test_token_that_was_changed_is_refused(liar: Liar) -> None:
    liar.token = honest = await signed(liar)
    await liar.log_in()
    head, _, mac = honest.split(".")
    forged = jwt.decode(honest, options={"verify_signature": False}) | {"sub": "8"}
    payload = jwt.encode(forged, None, "none").split(".")[1]
    await refused(liar, f"{head}.{payload}.{mac}", "signature")
    await refused(liar, f"{head}.{payload}.", "signature")


async def test_token_of_another_with_the_name_of_our_key_is_refused(liar: Liar) -> None:
    liar.key = Key("ES256", liar.key.kid)
    with pytest.raises(Denied, match="signature"):
        await liar.log_in()


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
async def test_token_without_a_signature_is_refused(liar: Liar, name: str) -> None:
    payload = await payload_of(liar)
    await refused(liar, by_hand({"alg": name, "kid": "one"}, payload, None), "does not count")


async def test_public_key_is_no_secret_to_sign_with(liar: Liar) -> None:
    use(liar, Key("RS256", "one"))
    public = liar.key.private.public_key()
    payload = await payload_of(liar)
    for form in (serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1):
        pem = public.public_bytes(serialization.Encoding.PEM, form)
        await refused(liar, by_hand({"alg": "HS256", "kid": "one"}, payload, pem), "HS256")


async def test_secret_among_the_keys_is_none_to_sign_with(liar: Liar) -> None:
    liar.published = [{"kty": "oct", "kid": "one", "k": unpadded(b"s" * 32)}]
    token = by_hand({"alg": "HS256", "kid": "one"}, await payload_of(liar), b"s" * 32)
    await refused(liar, token, "HS256")


async def test_key_that_comes_with_the_token_is_not_believed(liar: Liar) -> None:
    liar.key = Key("ES256", "own")
    liar.header = {"jwk": liar.key.jwk, "jku": f"{liar.issuer}/own-keys"}
    with pytest.raises(Denied, match="does not publish"):
        await liar.log_in()
    assert liar.asked("/own-keys") == []


@pytest.mark.parametrize(
    "published", [{"use": "enc"}, {"alg": "ES512"}, {"kty": "RSA"}, {"crv": "P-384"}]
)
async def test_key_for_something_else_is_not_taken(liar: Liar, published: dict[str, str]) -> None:
    liar.published = [{**liar.key.jwk, **published}]
    with pytest.raises(Denied, match="does not publish"):
        await liar.log_in()


@pytest.mark.parametrize("published", [{"x": "AAAA"}, {"x": None}, {"x": 7}, {"y": "é"}])
async def test_key_that_is_none_is_not_taken(liar: Liar, published: dict[str, Any]) -> None:
    liar.published = [{**liar.key.jwk, **published}]
    with pytest.raises(Denied, match="signature"):
        await liar.log_in()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_key_that_is_too_short_does_not_count(liar: Liar) -> None:
    use(liar, Key("RS256", "weak", rsa.generate_private_key(65537, 1024)))
    await refused(liar, await signed(liar), "signature")


async def test_what_is_critical_and_not_understood_is_refused(liar: Liar) -> None:
    liar.header = {"crit": ["exp"], "exp": 1}
    with pytest.raises(Denied):
        await liar.log_in()


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "é.é.é", "." * 1000, "e30.e30.e30.e30.e30"]
)
async def test_what_is_no_token_is_refused(liar: Liar, token: str) -> None:
    await refused(liar, token, "not one")


async def payload_of(liar: Liar) -> bytes:
    """Claims that would be right."""
    return jwt.PyJWS().decode_complete(await signed(liar), options={"verify_signature": False})[
        "payload"
    ]


async def signed(liar: Liar) -> str:
    """A token that would be right, of the login that every one begins with."""
    liar.started = await liar.provider().begin("https://andon.example/login/back")
    return liar.signed()


async def refused(liar: Liar, token: str, why: str) -> None:
    liar.token = token
    with pytest.raises(Denied, match=why):
        await liar.log_in()
