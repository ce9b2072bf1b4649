"""Logins at a real OpenID provider, with a browser's requests and nothing replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import msgspec
import pytest
from oidc.provider import Browser, Provider, log_in, running_provider

from andon.adapters.oidc import Claims, OpenIdProvider, Started
from andon.adapters.oidc.idtoken import Login, verify
from andon.adapters.outbound import Guard
from andon.api.v1.installation import OidcSpec
from andon.kernel.errors import Denied, Unavailable, UsageError
from andon.testing.clock import FakeClock, SeededRandomness

BACK = "https://andon.example/login/back"


@pytest.fixture(scope="module")
def op() -> Iterator[Provider]:
    """An OpenID provider of this module's own."""
    with running_provider([BACK, f"{BACK}/other"]) as running:
        yield running


@dataclass
class World:
    """Andon's side of logins."""

    op: Provider
    clock: FakeClock

    def side(self, client_id: str = "andon", secret: str | None = None) -> OpenIdProvider:
        return OpenIdProvider(
            OidcSpec(issuer=self.op.issuer, client_id=client_id, scopes=self.op.scopes),
            guard=Guard(allow=["127.0.0.1"]),
            clock=self.clock,
            randomness=SeededRandomness(time.monotonic_ns()),
            client_secret=self.op.client_secret if secret is None else secret,
        )


@pytest.fixture
def world(op: Provider) -> World:
    return World(op, FakeClock(time.time()))


def brought(url: str) -> dict[str, str]:
    """What the browser brings back."""
    assert url.startswith(BACK)
    found = parse_qs(urlsplit(url).query)
    return {name: found[name][0] for name in ("code", "state", "iss")}


async def whole(side: OpenIdProvider, account: str = "ann") -> Claims:
    started = await side.begin(BACK)
    return await side.finish(started, BACK, **brought(log_in(started.url, account)))


async def returned(side: OpenIdProvider) -> tuple[Started, dict[str, str]]:
    """A login whose browser has come back."""
    started = await side.begin(BACK)
    return started, brought(log_in(started.url, "ann"))


async def test_people_log_in_and_their_groups_come_along(world: World) -> None:
    side = world.side()
    assert await whole(side) == Claims(
        subject=f"{world.op.issuer}#ann", name="ann", emails=("ann@example.com",), groups=("sre",)
    )
    ben = await whole(side, "ben")
    assert (ben.name, ben.emails, ben.groups) == ("ben", (), ("devs",))


@pytest.mark.parametrize(("client_id", "secret"), [("posting", None), ("public", "")])
async def test_clients_of_other_kinds_log_in(
    world: World, client_id: str, secret: str | None
) -> None:
    assert (await whole(world.side(client_id, secret))).groups == ("sre",)


async def test_who_is_logged_in_there_comes_straight_back(world: World) -> None:
    side, browser = world.side(), Browser()
    for _ in range(2):
        started = await side.begin(BACK)
        claims = await side.finish(started, BACK, **brought(browser.log_in(started.url, "ann")))
        assert claims.name == "ann"


async def test_wrong_state_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    with pytest.raises(Denied, match="state"):
        await side.finish(started, BACK, **{**back, "state": "another"})


async def test_answer_of_another_issuer_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    for iss in ("https://elsewhere.example", ""):
        with pytest.raises(Denied, match="iss"):
            await side.finish(started, BACK, **{**back, "iss": iss})


async def test_wrong_nonce_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    with pytest.raises(Denied, match="nonce"):
        await side.finish(msgspec.structs.replace(started, nonce="another"), BACK, **back)


async def test_code_without_its_verifier_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    stolen = msgspec.structs.replace(started, verifier="v" * 43)
    with pytest.raises(Denied, match="invalid_grant"):
        await side.finish(stolen, BACK, **back)


async def test_replayed_code_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    await side.finish(started, BACK, **back)
    with pytest.raises(Denied, match="invalid_grant"):
        await side.finish(started, BACK, **back)


async def test_code_for_another_redirect_or_client_is_refused(world: World) -> None:
    side = world.side()
    started, back = await returned(side)
    with pytest.raises(Denied, match="invalid_grant"):
        await side.finish(started, f"{BACK}/other", **back)
    started, back = await returned(side)
    with pytest.raises(Denied, match="invalid_grant"):
        await world.side("posting").finish(started, BACK, **back)


async def test_token_counts_unchanged_and_for_its_own_application_only(world: World) -> None:
    started, back = await returned(world.side("public", ""))
    tokens = ask(f"{world.op.issuer}/token", code=back["code"], code_verifier=started.verifier)
    keys = ask(f"{world.op.issuer}/jwks")["keys"]
    token = tokens["id_token"]
    login = Login(
        issuer=world.op.issuer,
        client_id="public",
        nonce=started.nonce,
        access_token=tokens["access_token"],
        now=world.clock.now(),
    )
    assert verify(token, keys, login)["sub"] == "ann"
    with pytest.raises(Denied, match="aud"):
        verify(token, keys, msgspec.structs.replace(login, client_id="andon"))
    head, payload, mac = token.split(".")
    changed = [f"{head}.{other(payload)}.{mac}", f"{head}.{payload}.{other(mac)}"]
    for forged in (*changed, f"{head}.{payload}."):
        with pytest.raises(Denied, match="signature"):
            verify(forged, keys, login)


def other(text: str) -> str:
    """The same but for one character."""
    return ("B" if text[0] == "A" else "A") + text[1:]


def ask(url: str, **form: str) -> dict[str, Any]:
    """Ask the provider as the client ``public``; with a form, to redeem a code."""
    whole = {
        "grant_type": "authorization_code",
        "client_id": "public",
        "redirect_uri": BACK,
        **form,
    }
    body = urlencode(whole).encode() if form else None
    with urlopen(url, body, timeout=30) as answer:  # loopback
        return dict(json.load(answer))


@pytest.mark.parametrize(("seconds", "why"), [(4000, "expired"), (-4000, "just now")])
async def test_token_of_another_time_is_refused(world: World, seconds: int, why: str) -> None:
    world.clock = FakeClock(time.time() + seconds)
    with pytest.raises(Denied, match=why):
        await whole(world.side())


async def test_wrong_secret_or_client_names_the_field(world: World) -> None:
    with pytest.raises(UsageError, match="invalid_client") as caught:
        await whole(world.side(secret="wrong"))
    assert "oidc.clientSecretFile" in caught.value.hint
    assert "wrong" not in str(caught.value)


async def test_provider_changes_its_key(world: World) -> None:
    side = world.side()
    await whole(side)
    world.op.rotate()
    assert (await whole(side)).name == "ann"


async def test_provider_goes_down(world: World) -> None:
    with running_provider([BACK]) as other:
        side = World(other, world.clock).side()
        started, back = await returned(side)
        other.stop()
        with pytest.raises(Unavailable, match="OpenID provider") as caught:
            await side.finish(started, BACK, **back)
        assert "meanwhile" in caught.value.hint
        with pytest.raises(Unavailable):
            await World(other, world.clock).side().begin(BACK)
