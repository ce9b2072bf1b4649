"""What a provider says about a person, and what of it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from lying_provider import Liar

from andon.kernel.errors import Denied, Unavailable, UsageError


async def test_userinfo_tells_what_the_token_does_not(liar: Liar) -> None:
    liar.userinfo |= {
        "preferred_username": "ann",
        "email": "ann@example.com",
        "email_verified": True,
        "groups": ["sre"],
    }
    claims = await liar.log_in()
    assert (claims.name, claims.emails, claims.groups) == ("ann", ("ann@example.com",), ("sre",))
    [(headers, _)] = liar.asked("/me")
    assert headers["authorization"] == "Bearer an-access-token"


@pytest.mark.parametrize("userinfo", [{"sub": "8"}, {}])
async def test_userinfo_about_somebody_else_is_refused(
    liar: Liar, userinfo: dict[str, str]
) -> None:
    liar.userinfo = {"groups": ["sre"], **userinfo}
    with pytest.raises(Denied, match="somebody else"):
        await liar.log_in()


async def test_token_takes_precedence_over_userinfo(liar: Liar) -> None:
    liar.claims = {"groups": ["devs"]}
    liar.userinfo |= {"groups": ["sre"], "name": "Ann"}
    claims = await liar.log_in()
    assert (claims.groups, claims.name) == (("devs",), "Ann")


async def test_provider_without_userinfo_will_do(liar: Liar) -> None:
    liar.discovery = {"userinfo_endpoint": None}
    claims = await liar.log_in()
    assert (claims.name, claims.emails, claims.groups) == ("7", (), ())


@pytest.mark.parametrize(
    "document",
    [
        {"email": "a@example.com"},
        {"email": "a@example.com", "email_verified": False},
        {"email": "a@example.com", "email_verified": 1},
        {"email": "a@example.com", "email_verified": "false"},
        {"email": "a@b@example.com", "email_verified": True},
        {"email": "a b@example.com", "email_verified": True},
        {"email": "a\n@example.com", "email_verified": True},
        {"email": ["a@example.com"], "email_verified": True},
        {"email": "", "email_verified": True},
    ],
)
async def test_address_that_is_not_verified_does_not_count(
    liar: Liar, document: dict[str, Any]
) -> None:
    liar.userinfo |= document
    assert (await liar.log_in()).emails == ()


async def test_verified_in_one_document_says_nothing_about_the_other(liar: Liar) -> None:
    liar.claims = {"email": "boss@example.com"}
    liar.userinfo |= {"email_verified": True}
    assert (await liar.log_in()).emails == ()


@pytest.mark.parametrize(
    ("said", "groups"), [("sre", ("sre",)), ([], ()), (["a b", "é"], ("a b", "é"))]
)
async def test_groups_of_the_configured_claim_are_read(
    liar: Liar, said: object, groups: tuple[str, ...]
) -> None:
    liar.claims = {"https://example.com/roles": said, "groups": ["not these"]}
    provider = liar.provider(groups_claim="https://example.com/roles")
    assert (await liar.log_in(provider)).groups == groups


@pytest.mark.parametrize(
    "said", [7, {"sre": True}, [7], [None], [""], ["x" * 300], None, ["a"] * 1001, ["a\0"]]
)
async def test_groups_that_are_none_name_the_field(liar: Liar, said: object) -> None:
    liar.userinfo |= {"groups": said}
    with pytest.raises(UsageError, match=r"oidc\.groupsClaim"):
        await liar.log_in()


@pytest.mark.parametrize("name", ["", 7, "x" * 300, "a\nb", None])
async def test_name_that_is_none_is_replaced(liar: Liar, name: object) -> None:
    liar.userinfo |= {"preferred_username": name, "name": "Ann"}
    assert (await liar.log_in()).name == "Ann"


async def test_userinfo_that_is_refused_or_down_says_so(liar: Liar) -> None:
    liar.answers = {"/me": (401, b"")}
    with pytest.raises(Denied, match="UserInfo"):
        await liar.log_in()
    liar.answers = {"/me": (502, b"")}
    with pytest.raises(Unavailable, match="answered 502"):
        await liar.log_in()
    liar.answers = {"/me": (200, b"[]")}
    with pytest.raises(UsageError, match="not what OpenID Connect asks for"):
        await liar.log_in()
