"""Logging in: who gets in, what stops who guesses, and what strangers cannot learn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from andon.adapters.passwords import Cost
from andon.api.v1.access import Identity
from andon.app.access.logins import FREE_TRIES, UNKNOWN
from andon.kernel.errors import Denied, Unavailable

from .conftest import HERE, PASSWORD, House, grants

WRONG = "wrong, wrong, wrong"


async def refused(house: House, name: str = "ann", password: str = WRONG, n: int = 1) -> Denied:
    """Try in vain, from an address of its own each time."""
    for number in range(n):
        house.seed += 1
        with pytest.raises(Denied) as caught:
            await house.door.log_in(name, password, address=f"10.{n}.{number}.{house.seed}")
    return caught.value


async def enters(house: House, name: str = "ann", password: str = PASSWORD) -> Identity:
    """Log in; who it is."""
    house.seed += 1
    return (await house.door.log_in(name, password, address=f"10.9.9.{house.seed}")).identity


async def test_person_logs_in_with_the_password_and_the_cookie_is_kept_as_a_digest(house: House):
    await house.add_user("ann", "viewer")
    login = await house.door.log_in("ann", PASSWORD, address=HERE)
    assert login.identity.name == "person:ann"
    found = house.door.of_session(login.cookie)
    assert found == (login.identity, login.csrf)
    assert login.cookie.encode() not in house.bytes_on_disk()
    assert PASSWORD.encode() not in house.bytes_on_disk()
    told = await house.told("login")
    assert told == [("succeeded", "person:ann", {"via": "password", "address": HERE})]


async def test_strangers_are_told_the_same_whatever_is_wrong(house: House):
    await house.add_user("ann", "viewer")
    await house.add_user("bob", "viewer", disabled=True)
    await house.add_user("oidc", "viewer", password="")
    await house.add_user("locked", "viewer")
    await refused(house, "locked", n=FREE_TRIES)
    said = [
        await refused(house, "ann"),
        await refused(house, "bob", PASSWORD),
        await refused(house, "oidc", ""),
        await refused(house, "nobody", PASSWORD),
        await refused(house, "no\0name", PASSWORD),
        await refused(house, "locked", PASSWORD),
        await refused(house, "ann", PASSWORD + "x" * 2000),
    ]
    assert len({(one.message, one.hint) for one in said}) == 1


async def test_name_is_locked_after_five_wrong_passwords_ever_longer(house: House):
    await house.add_user("ann", "viewer")
    await refused(house, n=FREE_TRIES - 1)
    assert (await house.door.user("ann"))["lockedUntil"] == 0
    await refused(house)
    for seconds in (60, 120, 240):
        until = (await house.door.user("ann"))["lockedUntil"]
        assert until == house.clock.now() + seconds
        house.clock.advance(seconds - 1)
        await refused(house, password=PASSWORD)
        house.clock.advance(1)
        await refused(house)
    house.clock.advance(3600)
    assert (await enters(house)).name == "person:ann"
    await refused(house, n=FREE_TRIES - 1)
    await enters(house)


async def test_lock_outlives_a_restart_and_an_administrator_ends_it(house: House):
    await house.add_user("ann", "viewer")
    await refused(house, n=FREE_TRIES)
    house.door = house.another_door()
    await house.door.open()
    await refused(house, password=PASSWORD)
    await house.change_user("ann", unlock=True)
    await enters(house)
    assert ("locked", "person:ann") in [one[:2] for one in await house.told("login")]
    (unlocked,) = [one for one in await house.told("access") if one[2].get("unlocked")]
    assert unlocked[2]["by"] == "person:root"


async def test_guesses_at_the_same_time_count_as_many(house: House):
    await house.add_user("ann", "viewer")
    tries = [house.door.log_in("ann", WRONG, address=f"10.0.0.{number}") for number in range(20)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(one, Denied) for one in answers)
    await refused(house, password=PASSWORD)
    house.clock.advance(60)
    await enters(house)


async def test_locked_out_person_still_has_session_and_token(house: House):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    secret = await house.add_token("hers", "viewer", owner="ann")
    await refused(house, n=FREE_TRIES)
    assert house.door.of_session(cookie) is not None
    assert house.door.of_token(secret) is not None


async def test_address_tries_ten_times_a_minute_whatever_the_name(house: House):
    await house.add_user("ann", "viewer")
    for number in range(10):
        with pytest.raises(Denied):
            await house.door.log_in(f"name-{number}", WRONG, address=HERE)
    with pytest.raises(Unavailable) as caught:
        await house.door.log_in("ann", PASSWORD, address=HERE)
    assert caught.value.hint == "again in 6 s"
    with pytest.raises(Unavailable):
        await house.door.log_in_with_token("andon_x", address=HERE)
    with pytest.raises(Unavailable):
        await house.door.log_in_with_code("x", address=HERE)
    house.clock.advance(6)
    await house.log_in()


async def test_failures_are_counted_in_the_ledger_without_names_that_may_be_passwords(
    house: House,
):
    await house.add_user("ann", "viewer")
    for name in ("ann", "ann", "ann", "my secret password"):
        with pytest.raises(Denied):
            await house.door.log_in(name, WRONG, address=HERE)
    failed = [one for one in await house.told("login") if one[0] == "failed"]
    assert [(about, content.get("times")) for _, about, content in failed] == [
        ("person:ann", None),
        (UNKNOWN, None),
    ]
    house.clock.advance(60)
    await house.door.tally.flush()
    (again,) = [one for one in await house.told("login") if one[0] == "failed"][2:]
    assert (again[1], again[2]["times"], again[2]["address"]) == ("person:ann", 2, HERE)
    assert b"my secret password" not in house.bytes_on_disk()


async def test_hash_of_yesterdays_parameters_is_made_anew_at_login(house: House):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    dearer = house.another_door(Cost(log2_n=5, r=1, p=1))
    await dearer.open()
    await dearer.log_in("ann", PASSWORD, address=HERE)
    user = await house.store.read(lambda tx: tx.require("User", "ann"))
    assert user.spec.password.startswith("scrypt$5$")
    assert dearer.of_session(cookie) is not None
    await dearer.log_in("ann", PASSWORD, address=HERE)


async def test_session_of_a_token_has_its_rights_and_no_more(house: House):
    await house.add_user("ann", "admin")
    secret = await house.add_token("hers", "viewer", owner="ann")
    who = (await house.door.log_in_with_token(secret, address=HERE)).identity
    assert who.name == "person:ann"
    assert not who.may("administer")
    code = (await house.door.one_time_code(house.asked, who))["code"]
    by_code = (await house.door.log_in_with_code(code, address=HERE)).identity
    assert not by_code.may("administer")
    with pytest.raises(Denied, match="lets nobody in"):
        await house.door.log_in_with_token(secret[:-1] + "-", address=HERE)


# --- OpenID ---------------------------------------------------------------------------------------

SUBJECT = "https://id.example#248"


async def vouched(house: House, subject: str = SUBJECT, **more: Any) -> Identity:
    asked = {"name": "Ann", "emails": ["Ann@Example.com"], "groups": [], **more}
    return (await house.door.log_in_as_subject(subject, **asked)).identity


async def test_subject_seen_for_the_first_time_becomes_a_user_without_rights(house: House):
    who = await vouched(house)
    assert (who.name, who.emails, who.grants) == ("person:ann", ("ann@example.com",), ())
    await vouched(house, name="Somebody Else")
    assert [one["name"] for one in await house.door.users()] == ["ann"]
    (made,) = [one for one in await house.told("access") if one[1] == "user/ann"]
    assert made[0] == "granted"


async def test_subject_never_becomes_a_user_whose_name_it_merely_prefers(house: House):
    await house.add_user("ann", "admin")
    who = await vouched(house)
    assert who.name == "person:ann-2"
    assert not who.may("view")


async def test_subject_finds_the_user_of_its_first_address_unless_that_has_another_subject(
    house: House,
):
    await house.add_user("ann", "viewer", emails=["ann@example.com", "a@private.example"])
    await house.add_user("bob", "viewer", emails=["bob@example.com", "ann@example.com"])
    assert (await vouched(house)).name == "person:ann"
    assert (await vouched(house, "https://id.example#9")).name == "person:ann-2"


async def test_address_that_two_users_begin_with_finds_neither(house: House):
    await house.add_user("ann", "viewer", emails=["team@example.com"])
    await house.add_user("bob", "viewer", emails=["team@example.com"])
    assert (await vouched(house, name="Zoe", emails=["team@example.com"])).name == "person:zoe"


async def test_teams_follow_the_providers_groups_and_other_teams_stay(house: House):
    await house.door.put_team(
        "engineers", asked=house.asked, create=True, grants=grants("developer")
    )
    who = await vouched(house, groups=["eng", "golf"])
    assert who.teams == ("engineers",)
    assert who.may("ship", "dev")
    await house.door.put_team("choir", asked=house.asked, create=True, members=["ann"])
    who = await vouched(house, groups=["ops"])
    assert who.teams == ("choir", "operators")
    assert not who.may("ship", "dev")
    moved = [(verb, about) for verb, about, _ in await house.told("access") if "team/" in about]
    assert ("left", "team/engineers") in moved
    assert ("joined", "team/operators") in moved


async def test_disabled_user_is_not_let_in_whoever_vouches(house: House):
    await vouched(house)
    await house.change_user("ann", disabled=True)
    with pytest.raises(Denied, match="disabled"):
        await vouched(house)
