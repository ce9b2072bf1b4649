"""Keeping the ledger: signed, erased from, archived, taken out and in; whatever is altered is found."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.signing.ed25519 import Ed25519Signer
from andon.api.v1.control import Link
from andon.app.ledger.book import Book
from andon.kernel.digest import sha256
from andon.kernel.errors import Conflict, Denied, Fenced, InvalidDocument, NotFound, Untrusted
from andon.ports.store import Store, Tx
from andon.store import dialect_of, open_store
from andon.store.ledger import EVENT, FIRST, hash_of
from andon.store.transfer import read_file
from andon.testing.clock import FakeClock
from andon.testing.polling import eventually
from andon.testing.store_objects_suite import NOW, appending, event

SOURCE = "/andon/test"


class World:
    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.url = url
        self.signer = Ed25519Signer(folder / "ledger")
        self.blobs = FileBlobs(folder / "blobs")
        self.start()

    def start(self) -> None:
        self.store: Store = open_store(self.url, source=SOURCE)
        self.book = Book(self.store, self.signer, self.blobs, FakeClock(NOW))

    def restart(self) -> None:
        self.store.close()
        self.start()

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
        other = dialect_of(self.url).connect(write=True)
        for statement in statements:
            assert other.change(statement) >= 1
        other.close()

    async def whats(self, **more: bool) -> list[str]:
        answer = await self.book.verify(**more)
        assert answer["ok"] == (not answer["findings"])
        return [str(one) for one in answer["findings"]]

    async def exported(self) -> list[bytes]:
        return [line async for line in self.book.export()]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], World]]:
    worlds: list[World] = []

    def one(name: str) -> World:
        url = str(tmp_path / f"{name}.db")
        if request.param == "postgres":
            url = request.getfixturevalue("server").new_schema()
        worlds.append(World(tmp_path / name, url))
        return worlds[-1]

    yield one
    for world in worlds:
        world.store.close()


async def lines_of(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line.rstrip(b"\n")


def rechain(url: str) -> None:
    """Alter an event and recompute every hash and head, as one who can write the database can."""
    other = dialect_of(url).connect(write=True)
    ends: dict[str, tuple[int, str]] = {}
    for row in other.run(f"SELECT {EVENT} FROM event ORDER BY seq"):
        seq, stream, n, id, type_, subject, chain, time, _, digest, _, _ = row
        prev = ends.get(stream, (0, "0" * 64))[1]
        subject = "forged" if seq == 2 else subject
        hash = hash_of(prev, seq, stream, n, id, type_, subject, chain, repr(time), digest)
        ends[stream] = (n, hash)
        other.change(
            "UPDATE event SET subject = ?, prev_hash = ?, hash = ? WHERE seq = ?",
            (subject, prev, hash, seq),
        )
    for stream, (n, hash) in ends.items():
        other.change("UPDATE head SET n = ?, hash = ? WHERE stream = ?", (n, hash, stream))
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
    rechain(world.url)
    (what,) = await world.whats()
    assert what == (
        "env/1 #1 (seq 1): from here to #3 is not what was signed at seq 6: the chain was rewritten"
    )


async def test_chain_cut_with_its_head_is_found(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 6)
    await world.book.checkpoint()
    world.sql(
        "DELETE FROM event WHERE seq = 6",
        "UPDATE head SET n = 2, hash = (SELECT hash FROM event WHERE seq = 4) WHERE stream = 'env/1'",
        "UPDATE head SET n = 5 WHERE stream = ''",
    )
    assert await world.whats() == [
        "env/1 #1 (seq 1): from here to #3 is not what was signed at seq 6: the chain was cut"
    ]


async def test_rewriting_is_placed_behind_the_last_checkpoint_that_fits(
    make: Callable[[str], World],
) -> None:
    world = make("a")
    await world.fill(0, 1)
    await world.book.checkpoint()
    await world.fill(1, 5)
    for _ in range(2):
        await world.book.checkpoint()
        await world.fill(6, 2)
    rechain(world.url)
    await world.fill(8, 2)
    assert await world.whats() == [
        "env/1 #1 (seq 1): from here to #3 is not what was signed at seq 6: the chain was rewritten"
    ]
    answer = await world.book.verify()
    assert (answer["checkpoints"], answer["signedSeq"]) == (1, 1)


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


# --- kills ---------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here, as far as the disk is concerned."""


