"""Refusals are written once and then counted; what others change is taken in."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from andon.app.access import tally
from andon.app.access.tally import MOST, OTHERS, WINDOW_SECONDS
from andon.testing.polling import eventually

from .conftest import House


async def test_first_refusal_is_written_at_once_and_repetitions_as_their_number(house: House):
    for _ in range(1000):
        await house.door.denied("person:ann", "ship", "prod", via="session")
    await house.door.denied("person:ann", "ship", "dev", via="session")
    told = await house.told("access")
    denied = [content for verb, _, content in told if verb == "denied"]
    about = {"by": "person:ann", "operation": "ship", "via": "session"}
    about_prod = {**about, "environment": {"id": "prod"}}
    assert denied == [about_prod, {**about, "environment": {"id": "dev"}}]
    house.clock.advance(WINDOW_SECONDS)
    await house.door.tally.flush()
    await house.door.tally.flush()
    (more,) = [content for verb, _, content in await house.told("access") if verb == "denied"][2:]
    assert more == {**about_prod, "times": 999}
    house.clock.advance(2 * WINDOW_SECONDS)
    await house.door.tally.flush()
    await house.door.denied("person:ann", "ship", "prod", via="session")
    denied = [content for verb, _, content in await house.told("access") if verb == "denied"]
    assert denied[3:] == [about_prod]


async def test_many_strangers_are_one_in_the_ledger_and_in_memory(house: House):
    for number in range(MOST + 500):
        await house.door.denied(f"nobody at 10.0.{number // 256}.{number % 256}", "ship", "")
    house.clock.advance(WINDOW_SECONDS)
    await house.door.tally.flush()
    rows = await house.store.read(lambda tx: tx.events(after=0, stream="org", limit=2000))
    denied = [row for row in rows if ".denied." in row.type]
    assert len(denied) <= MOST + 2
    assert {row.subject for row in denied} >= {OTHERS}


async def test_refusals_not_told_yet_are_written_as_the_process_ends(house: House):
    task = asyncio.create_task(house.door.run())
    for _ in range(3):
        await house.door.denied("person:ann", "ship", "prod")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    denied = [content for verb, _, content in await house.told("access") if verb == "denied"]
    assert [one.get("times", 1) for one in denied] == [1, 2]


async def test_refusals_go_to_the_ledger_now_and_then(house: House, monkeypatch):
    monkeypatch.setattr("andon.app.access.door.FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(tally, "WINDOW_SECONDS", 0)
    task = asyncio.create_task(house.door.run())
    for _ in range(3):
        await house.door.denied("person:ann", "ship", "prod")

    async def three_are_told() -> bool:
        told = [content for verb, _, content in await house.told("access") if verb == "denied"]
        return sum(one.get("times", 1) for one in told) == 3

    await eventually(three_are_told)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_another_process_revokes_is_taken_in(house: House):
    secret = await house.add_token("ci", "viewer")
    other = house.another_door()
    await other.open()
    task = asyncio.create_task(other.run())
    assert other.of_token(secret) is not None
    await house.door.revoke_token("ci", asked=house.asked)

    async def gone() -> bool:
        return other.of_token(secret) is None

    await eventually(gone)
    second = await house.add_token("cd", "viewer")

    async def known() -> bool:
        return other.of_token(second) is not None

    await eventually(known)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_older_reading_does_not_bring_back_who_was_revoked(house: House, monkeypatch):
    secret = await house.add_token("ci", "viewer")
    read = house.store.read
    older = asyncio.Event()

    async def slowly(fn):
        found = await read(fn)
        await older.wait()
        return found

    monkeypatch.setattr(house.store, "read", slowly)
    slow = asyncio.create_task(house.door.directory.refresh())
    await asyncio.sleep(0)
    monkeypatch.setattr(house.store, "read", read)
    await house.door.revoke_token("ci", asked=house.asked)
    older.set()
    await slow
    assert house.door.of_token(secret) is None


async def test_requests_ask_no_database(house: House):
    secret = await house.add_token("ci", "viewer")
    house.store.close()
    for _ in range(3):
        assert house.door.of_token(secret) is not None
    assert house.door.logins == ("token", "password")
