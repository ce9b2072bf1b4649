"""A login from its beginning to its end, and what a provider may say on the way."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from lying_provider import BACK, SECRET, Key, Liar

from andon.adapters.oidc import Claims, OpenIdProvider
from andon.adapters.outbound import Guard
from andon.api.v1.installation import OidcSpec
from andon.kernel.errors import AndonError, Denied, Unavailable, UsageError
from andon.testing.clock import FakeClock, SeededRandomness

DISCOVERY = "/.well-known/openid-configuration"


# --- the beginning --------------------------------------------------------------------------------


async def test_browser_is_sent_with_a_challenge_a_state_and_a_nonce(liar: Liar) -> None:
    started = await liar.provider(scopes=("email",)).begin(BACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(started.url).query).items()}
    digest = hashlib.sha256(started.verifier.encode()).digest()
    assert started.url.startswith(f"{liar.issuer}/authorize?")
    assert query == {
        "response_type": "code",
        "client_id": "andon",
        "redirect_uri": BACK,
        "scope": "openid email",
        "state": started.state,
        "nonce": started.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


async def test_no_two_logins_share_anything_and_none_shows_itself(liar: Liar) -> None:
    provider = liar.provider()
    one, other = await provider.begin(BACK), await provider.begin(BACK)
    secrets = {text for it in (one, other) for text in (it.state, it.nonce, it.verifier)}
    assert len(secrets) == 6
    assert all(len(text) == 43 for text in secrets)
    assert not any(text in repr(one) + str(one) for text in secrets)


async def test_question_mark_in_the_address_of_logins_is_kept(liar: Liar) -> None:
    liar.discovery = {"authorization_endpoint": f"{liar.issuer}/authorize?tenant=1"}
    url = (await liar.provider().begin(BACK)).url
    assert url.startswith(f"{liar.issuer}/authorize?tenant=1&response_type=code&")


# --- the end --------------------------------------------------------------------------------------


async def test_claims_are_those_of_the_token(liar: Liar) -> None:
    liar.claims = {
        "preferred_username": "ann",
        "email": "Ann@Example.com",
        "email_verified": True,
        "groups": ["sre", "sre", "devs"],
    }
    assert await liar.log_in() == Claims(
        subject=f"{liar.issuer}#7", name="ann", emails=("ann@example.com",), groups=("sre", "devs")
    )
    assert liar.asked("/me") == []


async def test_code_is_redeemed_with_the_verifier(liar: Liar) -> None:
    await liar.log_in()
    [(_, form)] = liar.asked("/token")
    assert form == {
        "grant_type": "authorization_code",
        "code": "a-code",
        "redirect_uri": BACK,
        "code_verifier": liar.started.verifier,
    }


@pytest.mark.parametrize("state", ["", "another", "é"])
async def test_another_state_is_refused_before_the_provider_is_asked(
    liar: Liar, state: str
) -> None:
    with pytest.raises(Denied, match="begun elsewhere"):
        await liar.log_in(state=state)
    assert liar.asked("/token") == []


async def test_login_that_was_never_begun_is_refused(liar: Liar) -> None:
    with pytest.raises(Denied, match="begun elsewhere"):
        await liar.provider().finish(liar.started, BACK, "a-code", "")


@pytest.mark.parametrize("iss", ["https://elsewhere.example", "/"])
async def test_login_that_comes_back_from_another_issuer_is_refused(liar: Liar, iss: str) -> None:
    with pytest.raises(Denied, match="another OpenID provider"):
        await liar.log_in(iss=iss)
    assert liar.asked("/token") == []


async def test_issuer_that_is_promised_must_come(liar: Liar) -> None:
    liar.discovery = {"authorization_response_iss_parameter_supported": True}
    await liar.log_in(iss=liar.issuer)
    with pytest.raises(Denied, match="another OpenID provider"):
        await liar.log_in()


@pytest.mark.parametrize("code", ["", "x" * 5000])
async def test_code_that_is_none_is_refused(liar: Liar, code: str) -> None:
    with pytest.raises(Denied, match="no code"):
        await liar.log_in(code=code)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("access_denied", Denied, "refused the login: access_denied"),
        ("<b>\n" * 100, Denied, "refused the login: bbb"),
        ("invalid_scope", UsageError, "oidc.scopes"),
        ("temporarily_unavailable", Unavailable, "temporarily_unavailable"),
    ],
)
async def test_refusal_says_why(liar: Liar, error: str, kind: type[AndonError], said: str) -> None:
    with pytest.raises(kind, match=re.escape(said)) as caught:
        await liar.log_in(error=error)
    assert caught.value.hint
    assert "<" not in str(caught.value)
    assert len(caught.value.message) < 120


# --- who Andon is there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "secret", "form", "header"),
    [
        (None, SECRET, {}, "Basic YW5kb246dGhlK2NsaWVudCUyN3Mrc2VjcmV0JTJGJTJC"),
        (["client_secret_post"], SECRET, {"client_id": "andon", "client_secret": SECRET}, None),
        (["none"], "", {"client_id": "andon"}, None),
    ],
)
async def test_secret_is_sent_as_the_provider_wants_it(
    liar: Liar, offered: list[str] | None, secret: str, form: dict[str, str], header: str | None
) -> None:
    liar.discovery = {"token_endpoint_auth_methods_supported": offered}
    await liar.log_in(liar.provider(secret))
    [(headers, sent)] = liar.asked("/token")
    assert form.items() <= sent.items()
    assert ("client_secret" in sent) == ("client_secret" in form)
    assert headers.get("authorization") == header


async def test_secret_that_cannot_be_sent_names_the_field(liar: Liar) -> None:
    liar.discovery = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    with pytest.raises(UsageError, match=r"oidc\.clientSecretFile") as caught:
        await liar.log_in()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, b'{"error": "invalid_grant"}', Denied, "refused the login: invalid_grant"),
        (401, b'{"error": "invalid_client"}', UsageError, "oidc.clientSecretFile"),
        (400, b'{"error": "invalid_request"}', UsageError, "redirect URI"),
        (400, b"<html>", Denied, "refused the login: 400"),
        (503, b"", Unavailable, "answered 503"),
        (429, b"", Unavailable, "answered 429"),
        (302, b"http://127.0.0.1:1/", UsageError, "redirects are not followed"),
        (200, b"<html>", UsageError, "not what OpenID Connect asks for"),
        (200, b'{"access_token": "x", "token_type": "Bearer"}', UsageError, "id_token"),
        (200, b'{"access_token":"x","token_type":"mac","id_token":""}', UsageError, "bearer"),
        (200, b"[" * 100_000, UsageError, "not what OpenID Connect asks for"),
        (200, b" " * 300_000, Unavailable, "more than"),
    ],
)
async def test_code_that_is_not_redeemed_says_why(
    liar: Liar, status: int, body: bytes, kind: type[AndonError], said: str
) -> None:
    liar.answers = {"/token": (status, body)}
    with pytest.raises(kind) as caught:
        await liar.log_in()
    assert said in str(caught.value)
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    assert liar.started.verifier not in str(caught.value)


# --- what the provider publishes ------------------------------------------------------------------


async def test_documents_are_read_once_and_again_when_old(liar: Liar) -> None:
    provider = liar.provider()
    for _ in range(3):
        await liar.log_in(provider)
    assert (len(liar.asked(DISCOVERY)), len(liar.asked("/keys"))) == (1, 1)
    liar.clock.advance(601)
    await liar.log_in(provider)
    assert (len(liar.asked(DISCOVERY)), len(liar.asked("/keys"))) == (1, 2)
    liar.clock.advance(3601)
    await liar.log_in(provider)
    assert len(liar.asked(DISCOVERY)) == 2


async def test_key_that_is_new_is_asked_for(liar: Liar) -> None:
    provider = liar.provider()
    await liar.log_in(provider)
    liar.key = Key("ES256", "two")
    liar.published = [liar.key.jwk]
    await liar.log_in(provider)
    assert len(liar.asked("/keys")) == 2


async def test_keys_nobody_knows_are_not_asked_for_without_end(liar: Liar) -> None:
    provider = liar.provider()
    await liar.log_in(provider)
    liar.key = Key("ES256", "unpublished")
    for _ in range(4):
        with pytest.raises(Denied, match="does not publish"):
            await liar.log_in(provider)
    assert len(liar.asked("/keys")) == 2
    liar.clock.advance(31)
    liar.published = [liar.key.jwk]
    await liar.log_in(provider)


async def test_another_issuer_than_configured_names_both(liar: Liar) -> None:
    liar.discovery = {"issuer": f"{liar.issuer}/"}
    with pytest.raises(UsageError, match=r"oidc\.issuer is") as caught:
        await liar.provider().begin(BACK)
    assert f"{liar.issuer}/'" in caught.value.message


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (404, b"", UsageError, "oidc.issuer"),
        (301, b"/elsewhere", UsageError, "redirects are not followed"),
        (200, b"<html>", UsageError, "oidc.issuer"),
        (200, b"{}", UsageError, "issuer"),
        (200, b"[" * 100_000, UsageError, "oidc.issuer"),
        (200, b" " * 300_000, Unavailable, "more than"),
        (500, b"", Unavailable, "answered 500"),
    ],
)
async def test_document_that_is_none_says_what_to_do(
    liar: Liar, status: int, body: bytes, kind: type[AndonError], said: str
) -> None:
    liar.answers = {DISCOVERY: (status, body)}
    with pytest.raises(kind) as caught:
        await liar.provider().begin(BACK)
    assert said in str(caught.value)
    assert caught.value.hint
    assert [path for path, _, _ in liar.requests] == [DISCOVERY]


async def test_provider_without_pkce_is_refused(liar: Liar) -> None:
    liar.discovery = {"code_challenge_methods_supported": ["plain"]}
    with pytest.raises(UsageError, match="PKCE"):
        await liar.provider().begin(BACK)


@pytest.mark.parametrize("where", ["http://id.example/a", "javascript:alert(1)", "https://a b/"])
async def test_browser_is_sent_nowhere_it_could_be_harmed(liar: Liar, where: str) -> None:
    liar.discovery = {"authorization_endpoint": where}
    with pytest.raises(UsageError, match="authorization_endpoint"):
        await liar.provider().begin(BACK)


async def test_provider_that_is_down_has_a_hint() -> None:
    with pytest.raises(Unavailable, match="OpenID provider") as caught:
        await to("http://127.0.0.1:1", Guard(loopback=True)).begin(BACK)
    assert "meanwhile log in by password" in caught.value.hint


async def test_provider_that_is_down_is_asked_again_in_a_while(liar: Liar) -> None:
    provider = liar.provider()
    liar.answers = {DISCOVERY: (500, b"")}
    for _ in range(3):
        with pytest.raises(Unavailable, match="answered 500") as caught:
            await provider.begin(BACK)
        assert caught.value.hint
    assert len(liar.requests) == 1
    liar.answers = {}
    liar.clock.advance(6)
    await provider.begin(BACK)


async def test_internal_provider_has_to_be_allowed(liar: Liar) -> None:
    with pytest.raises(UsageError, match="internal address") as caught:
        await to(liar.issuer, Guard()).begin(BACK)
    assert "oidc.allowInternal" in caught.value.hint
    assert liar.requests == []
    await to(liar.issuer, Guard(allow=["127.0.0.1"])).begin(BACK)


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example", "https://ann:pw@id.example", "https://id.example/?a", "https://a/#b"],
)
def test_issuer_that_is_none_names_the_field(issuer: str) -> None:
    with pytest.raises(UsageError, match=r"oidc\.issuer") as caught:
        to(issuer, Guard())
    assert "pw" not in str(caught.value)


def to(issuer: str, guard: Guard) -> OpenIdProvider:
    spec = OidcSpec(issuer=issuer, client_id="andon")
    return OpenIdProvider(spec, guard=guard, clock=FakeClock(), randomness=SeededRandomness())
