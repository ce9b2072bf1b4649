"""Exported ledgers as files: written by a real command over a real socket, killed, and gone on with."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.signing.ed25519 import Ed25519Signer
from andon.app.ledger.book import Book
from andon.app.ledger.telling import tell_event
from andon.cli.ledger_files import export_to, go_on, verify_file
from andon.client.wire import SOCKET, Client
from andon.kernel.errors import AndonError, Conflict, Unavailable, Untrusted
from andon.ports.offices import Offices
from andon.store import open_store
from andon.testing.clock import FakeClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.testing.polling import eventually
from andon.testing.store_objects_suite import NOW, appending, event
from andon.web.app import create_app
from andon.web.serve import serve

EVENTS = 120


class Halting(Book):
    """Ends an answer in its middle, as long as it is told to."""

    halt_after = 0

    async def export(
        self, *, after: int = 0, filters: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes]:
        number = 0
        async for line in super().export(after=after, filters=filters):
            number += 1
            if number == self.halt_after:
                await asyncio.Event().wait()
            yield line


class World(StillLine):
    """A ledger, served."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        state.mkdir()
        self.client = Client(state)
        self.store = open_store(str(state / "control.db"), source="/andon/test")
        signer, blobs = Ed25519Signer(state / "ledger"), FileBlobs(state / "blobs")
        self._book = Halting(self.store, signer, blobs, FakeClock(NOW))

    moment = 0

    async def note(self, asked: object) -> None:
        """Nobody's privilege is of interest here."""

    @property
    def book(self) -> Halting:
        return self._book

    async def fill(self, first: int, count: int, what: str = "x") -> None:
        for n in range(first, first + count):
            one = event(f"e{n}", stream=f"env/{n % 3}", data={"n": n, "what": what})
            await self.store.transact(appending(one))


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Any]:
    tasks, worlds = [], []

    async def one(name: str) -> World:
        world = World(tmp_path / name)
        ready = asyncio.Event()
        path = world.client.place / SOCKET
        serving = serve(
            create_app(Offices(line=world, access=FixedDoor())),
            socket_path=path,
            port=0,
            ready=lambda url: ready.set(),
        )
        tasks.append(asyncio.ensure_future(serving))
        worlds.append(world)
        await ready.wait()
        return world

    yield one
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for world in worlds:
        world.store.close()


async def resume(world: World, file: Path, **query: Any) -> Any:
    return await asyncio.to_thread(go_on, world.client, file, query)


async def whole(world: World) -> list[bytes]:
    return [line async for line in world.book.export()]


async def test_export_that_was_killed_goes_on_where_it_ended(make: Any, tmp_path: Path) -> None:
    world = await make("a")
    await world.fill(0, EVENTS)
    world.book.halt_after = EVENTS - 5
    file, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    command = ["ledger", "export", str(file), "--state", str(world.client.place)]
    process = subprocess.Popen([sys.executable, "-m", "andon", *command])
    await eventually(lambda: part.exists() and part.stat().st_size)
    process.kill()
    process.wait()
    world.book.halt_after = 0
    assert not file.exists()
    there = part.read_bytes().count(b"\n")
    answer = await resume(world, file)
    assert (answer["events"], answer["fresh"]) == (EVENTS, EVENTS - there)
    assert file.read_bytes() == b"".join(await whole(world))
    assert (verify_file(file)["whole"], part.exists()) == (True, False)


async def test_whole_export_goes_on_with_what_is_new_also_over_an_archive(
    make: Any, tmp_path: Path
) -> None:
    world = await make("a")
    await world.fill(0, 6)
    file = tmp_path / "out.jsonl"
    await asyncio.to_thread(export_to, world.client, str(file), {}, overwrite=False)
    await world.fill(6, 2)
    await world.book.archive(before=NOW + 1, by="x")
    assert (await resume(world, file))["fresh"] == 3
    assert (await resume(world, file))["fresh"] == 0
    assert file.read_bytes() == b"".join(await whole(world))


@pytest.mark.parametrize("cut", [0, 1, 700])
async def test_torn_line_is_cut(make: Any, tmp_path: Path, cut: int) -> None:
    world = await make("a")
    await world.fill(0, 6)
    lines = await whole(world)
    file = tmp_path / "out.jsonl"
    file.write_bytes(b"".join(lines[:3]) + lines[3][:cut])
    assert (await resume(world, file))["fresh"] == 3
    assert file.read_bytes() == b"".join(lines)


async def test_file_of_another_ledger_is_refused_and_left_alone(make: Any, tmp_path: Path) -> None:
    world, other = await make("a"), await make("b")
    await world.fill(0, 6)
    await other.fill(0, 5)
    await other.fill(5, 1, "y")
    file = tmp_path / "out.jsonl"
    await asyncio.to_thread(export_to, other.client, str(file), {}, overwrite=False)
    before = file.read_bytes()
    with pytest.raises(Conflict, match="env/2 #2 differs"):
        await resume(world, file)
    assert file.read_bytes() == before
    assert not file.with_name("out.jsonl.part").exists()
    await world.book.archive(before=NOW + 1, by="x")
    with pytest.raises(Conflict, match="env/2 #2 differs"):
        await resume(world, file)


async def test_file_of_a_part_goes_on_only_as_it_began(make: Any, tmp_path: Path) -> None:
    world = await make("a")
    await world.fill(0, 6)
    file = tmp_path / "out.jsonl"
    asked = {"stream": "env/1"}
    await asyncio.to_thread(export_to, world.client, str(file), asked, overwrite=False)
    await world.fill(6, 6)
    for other in ({}, {"stream": "env/2"}):
        with pytest.raises(AndonError, match=r"other events|a part of a ledger"):
            await resume(world, file, **other)
    assert (await resume(world, file, **asked))["fresh"] == 2
    assert verify_file(file)["events"] == 4


async def test_place_that_cannot_be_written_is_named(make: Any, tmp_path: Path) -> None:
    world = await make("a")
    await world.fill(0, 3)
    with pytest.raises(Unavailable, match=r"nowhere/out\.jsonl cannot be written: No such file"):
        await asyncio.to_thread(
            export_to, world.client, str(tmp_path / "nowhere" / "out.jsonl"), {}, overwrite=False
        )


async def test_event_taken_out_of_a_whole_file_is_placed(make: Any, tmp_path: Path) -> None:
    world = await make("a")
    await world.fill(0, 9)
    lines = await whole(world)
    (file := tmp_path / "out.jsonl").write_bytes(b"".join(lines[:4] + lines[5:]))
    with pytest.raises(Untrusted, match="seq 5 is not before line 5"):
        verify_file(file)


async def test_erased_event_says_so(make: Any) -> None:
    world = await make("a")
    await world.fill(0, 3)
    first = (await world.store.read(lambda tx: tx.events()))[0]
    await world.book.erase(first.id, by="person:amy", reason="a leak")
    erased = (await world.store.read(lambda tx: tx.events()))[0]
    assert tell_event(erased).endswith("; its body is erased")