def dying(world: World, monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[str]:
    """Die behind the ``at``-th durable step: a blob written or deleted, a transaction committed."""
    done: list[str] = []

    def after(name: str, result: Any) -> Any:
        done.append(name)
        if len(done) == at:
            raise Killed
        return result

    put, delete, transact = world.blobs.put, world.blobs.delete, world.store.transact

    async def transacted(fn: Callable[[Tx], Any]) -> Any:
        return after("commit", await transact(fn))

    monkeypatch.setattr(world.blobs, "put", lambda data: after("put", put(data)))
    monkeypatch.setattr(world.blobs, "delete", lambda one: after("delete", delete(one)))
    monkeypatch.setattr(world.store, "transact", transacted)
    return iter(done)


async def killed(world: World, at: int, work: Callable[[], Any]) -> bool:
    """Do something and die behind a step of it; whether it had that many."""
    with pytest.MonkeyPatch.context() as patch:
        dying(world, patch, at)
        try:
            await work()
        except Killed:
            return True
        finally:
            patch.undo()
            world.restart()
    return False


def bodies(world: World) -> list[bytes]:
    """Return what is readable in the archive's files, named or not."""
    files = [one for one in (world.folder / "blobs").rglob("*") if one.is_file()]
    return [gzip.decompress(one.read_bytes()) for one in files]


@pytest.mark.parametrize("at", range(1, 7))
async def test_archiving_that_was_killed_loses_nothing_and_is_finished_by_the_next(
    make: Callable[[str], World], at: int
) -> None:
    world = make("a")
    await world.fill(0, 6)
    before = await world.exported()
    archive = partial(world.book.archive, before=NOW + 1, by="x")
    # Note, blob, rows, checkpoint: nothing more is done.
    assert await killed(world, at, archive) == (at <= 4)
    assert (await world.book.verify(deep=True))["ok"]
    assert (await world.exported())[:6] == before[:6]
    await world.book.archive(before=NOW + 1, by="x")
    answer = await world.book.verify(deep=True)
    assert (answer["ok"], answer["archived"], len(bodies(world))) == (True, 6, 1)
    assert (await world.exported())[:6] == before[:6]


@pytest.mark.parametrize("at", range(1, 8))
async def test_erasure_from_the_archive_that_was_killed_is_whole_or_undone(
    make: Callable[[str], World], at: int
) -> None:
    world = make("a")
    await world.fill(0, 6)
    await world.book.archive(before=NOW + 1, by="x")
    erase = partial(world.book.erase, "e3", by="x", reason="law")
    # Note, new blob, pointer, what must go, old blob, its note: nothing more is done.
    assert await killed(world, at, erase) == (at <= 6)
    is_erased = (await world.book.verify(deep=True))["erased"] == 1
    assert is_erased == (at >= 3)
    row = await world.book.find("e3")
    assert row is not None
    assert bool(row.body) != is_erased
    if not is_erased:
        await world.book.erase("e3", by="x", reason="law")
    keeping = asyncio.create_task(world.book.keep(lambda tx: None))
    await eventually(lambda: len(bodies(world)) == 1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert b'"v":3' not in bodies(world)[0]
    answer = await world.book.verify(deep=True)
    assert (answer["ok"], answer["erased"]) == (True, 1)


async def test_blob_of_an_archive_that_was_killed_holds_nothing_back_from_an_erasure(
    make: Callable[[str], World],
) -> None:
    world = make("a")
    await world.fill(0, 6)
    assert await killed(world, 2, partial(world.book.archive, before=NOW + 1, by="x"))
    await world.book.erase("e3", by="x", reason="law")
    keeping = asyncio.create_task(world.book.keep(lambda tx: None))
    await eventually(lambda: not bodies(world))
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_erased_body_is_in_no_file_of_sqlite(make: Callable[[str], World]) -> None:
    world = make("a")
    secret = "4111-1111-1111-1111"
    await world.store.transact(appending(event("secret", data={"card": secret})))
    await world.fill(0, 6)
    answer = await world.book.erase("secret", by="x", reason="law")
    files = [world.folder.parent / f"a.db{end}" for end in ("", "-wal")]
    held = [one for one in files if one.exists() and secret.encode() in one.read_bytes()]
    # On Postgres old versions of rows are the server's until VACUUM.
    assert answer["wiped"] == ("://" not in world.url)
    assert held == []


async def test_old_events_are_archived_by_themselves(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 4)
    world.book = Book(world.store, world.signer, world.blobs, FakeClock(NOW + 3 * 86400))
    keeping = asyncio.create_task(world.book.keep(lambda tx: None, archive_after_days=2))
    segments = partial(world.store.read, lambda tx: len(tx.segments()))
    await eventually(segments)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    answer = await world.book.verify(deep=True)
    assert (answer["ok"], answer["archived"]) == (True, 4)


async def test_worker_that_lost_the_lease_neither_signs_nor_archives(
    make: Callable[[str], World],
) -> None:
    world = make("a")
    await world.fill(0, 4)

    def guard(tx: Tx) -> None:
        raise Fenced("another worker does this")

    with pytest.raises(Fenced):
        await world.book.checkpoint(guard)
    with pytest.raises(Fenced):
        await world.book.archive(before=NOW + 1, by="x", guard=guard)
    answer = await world.book.verify()
    assert (answer["ok"], answer["checkpoints"], answer["segments"]) == (True, 0, 0)


async def test_archived_event_is_found(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 4)
    there = await world.book.find("e2")
    await world.book.archive(before=NOW + 1, by="x")
    assert await world.store.read(lambda tx: tx.event("e2")) is None
    assert await world.book.find("e2") == there
    assert await world.book.find("none") is None


async def test_event_dated_back_behind_a_checkpoint_is_found(make: Callable[[str], World]) -> None:
    world = make("a")
    await world.fill(0, 4)
    await world.book.archive(before=NOW + 1, by="x")
    await world.fill(4, 2)
    # Into a place of the archive, in a stream of its own, with right hashes, heads and numbers.
    body = b"{}"
    covered = (FIRST, 2, "env/x", 1, "forged", "t", "s", "", repr(NOW), sha256(body))
    hash = hash_of(*covered)
    values = ", ".join(map(repr, (2, "env/x", 1, "forged", "t", "s", "", NOW)))
    blob = "X'7b7d'" if "://" not in world.url else "'{}'"
    world.sql(
        f"INSERT INTO event ({EVENT}) VALUES"
        f" ({values}, {blob}, '{sha256(body)}', '{FIRST}', '{hash}')",
        f"INSERT INTO head (stream, n, hash) VALUES ('env/x', 1, '{hash}')",
        "UPDATE head SET n = n + 1 WHERE stream = ''",
    )
    assert "env/x #1 (seq 5): was put in after seq 5 was signed" in await world.whats()
