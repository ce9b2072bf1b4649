"""A move to Postgres that is killed anywhere: the installation is on exactly one database, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from andon.api.v1.installation import SecretsKeySpec
from andon.app.home import Home
from andon.app.installation import Installation
from andon.app.place import chosen_database, database_of
from andon.app.secrets.safe import Vault, open_safe
from andon.app.upkeep import moving
from andon.app.upkeep.moving import COPY, MOVING, Move, settle_in
from andon.kernel.errors import Conflict, Unavailable, UsageError
from andon.ports.store import Store
from andon.runtime.system import SystemRandomness
from andon.store import open_store, verify_ledger
from andon.testing.postgres import PostgresServer
from andon.testing.store_objects_suite import appending, event

pytestmark = pytest.mark.postgres
STORY = Path(__file__).parents[1] / "unit/store/schema_1.sql"
SOURCE = "/andon/test"
HERE = Home(id="here", host="h", state="/s")


class Killed(BaseException):
    """The process is gone."""


class Alone(Installation):
    """A process whose next generation is looked at by hand."""

    async def switch(self) -> None:
        """Let the move end."""


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.new_schema()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    connection = sqlite3.connect(tmp_path / "control.db")
    connection.executescript(f"BEGIN; {STORY.read_text()} COMMIT; PRAGMA user_version=1;")
    connection.close()
    opened = open_store(str(tmp_path / "control.db"), source=SOURCE)
    yield opened
    opened.close()


def move(store: Store, state: Path, given: str = "") -> Move:
    return Move(Alone(), store, state, HERE, given)


async def start(state: Path) -> Store:
    """Start the control plane's part that concerns the database."""
    url = database_of(state, "")
    opened = open_store(url, source=SOURCE)
    try:
        await settle_in(opened, state, HERE, url)
    except BaseException:
        opened.close()
        raise
    return opened


async def lives(state: Path, engine: str, events: int) -> None:
    """See that the installation works, on that engine, with everything it had."""
    opened = await start(state)
    assert (chosen_database(state) != "") == (engine == "postgres")
    assert await opened.read(lambda tx: tx.paused()) == ""
    assert await opened.transact(appending(event(f"next on {engine}"))) == [events + 1]
    assert (await opened.read(verify_ledger)).findings == ()
    opened.close()


async def test_move_takes_everything_and_what_is_left_refuses(
    store: Store, tmp_path: Path, url: str
) -> None:
    vault = Vault(open_safe(SecretsKeySpec(), tmp_path, SystemRandomness()))
    await store.transact(lambda tx: vault.seal(tx, "subscription/hook", "where it is"))
    answer = await move(store, tmp_path).run(url, "ada", 1, quiet)
    assert (answer["events"], answer["tables"]["object"]) == (28, 24)
    with pytest.raises(Unavailable, match="moves to Postgres"):
        await store.transact(appending(event("late")))
    store.close()
    await lives(tmp_path, "postgres", 29)
    there = open_store(url, source=SOURCE)
    assert await there.read(lambda tx: vault.open(tx, "subscription/hook")) == "where it is"
    there.close()
    left = open_store(str(tmp_path / "control.db"), source=SOURCE)
    with pytest.raises(Conflict, match="has moved to"):
        await settle_in(left, tmp_path, HERE, str(tmp_path / "control.db"))
    left.close()


@pytest.mark.parametrize("point", ["_settle", "choose_database"])
async def test_killed_before_the_switch_it_stays_and_moves_later(
    store: Store, tmp_path: Path, url: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moving, point, dies)
        # What a killed process does not do either:
        patch.setattr(moving, "thaw", dies)
        with pytest.raises(Killed):
            await move(store, tmp_path).run(url, "ada", 1, quiet)
    store.close()
    assert chosen_database(tmp_path) == ""
    await lives(tmp_path, "sqlite", 28)
    # The line went on meanwhile; what the first attempt left over there is no obstacle.
    again = await start(tmp_path)
    await move(again, tmp_path).run(url, "ada", 1, quiet)
    again.close()
    await lives(tmp_path, "postgres", 30)


@pytest.mark.parametrize("marked", [False, True])
async def test_killed_after_the_switch_it_goes_on_over_there(
    store: Store, tmp_path: Path, url: str, marked: bool
) -> None:
    await move(store, tmp_path).run(url, "ada", 1, quiet)
    store.close()
    if marked:
        await moving._mark(tmp_path / "control.db", "there")
    await lives(tmp_path, "postgres", 29)
    with sqlite3.connect(tmp_path / "control.db") as left:
        assert left.execute("SELECT COUNT(*) FROM setting WHERE key = 'moved_to'").fetchone() == (
            1,
        )
    left.close()


async def test_failed_move_changes_nothing(store: Store, tmp_path: Path, url: str) -> None:
    occupied = open_store(url, source=SOURCE)
    await occupied.transact(appending(event("theirs")))
    occupied.close()
    with pytest.raises(Conflict, match="not empty"):
        await move(store, tmp_path).run(url, "ada", 1, quiet)
    nobody = f"postgresql://postgres@/x?host={tmp_path}"
    with pytest.raises(Unavailable):
        await move(store, tmp_path).run(nobody, "ada", 1, quiet)
    assert await store.read(lambda tx: tx.paused()) == ""
    store.close()
    await lives(tmp_path, "sqlite", 28)


async def test_copy_that_was_not_switched_to_works_for_nobody(
    store: Store, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "choose_database", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await move(store, tmp_path).run(url, "ada", 1, quiet)
    assert await store.read(lambda tx: tx.paused()) == ""
    other = open_store(url, source=SOURCE)
    await settle_in(other, tmp_path, HERE, url)
    assert await other.read(lambda tx: tx.paused()) == COPY
    assert await other.transact(lambda tx: tx.claim("w", tx.now() + 1e9, 1, 9)) == []
    other.close()


async def test_what_is_under_way_is_waited_for_but_not_for_ever(
    store: Store, tmp_path: Path, url: str
) -> None:
    def busy(tx: object) -> None:
        tx.acquire("worker/w", "w", tx.now(), 1000)
        tx._db.change("UPDATE action SET owner = 'w' WHERE outcome IS NULL")

    await store.transact(busy)
    said: list[str] = []
    errand = asyncio.create_task(move(store, tmp_path).run(url, "ada", 600, said.append))
    while "waits for 1 under way" not in said:
        await asyncio.sleep(0)
        assert not errand.done()
    assert await store.read(lambda tx: tx.paused()) == MOVING
    await store.transact(lambda tx: tx.release("w"))
    assert (await errand)["events"] == 28


def test_what_cannot_be_is_said_at_once(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a Postgres"):
        move(store, tmp_path).check("mysql://x")
    with pytest.raises(Conflict, match="told its database at its start"):
        move(store, tmp_path, given="sqlite:///x").check("postgresql://x/y")
    with pytest.raises(Conflict, match="on Postgres already"):
        move(store, tmp_path, given="postgresql://x/y").check("postgresql://x/z")


async def test_two_errands_at_once_are_refused() -> None:
    installation = Installation()
    gate = asyncio.Event()

    async def work(say: object) -> dict[str, object]:
        await gate.wait()
        return {}

    installation.begin("migrate", work)
    with pytest.raises(Conflict, match="migrate is under way"):
        installation.begin("backup", work)
    await installation.close()
