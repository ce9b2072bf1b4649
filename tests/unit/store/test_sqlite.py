"""What only a file can do: be private, be reopened, be too new, be damaged."""

import sqlite3
from pathlib import Path

import pytest

from andon.kernel.errors import Conflict, InternalError, Unavailable
from andon.store import open_store, verify_ledger
from andon.store.schema import VERSION
from andon.store.verification import ERASED
from andon.testing.store_objects_suite import NOTICES, NOW, appending, event, hold, notice, write

SOURCE = "/andon/test"


async def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    store = open_store(str(path), source=SOURCE)
    await store.transact(appending(event("a")))
    modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("control.db", "control.db-wal", "control.db-shm"), 0o600)
    store.close()


async def test_reopened_file_has_everything(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path / 'control.db'}"
    store = open_store(url, source=SOURCE)
    before = await write(
        store,
        ("create", (hold("a", state="active"), "u1", NOW)),
        ("ask", ("u1", notice("k"), 1, NOW, NOTICES)),
        ("append", (event("a"), NOW)),
        ("wake", ("Hold", "a", NOW)),
        ("acquire", ("line", "host-1", NOW, 15.0)),
        ("put_setting", ("k", "v")),
    )
    store.close()
    again = open_store(url, source=SOURCE)
    assert await again.read(lambda tx: tx.get("Hold", "a")) == before[0][0]
    assert [one.row.key for one in await again.read(lambda tx: tx.unfinished())] == ["k"]
    assert await again.read(lambda tx: (tx.last_seq(), tx.get_setting("k"))) == (1, "v")
    assert await again.read(lambda tx: tx.next_due()) == NOW
    # The chain goes on where it ended, and a token is never given twice.
    assert await again.transact(appending(event("b"))) == [2]
    assert await write(again, ("acquire", ("line", "host-1", NOW, 15.0))) == [2]
    assert (await again.read(verify_ledger)).findings == ()
    again.close()


def test_commits_reach_the_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    from andon.store.sqlite import Sqlite

    dialect = Sqlite(tmp_path / "control.db")
    connection = dialect.connect(write=True)
    full = 2
    assert connection.run("PRAGMA synchronous") == [(full,)]
    assert connection.run("PRAGMA journal_mode") == [("wal",)]
    connection.close()


def test_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    open_store(str(path), source=SOURCE).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(Conflict, match="newer Andon") as caught:
        open_store(str(path), source=SOURCE)
    assert "install the newer version" in caught.value.hint


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    path.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(InternalError, match="not a database"):
        open_store(str(path), source=SOURCE)
    assert path.read_bytes().startswith(b"certainly")


def test_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file") as caught:
        open_store(str(tmp_path / "none" / "control.db"), source=SOURCE)
    assert "andon doctor" in caught.value.hint


async def test_erased_body_is_seen_and_the_chain_still_proves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    store = open_store(str(path), source=SOURCE)
    await store.transact(appending(*(event(str(n)) for n in range(5))))
    with sqlite3.connect(path) as other:
        other.execute("UPDATE event SET body = x'' WHERE seq = 3")
    found = await store.read(verify_ledger)
    assert (found.events, found.erased) == (5, 1)
    assert [one.what for one in found.findings] == [
        "its body was taken out, and no event says by whom and why"
    ]
    await store.transact(appending(event("said", stream="ledger", type=ERASED, subject="2")))
    found = await store.read(verify_ledger)
    assert (found.events, found.erased, found.findings) == (6, 1, ())
    # What is left of an erased event is still covered.
    with other:
        other.execute("UPDATE event SET subject = 'cart' WHERE seq = 3")
    other.close()
    (finding,) = (await store.read(verify_ledger)).findings
    assert (finding.seq, finding.what) == (3, "its hash does not fit")
    store.close()


@pytest.mark.parametrize(
    "sabotage",
    [
        "UPDATE event SET body = replace(body, 'shop', 'cart') WHERE seq = 3",
        "UPDATE event SET body = CAST(replace(body, 'shop', 'cart') AS BLOB) WHERE seq = 3",
        "UPDATE event SET n = 'three' WHERE seq = 3",
        "UPDATE event SET subject = x'00' WHERE seq = 3",
        "UPDATE event SET time = 'now' WHERE seq = 3",
        "DELETE FROM event WHERE seq = 3",
        "DELETE FROM event WHERE seq = 5",
        "DELETE FROM event",
        "UPDATE event SET seq = 99 WHERE seq = 5",
        "UPDATE event SET time = time + 1 WHERE seq = 2",
        "UPDATE event SET stream = 'org', n = 1 WHERE seq = 5",
        "UPDATE head SET n = 4 WHERE stream = 'env/prod'",
        "DELETE FROM head WHERE stream = 'env/prod'",
    ],
)
async def test_sabotage_by_sql_is_found(tmp_path: Path, sabotage: str) -> None:
    path = tmp_path / "control.db"
    store = open_store(str(path), source=SOURCE)
    await store.transact(appending(*(event(str(n)) for n in range(5))))
    with sqlite3.connect(path) as other:
        assert other.execute(sabotage).rowcount >= 1
    other.close()
    assert (await store.read(verify_ledger)).findings
    store.close()


async def test_ledger_longer_than_a_page_is_verified_as_a_whole(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "control.db"), source=SOURCE)
    count = 2_500
    await store.transact(
        appending(*(event(str(n), stream=f"env/{n % 3}", data={"n": n}) for n in range(count)))
    )
    found = await store.read(verify_ledger)
    assert (found.events, found.streams, found.findings) == (count, 3, ())
    store.close()
