"""What is over is forgotten, what counts stays."""

from __future__ import annotations

import asyncio
import contextlib

from andon.api.v1.control import Selector
from andon.app.access.sessions import SESSION_SECONDS
from andon.app.access.sweeping import sweep_access
from andon.app.access.tokens import DAY_SECONDS
from andon.app.work.sweeping import keep_sweeping
from andon.ports.asking import Asked
from andon.testing.polling import eventually

from .conftest import House, grants


async def swept(house: House) -> int:
    now = house.clock.now()
    return await house.store.transact(lambda tx: sweep_access(tx, now))


async def names(house: House, kind: str) -> list[str]:
    found = await house.store.read(lambda tx: tx.list(Selector(kind=kind)))
    return [one.name for one in found]


async def test_sessions_that_are_over_go(house: House):
    await house.add_user("ann", "viewer")
    await house.log_in()
    house.clock.advance(SESSION_SECONDS - 60)
    young = await house.log_in()
    house.clock.advance(60)
    assert await swept(house) == 1
    assert len(await names(house, "Session")) == 1
    assert house.door.of_session(young) is not None


async def test_sweeper_takes_them_even_where_changes_are_kept_for_ever(house: House):
    await house.add_user("ann", "viewer")
    await house.log_in()
    house.clock.advance(SESSION_SECONDS)
    sweeper = asyncio.create_task(keep_sweeping(house.store, 0, lambda tx: None))

    async def gone() -> bool:
        return not await names(house, "Session")

    await eventually(gone)
    sweeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeper


async def test_requests_of_yesterday_go(house: House):
    asked = Asked(by="person:root", key="k", fingerprint="f")
    await house.door.put_team("crew", asked=asked, create=True)
    house.clock.advance(DAY_SECONDS - 1)
    assert await swept(house) == 0
    house.clock.advance(1)
    assert await swept(house) == 1
    assert await names(house, "Request") == []


async def test_tokens_are_shown_for_a_month_after_they_ended_and_the_administrators_stays(
    house: House,
):
    await house.add_token("revoked", "viewer")
    await house.door.revoke_token("revoked", asked=house.asked)
    await house.add_token("expired", "viewer", expires_seconds=DAY_SECONDS)
    await house.door.make_token(
        "long", asked=house.asked, grants=grants("viewer"), expires_seconds=366 * DAY_SECONDS
    )
    house.clock.advance(30 * DAY_SECONDS)
    assert await swept(house) == 1
    house.clock.advance(DAY_SECONDS)
    assert await swept(house) == 1
    assert sorted(await names(house, "Token")) == ["admin", "long"]
