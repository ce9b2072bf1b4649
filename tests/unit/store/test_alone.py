"""The store of a process that is alone: what is told when, and what its end waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.runtime.system import SystemClock
from andon.store import open_alone
from andon.store.alone import LoneDatabase
from andon.store.database import Written
from andon.testing.store_objects_suite import NOW, claiming, write

SOURCE = "/andon/test"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LoneDatabase]:
    opened = open_alone(tmp_path / "runs.db", source=SOURCE, clock=SystemClock())
    yield opened
    opened.close()


async def test_nobody_is_told_before_it_is_on_disk_and_more_gathers_meanwhile(
    store: LoneDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()
    commit = store._end

    def slowly(written: Written) -> None:
        disk.wait()
        commit(written)

    monkeypatch.setattr(store, "_end", slowly)
    first = asyncio.create_task(write(store, ("wake", ("Run", "a", NOW))))
    while store._written is None:
        await asyncio.sleep(0)
    more = [asyncio.create_task(write(store, ("wake", ("Run", name, NOW)))) for name in "bcd"]
    assert await store.read(lambda tx: tx.next_due()) is None
    assert not first.done()
    disk.set()
    await asyncio.gather(first, *more)
    assert store.commits == 2
    assert len(await store.transact(claiming())) == 4


async def test_who_closes_it_waits_for_the_disk(store: LoneDatabase, tmp_path: Path) -> None:
    asked = [asyncio.create_task(write(store, ("wake", ("Run", name, NOW)))) for name in ("a", "b")]
    while store._written is None:
        await asyncio.sleep(0)
    asked.append(asyncio.create_task(write(store, ("wake", ("Run", "c", NOW)))))
    await asyncio.sleep(0)
    store.close()
    await asyncio.gather(*asked)
    again = open_alone(tmp_path / "runs.db", source=SOURCE, clock=SystemClock())
    assert len(await again.transact(claiming())) == 3
    again.close()
