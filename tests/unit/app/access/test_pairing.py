"""A command line is let in by a person who says yes on the page."""

from __future__ import annotations

import asyncio
import os

import pytest

from andon.api.v1.access import Identity
from andon.app.access import pairing
from andon.app.access.pairing import MOST_PAIRINGS, PAIRING_SECONDS
from andon.kernel.errors import Denied, NotFound, TooMany

from .conftest import HERE, House


async def person(house: House, name: str = "ann", *roles: str) -> Identity:
    await house.add_user(name, *(roles or ("developer@dev",)))
    found = house.door.of_session(await house.log_in(name))
    assert found is not None
    return found[0]


async def test_a_yes_lets_the_command_line_act_as_the_person_within_their_rights(house: House):
    ann = await person(house)
    asked = await house.door.begin_pairing("Laptop of Ann!", address=HERE)
    seen = await house.door.pairing(asked["code"].lower())
    assert (seen["machine"], seen["address"]) == ("Laptop of Ann!", HERE)
    await house.door.decide_pairing(asked["code"], True, ann, asked=house.asked)
    taken = await house.door.take_pairing(asked["secret"])
    found = house.door.of_token(taken["token"])
    assert taken["name"].startswith("ann-laptop-of-ann-")
    assert found.name == "person:ann"
    assert found.may("ship", "dev")
    assert not found.may("ship", "prod")
    assert not found.may("administer")
    assert ("granted", f"token/{taken['name']}") in [one[:2] for one in await house.told("access")]


async def test_what_the_person_may_later_the_command_line_may_and_no_more(house: House):
    ann = await person(house)
    asked = await house.door.begin_pairing("", address=HERE)
    await house.door.decide_pairing(asked["code"], True, ann, asked=house.asked)
    token = (await house.door.take_pairing(asked["secret"]))["token"]
    await house.change_user("ann", grants=[])
    assert not house.door.of_token(token).may_somewhere("ship")
    await house.change_user("ann", disabled=True)
    assert house.door.of_token(token) is None


async def test_a_no_is_a_no(house: House):
    ann = await person(house)
    asked = await house.door.begin_pairing("", address=HERE)
    await house.door.decide_pairing(asked["code"], False, ann, asked=house.asked)
    with pytest.raises(Denied, match="said no"):
        await house.door.take_pairing(asked["secret"])
    with pytest.raises(NotFound):
        await house.door.decide_pairing(asked["code"], True, ann, asked=house.asked)


async def test_only_who_asked_takes_the_token_and_once(house: House):
    ann = await person(house)
    asked = await house.door.begin_pairing("", address=HERE)
    await house.door.decide_pairing(asked["code"], True, ann, asked=house.asked)
    for wrong in (asked["code"], "", "x" * 43):
        with pytest.raises(NotFound):
            await house.door.take_pairing(wrong)
    takers = (house.door.take_pairing(asked["secret"]) for _ in range(3))
    said = await asyncio.gather(*takers, return_exceptions=True)
    assert sum(isinstance(one, dict) for one in said) == 1
    assert sum(isinstance(one, NotFound) for one in said) == 2


async def test_what_is_no_person_at_a_browser_cannot_say_yes(house: House):
    """A token that could would outlive itself, and have all its owner's rights."""
    await person(house)
    secret = await house.add_token("ci", "viewer", owner="ann")
    behind = await house.door.log_in_with_token(secret, address=HERE)
    asked = await house.door.begin_pairing("", address=HERE)
    for who in (house.door.of_token(secret), behind.identity, house.door.of_peer(os.geteuid())):
        with pytest.raises(Denied, match="only a person"):
            await house.door.decide_pairing(asked["code"], True, who, asked=house.asked)


async def test_a_question_is_forgotten_after_ten_minutes(house: House, monkeypatch):
    monkeypatch.setattr(pairing, "WAIT_SECONDS", 0.0)
    ann = await person(house)
    asked = await house.door.begin_pairing("", address=HERE)
    assert (await house.door.take_pairing(asked["secret"]))["state"] == "waiting"
    house.clock.advance(PAIRING_SECONDS)
    with pytest.raises(NotFound, match="no command line asks"):
        await house.door.decide_pairing(asked["code"], True, ann, asked=house.asked)
    with pytest.raises(NotFound, match="in time"):
        await house.door.take_pairing(asked["secret"])


async def test_who_asks_too_often_is_told_so_and_many_who_ask_are_not_kept(house: House):
    first = await house.door.begin_pairing("", address=HERE)
    for number in range(MOST_PAIRINGS):
        await house.door.begin_pairing("", address=f"198.51.{number % 250}.{number // 250}")
    with pytest.raises(NotFound):
        await house.door.pairing(first["code"])
    for _ in range(9):
        await house.door.begin_pairing("", address=HERE)
    with pytest.raises(TooMany):
        await house.door.begin_pairing("", address=HERE)
