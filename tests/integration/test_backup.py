"""Backups on real databases and git: either engine into either, and archives that somebody has altered."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from andon.adapters.git import GitDesiredState
from andon.adapters.git.bare_bundle import head
from andon.adapters.oci.layout import ARTIFACT, SERVICE, Layout
from andon.api.v1.access import SessionSpec, TokenSpec, TokenStatus, UserSpec, UserStatus
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.installation import SecretsKeySpec
from andon.api.v1.records import Empty
from andon.app.events.addresses import Addresses
from andon.app.place import choose_database, database_of
from andon.app.secrets.safe import Vault, open_safe
from andon.app.upkeep.archive import reading
from andon.app.upkeep.backup import back_up, needed_artifacts, verify_backup
from andon.app.upkeep.restore import restore
from andon.kernel.errors import AndonError, Conflict, Unavailable, Untrusted, UsageError
from andon.ports.store import Store, Tx
from andon.ports.store.outbox import Subscriber, Subscription
from andon.runtime.system import SystemRandomness
from andon.store import open_store, verify_ledger
from andon.testing.clock import FakeClock
from andon.testing.desired_suite import ONE, TWO, by, writing
from andon.testing.postgres import PostgresServer

SOURCE = "/andon/test"
STORY = Path(__file__).parents[1] / "unit/store/schema_1.sql"
CLOCK = FakeClock(1_700_003_000.0)
WEBHOOK = "https://hooks.example.com/in-the-path"
SIGNING = "whsec_" + "A" * 44


def quiet(text: str) -> None:
    """Say nothing."""


def addresses_of(state: Path) -> Addresses:
    """Return what seals addresses, as after a start."""
    return Addresses(Vault(open_safe(SecretsKeySpec(), state, SystemRandomness())))


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """An installation with a living story, a desired state, keys and an artifact."""
    state = tmp_path / "state"
    (state / "ledger").mkdir(parents=True)
    (state / "ledger/key.pem").write_text("a secret")
    connection = sqlite3.connect(state / "control.db")
    connection.executescript(f"BEGIN; {STORY.read_text()} COMMIT; PRAGMA user_version=1;")
    connection.close()
    desired = GitDesiredState(state / "desired.git", CLOCK)
    await desired.write_desired(writing(ONE), by("1"))
    return state


@pytest.fixture
def store(state: Path) -> Iterator[Store]:
    opened = open_store(str(state / "control.db"), source=SOURCE)
    yield opened
    opened.close()


@pytest.fixture
def copy(state: Path, store: Store, tmp_path: Path) -> Path:
    file = tmp_path / "copy.andon"
    back_up(store, state, file, artifacts=True, clock=CLOCK, say=quiet)
    return file


def put_back(copy: Path, into: Path, url: str = "") -> dict[str, Any]:
    into.mkdir(exist_ok=True)
    return restore(copy, into, url, CLOCK, quiet)


async def paused(url: str) -> tuple[str, tuple[Any, ...]]:
    opened = open_store(url, source=SOURCE)
    try:
        found = await opened.read(verify_ledger)
        return await opened.read(lambda tx: tx.paused()), found.findings
    finally:
        opened.close()


# --- there and back -------------------------------------------------------------------------------


async def test_restored_copy_is_whole_private_and_paused(copy: Path, tmp_path: Path) -> None:
    assert copy.stat().st_mode & 0o777 == 0o600
    said = verify_backup(copy)
    assert (said["events"], said["keys"], said["engine"]) == (28, ["key.pem"], "sqlite")
    elsewhere = tmp_path / "elsewhere"
    put_back(copy, elsewhere)
    reason, findings = await paused(str(elsewhere / "control.db"))
    assert reason.startswith("restored from a copy of 2023-11-14T")
    assert findings == ()
    assert (elsewhere / "ledger/key.pem").read_text() == "a secret"
    assert (elsewhere / "ledger/key.pem").stat().st_mode & 0o777 == 0o600
    assert GitDesiredState(elsewhere / "desired.git", CLOCK).read("prod") == {"shop": ONE}


async def test_restored_copy_ends_sessions_and_tells_who_comes_in(
    state: Path, store: Store, tmp_path: Path
) -> None:
    def fill(tx: Tx) -> None:
        live = TokenSpec(digest="d" * 64, expires_at=CLOCK.now() + 60)
        token = TokenStatus()
        for kind, name, spec, status in (
            ("User", "ann", UserSpec(), UserStatus()),
            ("User", "bob", UserSpec(disabled=True), UserStatus()),
            ("Token", "ci", live, token),
            ("Token", "gone", live, TokenStatus(revoked_at=1.0)),
            ("Token", "old", replace(live, expires_at=1.0), token),
            ("Token", "admin", replace(live, expires_at=0), token),
            ("Session", "a" * 64, SessionSpec(csrf="c", user="ann", expires_at=2e9), Empty()),
        ):
            new = NewObject(kind=kind, name=name, spec=spec, status=status)
            tx.create(new, f"uid-{kind}-{name}", CLOCK.now())

    await store.transact(fill)
    copy, elsewhere = tmp_path / "copy.andon", tmp_path / "elsewhere"
    back_up(store, state, copy, artifacts=False, clock=CLOCK, say=quiet)
    said = put_back(copy, elsewhere)
    assert (said["endedSessions"], said["users"], said["tokens"]) == (1, ["ann"], ["ci"])
    opened = open_store(str(elsewhere / "control.db"), source=SOURCE)
    try:
        assert await opened.read(lambda tx: tx.list(Selector(kind="Session"))) == []
    finally:
        opened.close()


async def test_witness_outside_the_database_is_of_the_copy(
    copy: Path, state: Path, store: Store
) -> None:
    (state / "ledger/newest.json").write_text("of later")
    store.close()
    for file in state.glob("control.db*"):
        file.unlink()
    put_back(copy, state)
    assert not (state / "ledger/newest.json").exists()
    assert (state / "ledger/newest.json.replaced").read_text() == "of later"
    assert "ledger/newest.json" not in json.dumps(verify_backup(copy))


@pytest.mark.postgres
async def test_copy_of_either_engine_restores_into_the_other(
    copy: Path, tmp_path: Path, server: PostgresServer
) -> None:
    url, there, back = server.new_schema(), tmp_path / "there", tmp_path / "back"
    put_back(copy, there, url)
    assert database_of(there, "") == url
    assert (await paused(url))[1] == ()
    opened = open_store(url, source=SOURCE)
    second = tmp_path / "second.andon"
    said = back_up(opened, there, second, artifacts=True, clock=CLOCK, say=quiet)
    opened.close()
    assert (said["engine"], said["events"]) == ("postgresql", 29)
    put_back(second, back)
    assert (await paused(str(back / "control.db")))[1] == ()


@pytest.mark.postgres
async def test_sealed_addresses_travel_with_the_database_and_the_key_does_not(
    state: Path, store: Store, tmp_path: Path, server: PostgresServer
) -> None:
    spec, url = Subscription(name="hook", url=WEBHOOK), server.new_schema()

    def put(tx: Tx) -> None:
        kept = addresses_of(state).keep(tx, spec, WEBHOOK, (SIGNING,))
        tx.put_subscriber(Subscriber(spec=kept, cursor=tx.last_seq()))

    await store.transact(put)
    file = tmp_path / "sealed.andon"
    back_up(store, state, file, artifacts=True, clock=CLOCK, say=quiet)
    held = file.read_bytes()
    assert b"sealed:vault/subscription/hook" in held
    assert (b"in-the-path" in held, SIGNING.encode() in held) == (False, False)
    for place, into in (("there", url), ("back", "")):
        elsewhere = tmp_path / place
        put_back(file, elsewhere, into)
        opened = open_store(into or str(elsewhere / "control.db"), source=SOURCE)
        found = await opened.read(lambda tx: tx.subscriber("hook"))
        assert found is not None
        spec = found.spec
        kept = await opened.read(lambda tx, spec=spec: addresses_of(state).look(tx, spec))
        opened.close()
        with pytest.raises(Unavailable, match=r"its address cannot be opened: .* is missing"):
            addresses_of(elsewhere).open(kept)
        shutil.copy(state / "secrets.key", elsewhere)
        receiver = addresses_of(elsewhere).open(kept)
        assert (receiver.url, receiver.secrets) == (WEBHOOK, (SIGNING,))


async def test_desired_state_that_went_on_is_kept(copy: Path, state: Path) -> None:
    desired = GitDesiredState(state / "desired.git", CLOCK)
    await desired.write_desired(writing(TWO, ONE), by("2"))
    newer = head(state / "desired.git")
    for file in state.glob("control.db*"):
        file.unlink()
    assert put_back(copy, state)["desiredState"] == "kept"
    assert head(state / "desired.git") == newer


def test_place_that_holds_something_is_refused_before_anything_is_written(
    copy: Path, state: Path, tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="not empty"):
        put_back(copy, state)
    other = tmp_path / "other"
    (other / "ledger").mkdir(parents=True)
    (other / "ledger/key.pem").write_text("another secret")
    with pytest.raises(Conflict, match="another than in the backup"):
        put_back(copy, other)
    assert not (other / "desired.git").exists()
    assert not (other / "control.db").exists()


async def test_artifacts_that_run_are_in_it_unless_left_out(
    state: Path, store: Store, tmp_path: Path
) -> None:
    (wanted, *_) = await store.read(lambda tx: sorted(needed_artifacts(tx)))
    layout = Layout(state / "oci")
    layer, size = layout.put(lambda sink: sink.write(b"content"))
    manifest = {"config": layout.put_json("c", {}), "layers": [{"digest": layer, "size": size}]}
    names = {ARTIFACT: wanted, SERVICE: "web"}
    layout.add(layout.put_json("m", manifest) | {"annotations": names})
    full, thin = tmp_path / "full", tmp_path / "thin"
    said = back_up(store, state, full, artifacts=True, clock=CLOCK, say=quiet)
    assert said["artifacts"] == [wanted]
    assert wanted in back_up(store, state, thin, artifacts=False, clock=CLOCK, say=quiet)["leftOut"]
    elsewhere = tmp_path / "elsewhere"
    assert put_back(full, elsewhere)["restoredArtifacts"] == 1
    assert Layout(elsewhere / "oci").blob(layer).read_bytes() == b"content"


def test_broken_ledger_is_not_copied(state: Path, store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(state / "control.db") as other:
        other.execute("UPDATE event SET subject = 'cart' WHERE seq = 3")
    other.close()
    with pytest.raises(Untrusted, match="does not verify"):
        back_up(store, state, tmp_path / "copy", artifacts=True, clock=CLOCK, say=quiet)
    assert list(tmp_path.glob("*copy*")) == []


# --- somebody altered it --------------------------------------------------------------------------

Members = dict[str, tuple[tarfile.TarInfo, bytes]]


def altered(copy: Path, change: Callable[[Members], None], *, honest: bool) -> Path:
    """Write an archive again with a change; ``honest``: the manifest says it, too."""
    members: Members = {}
    with tarfile.open(copy) as tar:
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            members[info.name] = (info, file.read())
    change(members)
    if honest:
        manifest = json.loads(members["manifest.json"][1])
        manifest["members"] = {
            name: {"sizeBytes": len(data), "sha256": _sha256(data)}
            for name, (_, data) in members.items()
            if name != "manifest.json"
        }
        put(members, "manifest.json", json.dumps(manifest).encode())
    other = copy.with_name("altered")
    with tarfile.open(other, "w") as tar:
        for info, data in members.values():
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return other


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def put(members: Members, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    members[name] = (info, data)


def link(members: Members) -> None:
    info = tarfile.TarInfo("keys/link")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members["keys/link"] = (info, b"")


def one_byte(members: Members) -> None:
    data = members["database/event.jsonl"][1]
    put(members, "database/event.jsonl", data.replace(b"shop", b"cart", 1))


def one_row_less(members: Members) -> None:
    data = members["database/event.jsonl"][1]
    put(members, "database/event.jsonl", b"".join(data.splitlines(keepends=True)[:-1]))


def manifest_of_tomorrow(members: Members) -> None:
    data = members["manifest.json"][1]
    put(members, "manifest.json", data.replace(b"andon-backup/1", b"andon-backup/9"))


HOSTILE: list[tuple[Callable[[Members], None], bool, type[AndonError]]] = [
    (link, False, Untrusted),
    (one_byte, False, Untrusted),
    (one_byte, True, Untrusted),
    (one_row_less, True, Untrusted),
    (lambda m: put(m, "ledger/key.pem", b"A SECRET"), False, Untrusted),
    (lambda m: put(m, "extra", b""), False, Untrusted),
    (lambda m: put(m, "ledger/../../outside", b"x"), True, Untrusted),
    (lambda m: put(m, "ledger//absolute", b"x"), True, Untrusted),
    (lambda m: put(m, f"artifacts/{'0' * 64}", b"x"), True, Untrusted),
    (lambda m: put(m, "artifacts/../../outside", b"x"), True, UsageError),
    (lambda m: put(m, "artifacts/index.json", b'[{"digest": 1}]'), True, Untrusted),
    (lambda m: put(m, "desired.bundle", b"no bundle"), True, AndonError),
    (lambda m: put(m, "database/task.jsonl", b'["Run", 1]\n'), True, Untrusted),
    (lambda m: m.pop("database/head.jsonl") and None, False, Untrusted),
    (lambda m: put(m, "manifest.json", b"{}"), False, Untrusted),
    (lambda m: m.pop("manifest.json") and None, False, UsageError),
    (manifest_of_tomorrow, False, Conflict),
]


@pytest.mark.parametrize(("change", "honest", "error"), HOSTILE)
def test_altered_backup_is_refused_and_nothing_of_it_is_used(
    copy: Path,
    tmp_path: Path,
    change: Callable[[Members], None],
    honest: bool,
    error: type[AndonError],
) -> None:
    into = tmp_path / "into"
    with pytest.raises(error):
        put_back(altered(copy, change, honest=honest), into)
    assert not (tmp_path / "outside").exists()
    if (into / "control.db").exists():
        connection = sqlite3.connect(into / "control.db")
        assert connection.execute("SELECT COUNT(*) FROM event").fetchone() == (0,)
        connection.close()


def test_file_that_is_no_backup_is_said_to_be_none(tmp_path: Path, copy: Path) -> None:
    for data in (b"", b"certainly not" * 100, copy.read_bytes()[:2000]):
        (tmp_path / "other").write_bytes(data)
        with pytest.raises((UsageError, Untrusted)), reading(tmp_path / "other"):
            pass
    with pytest.raises(UsageError, match="No such file"), reading(tmp_path / "none"):
        pass


# --- where the database is ------------------------------------------------------------------------


def test_address_given_at_the_start_wins_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert database_of(tmp_path, "") == str(tmp_path / "control.db")
    choose_database(tmp_path, "postgresql://andon:secret@one/andon")
    assert (tmp_path / "database.json").stat().st_mode & 0o777 == 0o600
    assert database_of(tmp_path, "") == "postgresql://andon:secret@one/andon"
    assert caplog.text == ""
    assert database_of(tmp_path, "postgresql://two/andon") == "postgresql://two/andon"
    assert "moved to postgresql://andon@one/andon" in caplog.text
    assert "secret" not in caplog.text
