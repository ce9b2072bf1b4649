"""On Postgres: the same door, and what another process changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from andon.kernel.errors import Denied
from andon.store import open_store
from andon.testing.polling import eventually
from andon.testing.postgres import PostgresServer

from .conftest import HERE, House

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.new_schema()


@pytest.fixture
async def elsewhere(house: House, url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Another process on the same database."""
    store = open_store(url, source="/andon/elsewhere", clock=house.clock)
    other = House(tmp_path, store, house.clock, seed=1000)
    await other.door.open()
    yield other
    store.close()


async def test_door_takes_in_what_another_process_changes(house: House, elsewhere: House):
    task = asyncio.create_task(house.door.run())
    await house.add_user("ann", "viewer")
    cookie = await house.log_in()
    secret = await elsewhere.add_token("ci", "viewer")

    async def knows_the_token() -> bool:
        return house.door.of_token(secret) is not None

    async def knows_no_session() -> bool:
        return house.door.of_session(cookie) is None

    await eventually(knows_the_token)
    await elsewhere.change_user("ann", disabled=True)
    await eventually(knows_no_session)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_names_that_no_database_can_keep_are_nobodys(house: House):
    for name in ("no\0name", "\udcff", "x" * 5000):
        with pytest.raises(Denied):
            await house.door.log_in(name, "a password of some length", address=HERE)
    for cookie in ("\0", "\udcff"):
        assert house.door.of_session(cookie) is None
        await house.door.log_out(cookie)
