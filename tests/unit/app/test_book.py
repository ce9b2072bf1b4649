"""Keeping the ledger: signed, erased from, archived, taken out and in; whatever is altered is found."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.signing.ed25519 import Ed25519Signer
from andon.api.v1.control import Link
from andon.app.book import Book
from andon.kernel.errors import Conflict, Denied, InvalidDocument, NotFound, Untrusted
from andon.ports.store import Store
from andon.store import open_store
from andon.store.ledger import EVENT, hash_of
from andon.store.transfer import read_file
from andon.testing.clock import FakeClock
from andon.testing.store_objects_suite import NOW, appending, event

SOURCE = "/andon/test"


class World:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.file = folder / "control.db"
        self.store: Store = open_store(str(self.file), source=SOURCE)
        self.signer = Ed25519Signer(folder / "ledger")
        self.blobs = FileBlobs(folder / "blobs")
        self.book = Book(self.store, self.signer, self.blobs, FakeClock(NOW))

    async def fill(self, first: int, count: int) -> None:
        await self.store.transact(
            appending(
                *(
                    event(f"e{n}", stream=f"env/{n % 2}", data={"n": n}, links=(Link(target="x"),))
                    for n in range(first, first + count)
                )
            )
        )

    def sql(self, *statements: str) -> None:
        with sqlite3.connect(self.file) as other:
            for statement in statements:
                assert other.execute(statement).rowcount >= 1
        other.close()

    async def whats(self, **more: bool) -> list[str]:
        answer = await self.book.verify(**more)
        assert answer["ok"] == (not answer["findings"])
        return [str(one) for one in answer["findings"]]

    async def exported(self) -> list[bytes]:
        return [line async for line in self.book.export()]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    worlds: list[World] = []

    def one(name: str) -> World:
        worlds.append(World(tmp_path / name))
        return worlds[-1]

    yield one
    for world in worlds:
        world.store.close()


async def lines_of(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line.rstrip(b"\n")


def rechain(file: Path, skip: int = 0) -> None:
    """Alter an event and recompute every hash and head, as one who can write the database can."""
    with sqlite3.connect(file) as other:
        rows = other.execute(f"SELECT {EVENT} FROM event ORDER BY seq").fetchall()
        ends: dict[str, tuple[int, str]] = {}
        for row in rows:
            seq, stream, n, id, type_, subject, chain, time, _, digest, _, _ = row
            prev = ends.get(stream, (0, "0" * 64))[1]
            subject = "forged" if seq == 2 else subject
            hash = hash_of(prev, seq, stream, n, id, type_, subject, chain, repr(time), digest)
            ends[stream] = (n, hash)
            other.execute(
                "UPDATE event SET subject = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                (subject, prev, hash, seq),
            )
        for stream, (n, hash) in ends.items():
            other.execute("UPDATE head SET n = ?, hash = ? WHERE stream = ?", (n, hash, stream))
    other.close()


async def test_everything_up_to_a_checkpoint_is_signed(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 6)
    assert await world.book.checkpoint() == {"made": True, "seq": 6}
    assert await world.book.checkpoint() == {"made": False, "seq": 6}
    answer = await world.book.verify()
    assert (answer["ok"], answer["checkpoints"], answer["signedSeq"]) == (True, 1, 6)
    assert (world.folder / "ledger" / "key.pem").stat().st_mode & 0o777 == 0o600


async def test_chain_rewritten_with_right_hashes_is_found(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 6)
    await world.book.checkpoint()
    rechain(world.file)
    (what,) = await world.whats()
    assert what == "env/1 #3 (seq 6): is not what was signed: the chain was rewritten"


async def test_chain_cut_with_its_head_is_found(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 6)
    await world.book.checkpoint()
    world.sql(
        "DELETE FROM event WHERE seq = 6",
        "UPDATE head SET n = 2, hash = (SELECT hash FROM event WHERE seq = 4) WHERE stream = 'env/1'",
        "UPDATE head SET n = 5 WHERE stream = ''",
    )
    assert await world.whats() == ["env/1 #3 (seq 6): was signed, and is gone: the chain was cut"]


@pytest.mark.parametrize(
    ("sabotage", "what"),
    [
        ("UPDATE checkpoint SET body = replace(body, '2', '3')", "signature does not fit"),
        ("UPDATE checkpoint SET key_id = 'other'", "not trusted here"),
        ("DELETE FROM checkpoint WHERE seq = 2", "missing or altered"),
        ("DELETE FROM checkpoint WHERE seq = 4", "remembered outside"),
        ("UPDATE checkpoint SET time = 1 WHERE seq = 2", "differs from what was signed"),
    ],
)
async def test_altered_checkpoints_are_found(
    make: Callable[[str], World], sabotage: str, what: str
) -> None:
    world = make("a")
    for first in (0, 2):
        await world.fill(first, 2)
        await world.book.checkpoint()
    world.sql(sabotage)
    assert any(what in said for said in await world.whats())


async def test_erased_body_is_told_and_everything_verifies(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 4)
    await world.book.checkpoint()
    told = (await world.book.erase("e1", by="person:ann", reason="leaked"))["told"]
    answer = await world.book.verify()
    assert (answer["ok"], answer["erased"]) == (True, 1)
    row = await world.store.read(lambda tx: tx.event(told))
    assert row is not None
    assert b"leaked" in row.body
    assert b"person:ann" in row.body
    with pytest.raises(Conflict, match="already"):
        await world.book.erase("e1", by="x", reason="again")
    with pytest.raises(Denied):
        await world.book.erase(told, by="x", reason="hide it")
    with pytest.raises(NotFound):
        await world.book.erase("none", by="x", reason="y")


async def test_archived_events_are_proven_exported_and_not_written_twice(
    make: Callable[[str], World],
) -> None:
    world = make("a")
    await world.fill(0, 6)
    before = await world.exported()
    assert await world.book.archive(before=NOW + 1, by="person:ann") == {"events": 6, "blobs": 1}
    assert await world.store.read(lambda tx: len(tx.events())) == 1
    answer = await world.book.verify(deep=True)
    assert (answer["ok"], answer["archived"], answer["segments"]) == (True, 6, 2)
    assert (await world.exported())[:6] == before[:6]
    await world.fill(0, 8)  # The first six are in the archive.
    assert (await world.store.read(lambda tx: tx.heads()))["env/0"][0] == 4
    await world.book.erase("e3", by="person:ann", reason="law")
    answer = await world.book.verify(deep=True)
    assert (answer["ok"], answer["erased"]) == (True, 1)


@pytest.mark.parametrize("how", ["missing", "altered"])
async def test_archive_that_is_missing_or_altered_is_found(
    make: Callable[[str], World], how: str
) -> None:
    world = make("a")
    await world.fill(0, 4)
    await world.book.archive(before=NOW + 1, by="x")
    (blob,) = [one for one in (world.folder / "blobs").rglob("*") if one.is_file()]
    if how == "missing":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes() + b"x")
    assert all(how in said for said in await world.whats())
    assert len(await world.whats()) == 2


async def test_export_proves_itself_and_restores_the_chains(make: Callable[[str], World]) -> None:
    world, other = make("a"), make("b")
    await world.fill(0, 6)
    await world.book.erase("e1", by="x", reason="y")
    lines = await world.exported()
    found = read_file(lines)
    assert (found.events, found.erased, found.is_whole) == (7, 1, True)
    assert await other.book.take_in(lines_of(lines)) == {"events": 7, "skipped": 0}
    assert await other.book.take_in(lines_of(lines)) == {"events": 0, "skipped": 7}
    assert await other.exported() == lines
    assert (await other.book.verify())["ok"]
    # Links come back with the bodies that tell them.
    linked = (await other.store.read(lambda tx: tx.linked("x")))[1]
    assert linked == ["e0", "e2", "e3", "e4", "e5"]
    third = make("c")
    await third.fill(1, 1)
    with pytest.raises(Conflict, match="line 1"):
        await third.book.take_in(lines_of(lines))


@pytest.mark.parametrize("how", ["alter", "remove", "swap", "insert", "cut", "text", "long"])
async def test_altered_file_is_refused_with_its_line(
    make: Callable[[str], World], how: str
) -> None:
    world, other = make("a"), make("b")
    await world.fill(0, 6)
    lines = await world.exported()
    if how == "alter":
        lines[2] = lines[2].replace(b'"n":2', b'"n":9')
    elif how == "remove":
        del lines[2]
    elif how == "swap":
        lines[2], lines[4] = lines[4], lines[2]
    elif how == "insert":
        lines.insert(3, lines[2])
    elif how == "cut":
        lines = lines[:4]
    else:
        lines[2] = b"no json" if how == "text" else b"[" * (5 << 20)
    with pytest.raises((Untrusted, InvalidDocument)):
        read_file(lines)
    if how != "cut":
        with pytest.raises((Untrusted, InvalidDocument, Conflict), match="line "):
            await other.book.take_in(lines_of(lines))
        assert (await other.book.verify())["ok"]
