"""Puts a backup into an empty place; what it makes is paused until a person has looked at the world."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from andon.adapters.filetree import fsync_folder
from andon.adapters.git import bare_bundle
from andon.adapters.oci.layout import ARTIFACT, SERVICE, HashingWriter, Layout
from andon.app.access.returning import reopen
from andon.app.home import SETTING as HOME
from andon.app.installation import Json, Say
from andon.app.place import choose_database, database_of, without_password
from andon.app.upkeep.archive import Manifest, Reader, reading
from andon.app.upkeep.backup import DESIRED, PLAIN_FOLDERS, WITNESS, summary
from andon.domains.line import events
from andon.kernel.clock import Clock, rfc3339
from andon.kernel.errors import Conflict, Untrusted
from andon.ports.store import Tx
from andon.store import dialect_of, open_store
from andon.store.copying import ORIGIN, expect_room, fill, snapshot, tables
from andon.store.schema import VERSION

RESTORED = "restored"
"""Setting of an installation that nobody has compared with the world yet: when the copy was made."""
_PLAIN_NAME = re.compile(r"(ledger|blobs)(/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}){1,3}")


def restore(path: Path, state: Path, given: str, clock: Clock, say: Say) -> Json:
    """Restore a backup; nothing runs on that state folder, and its database is empty.

    Everything is checked before anything is used. Sessions of the copy end; users and tokens count as
    they did then, and are told. What is in the state folder and not older than the
    copy (the desired state, artifacts, what the agent runs) is left alone.

    Args:
        path: The backup.
        state: The state folder; made and held by the caller.
        given: Address of the database; empty: as the state folder says, else a file in it.
        clock: The time.
        say: Told how far it is.

    Raises:
        Conflict: The database is not empty, a key differs, or the backup is of another schema.
        Untrusted: The backup was altered.
    """
    with reading(path) as archive:
        say("checks every digest")
        archive.verify()
        _expect_version(archive.manifest)
        plain = _plain(archive, state)
        url = database_of(state, given)
        expect_room(dialect_of(url), _origin(archive.manifest))
        say("restores the desired state, keys and artifacts")
        desired = _restore_desired(archive, state)
        _write_plain(archive, plain)
        artifacts = _restore_artifacts(archive, state)
        say(f"restores the database into {without_password(url)}")
        access = _restore_database(archive, url, clock)
        _remember_newest(state, url)
        if given:
            choose_database(state, given)
        return {
            **summary(path, archive.manifest),
            "database": without_password(url),
            "desiredState": desired,
            "restoredArtifacts": artifacts,
            "paused": _reason(archive.manifest),
            **access,
        }


def _expect_version(manifest: Manifest) -> None:
    if manifest.schema != VERSION:
        raise Conflict(
            f"the backup has schema {manifest.schema}, this program {VERSION}",
            hint=f"restore it with andon {manifest.andon}, then start this one on what that made",
        )
    known = {table.name for table in tables()}
    if set(manifest.rows) != known:
        raise Untrusted("the backup's tables are not those of its schema")


# --- files ----------------------------------------------------------------------------------------


def _plain(archive: Reader, state: Path) -> dict[str, Path]:
    """Return where keys and other plain files belong; those there already must be the same."""
    found = {}
    for name in (name for folder in PLAIN_FOLDERS for name in archive.names(folder)):
        if not _PLAIN_NAME.fullmatch(name) or ".." in name:
            raise Untrusted(f"the backup holds a file called {name!r}")
        place = state / name
        if not place.exists():
            found[name] = place
        elif place.read_bytes() != b"".join(archive.chunks(name)):
            raise Conflict(
                f"{place} is another than in the backup", hint="use an empty state folder"
            )
    return found


def _write_plain(archive: Reader, plain: dict[str, Path]) -> None:
    for name, place in plain.items():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = place.with_name(f".{place.name}.new")
        new.unlink(missing_ok=True)
        _write(new, archive.chunks(name))
        new.rename(place)
        fsync_folder(place.parent)


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(number, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _restore_desired(archive: Reader, state: Path) -> str:
    head, repository = archive.manifest.desired, state / "desired.git"
    if not head:
        return "empty"
    if bare_bundle.head(repository):
        return "kept" if bare_bundle.holds(repository, head) else "kept, and of another history"
    with tempfile.TemporaryDirectory(dir=state, prefix=".restore-") as folder:
        bundle = Path(folder) / DESIRED
        _write(bundle, archive.chunks(DESIRED))
        if bare_bundle.head_of(bundle) != head:
            raise Untrusted("the desired state in the backup is not what its manifest says")
        bare_bundle.restore(bundle, repository)
    return "restored"


def _restore_artifacts(archive: Reader, state: Path) -> int:
    """Put blobs by the digest of their content, and their manifests into the index."""
    names = archive.names("artifacts")
    if not names:
        return 0
    layout = Layout(state / "oci")
    for name in names:
        if name == "artifacts/index.json":
            continue
        wanted = f"sha256:{name.removeprefix('artifacts/')}"
        if layout.blob(wanted).exists():
            continue
        layout.put(partial(_pour, archive.chunks(name)))
        if not layout.blob(wanted).exists():
            raise Untrusted(f"{name} in the backup has another digest than its name")
    try:
        listed = list(json.loads(b"".join(archive.chunks("artifacts/index.json"))))
    except (ValueError, TypeError, RecursionError) as error:
        raise Untrusted(f"the backup's list of artifacts cannot be read: {error!r}") from None
    for manifest in listed:
        layout.add(_manifest(layout, manifest))
    return len(listed)


def _pour(chunks: Iterator[bytes], sink: HashingWriter) -> None:
    for chunk in chunks:
        sink.write(chunk)


def _manifest(layout: Layout, manifest: Any) -> dict[str, Any]:
    try:
        known: dict[str, Any] = {
            "mediaType": str(manifest["mediaType"]),
            "digest": str(manifest["digest"]),
            "size": int(manifest["size"]),
            "annotations": {str(key): str(value) for key, value in manifest["annotations"].items()},
        }
        complete = all(layout.blob(one).exists() for one in layout.blobs_of(known))
        named = {ARTIFACT, SERVICE} <= set(known["annotations"])
    except (LookupError, TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
        raise Untrusted(f"the backup's list of artifacts cannot be read: {error!r}") from None
    if not complete or not named:
        raise Untrusted(f"the backup lacks parts of the artifact {known['digest']}")
    return known


# --- the database ---------------------------------------------------------------------------------


def _restore_database(archive: Reader, url: str, clock: Clock) -> Json:
    """Fill the database; return who comes in by what the copy says."""
    manifest = archive.manifest
    access: Json = {}

    def settle(tx: Tx) -> None:
        now = clock.now()
        access.update(reopen(tx, now))
        _settle(tx, manifest, access["endedSessions"], now)

    fill(
        dialect_of(url),
        ((table, archive.rows(table)) for table in tables()),
        source=manifest.source,
        token=manifest.token,
        origin=_origin(manifest),
        settle=settle,
    )
    return access


def _remember_newest(state: Path, url: str) -> None:
    """Let the witness outside the database be of the copy; the one it replaces is kept beside it."""
    witness = state / WITNESS
    store = open_store(url, source="")
    try:
        with snapshot(store) as seen:
            newest = seen.tx.checkpoints(newest=1)
    finally:
        store.close()
    if witness.exists():
        witness.rename(witness.with_name(f"{witness.name}.replaced"))
    if newest:
        witness.parent.mkdir(mode=0o700, exist_ok=True)
        witness.with_name(".newest.new").unlink(missing_ok=True)
        _write(witness.with_name(".newest.new"), iter([msgspec.json.encode(newest[0])]))
        witness.with_name(".newest.new").rename(witness)
        fsync_folder(witness.parent)


def _origin(manifest: Manifest) -> str:
    return f"backup/{manifest.made_at!r}"


def _reason(manifest: Manifest) -> str:
    return f"restored from a copy of {rfc3339(manifest.made_at)}, not compared with the world yet"


def _settle(tx: Tx, manifest: Manifest, ended_sessions: int, now: float) -> None:
    tx.put_setting(HOME, "")
    tx.put_setting(ORIGIN, "")
    tx.put_setting(RESTORED, repr(manifest.made_at))
    tx.pause(_reason(manifest))
    tx.append(
        events.extension(
            "installation",
            "restored",
            id=f"installation/restored/{now:.6f}",
            stream="org",
            about="andon",
            data={
                "copyOf": rfc3339(manifest.made_at),
                "events": manifest.events,
                "endedSessions": ended_sessions,
            },
        ),
        now,
    )
