"""Sessions and codes: who is at the socket, who is let in once, and when all this ends."""

from __future__ import annotations

import os

import pytest

from andon.app.access.sessions import CODE_SECONDS, MOST_SESSIONS, SESSION_SECONDS
from andon.kernel.errors import Denied

from .conftest import HERE, House


async def test_session_ends_after_half_a_day(house: House):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    house.clock.advance(SESSION_SECONDS - 1)
    assert house.door.of_session(cookie) is not None
    house.clock.advance(1)
    assert house.door.of_session(cookie) is None


async def test_session_outlives_a_restart_and_ends_by_logging_out(house: House):
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    house.door = house.another_door()
    await house.door.open()
    assert house.door.of_session(cookie) is not None
    await house.door.log_out(cookie)
    assert house.door.of_session(cookie) is None
    await house.door.log_out(cookie)
    assert [one[:2] for one in await house.told("session")] == [("ended", "person:ann")]


async def test_oldest_of_too_many_sessions_ends(house: House):
    await house.add_user("ann", "viewer")
    cookies = []
    for _ in range(MOST_SESSIONS + 1):
        cookies.append(await house.log_in())
        house.clock.advance(60)
    found = [house.door.of_session(cookie) is not None for cookie in cookies]
    assert found == [False] + [True] * MOST_SESSIONS


async def test_made_up_cookies_are_nobodys(house: House):
    for cookie in ("", "x", "x" * 5000, "\udcff", "ä"):
        assert house.door.of_session(cookie) is None


async def test_who_opens_the_socket_is_an_administrator_by_the_name_of_the_account(house: House):
    await house.door.open()
    who = house.door.of_peer(os.geteuid())
    assert who.name.startswith("person:")
    assert who.may("administer")
    assert who.via == "socket"


async def test_account_that_should_not_reach_the_socket_may_do_nothing(house: House):
    who = house.door.of_peer(4_000_000)
    assert who.name == "person:uid-4000000"
    assert not who.may_somewhere("view")


async def test_code_lets_in_once(house: House):
    here = house.door.of_peer(os.geteuid())
    made = await house.door.one_time_code(house.asked, here)
    assert made["expiresAt"] == house.clock.now() + CODE_SECONDS
    login = await house.door.log_in_with_code(made["code"], address=HERE)
    assert login.identity.name == here.name
    assert login.identity.may("administer")
    with pytest.raises(Denied, match="once"):
        await house.door.log_in_with_code(made["code"], address=HERE)


async def test_code_counts_for_a_minute(house: House):
    made = await house.door.one_time_code(house.asked, house.door.of_peer(os.geteuid()))
    house.clock.advance(CODE_SECONDS)
    with pytest.raises(Denied):
        await house.door.log_in_with_code(made["code"], address=HERE)


async def test_code_of_a_user_who_was_disabled_meanwhile_lets_nobody_in(house: House):
    await house.add_user("ann", "viewer")
    found = house.door.of_session(await house.log_in())
    assert found is not None
    made = await house.door.one_time_code(house.asked, found[0])
    await house.change_user("ann", disabled=True)
    with pytest.raises(Denied):
        await house.door.log_in_with_code(made["code"], address=HERE)
    assert [verb for verb, *_ in await house.told("login")] == ["succeeded"]
