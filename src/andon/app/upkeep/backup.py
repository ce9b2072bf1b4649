"""Makes a backup of a running installation."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from andon import __version__
from andon.adapters.git import bare_bundle
from andon.adapters.oci.layout import ARTIFACT, Layout
from andon.api.v1.control import Selector
from andon.api.v1.records import TERMINAL, EnvironmentRecordStatus
from andon.app.installation import Json, Say
from andon.app.secrets.safe import KEY
from andon.app.upkeep.archive import FORMAT, MANIFEST, Manifest, Writer, reading, writing
from andon.kernel.clock import Clock
from andon.ports.store import Store, Tx
from andon.store.copying import Snapshot, engine_of, snapshot, tables
from andon.store.schema import VERSION

DESIRED = "desired.bundle"
PLAIN_FOLDERS = ("ledger", "blobs")
"""Folders of the state folder that a restored installation needs as they are: the keys of the ledger,
and segments that were taken out of the database."""
WITNESS = "ledger/newest.json"
"""The newest checkpoint outside the database: a restored one is remembered from its own."""


def back_up(
    store: Store, state: Path, path: Path, *, artifacts: bool, clock: Clock, say: Say
) -> Json:
    """Write a backup; blocks, and disturbs nobody.

    Args:
        store: The database.
        state: The state folder.
        path: The file to make.
        artifacts: Whether artifacts that run or may be gone back to belong in.
        clock: The time.
        say: Told how far it is.

    Raises:
        Conflict: There is such a file.
        Unavailable: It cannot be written.
        Untrusted: The ledger does not verify: a backup of it would only hide that.
    """
    began = time.monotonic()
    with writing(path) as archive, snapshot(store) as seen:
        say("verifies the ledger")
        seen.verify()
        rows = _add_database(archive, seen, say)
        say("adds the desired state, keys and artifacts")
        desired = _add_desired(archive, state)
        _add_plain(archive, state)
        wanted = needed_artifacts(seen.tx)
        layout = Layout(state / "oci")
        added = _add_artifacts(archive, layout, wanted) if artifacts else []
        manifest = Manifest(
            format=FORMAT,
            schema=VERSION,
            andon=__version__,
            made_at=clock.now(),
            source=seen.source,
            engine=engine_of(store),
            token=seen.token,
            rows=rows,
            events=seen.tx.last_seq(),
            desired=desired,
            artifacts=tuple(added),
            left_out=tuple(sorted(wanted - set(added))),
            members=dict(archive.members),
            sealed_by=seen.tx.get_setting(KEY) or "",
        )
        archive.add(MANIFEST, [msgspec.json.format(msgspec.json.encode(manifest))])
    return {**summary(path, manifest), "seconds": round(time.monotonic() - began, 3)}


def verify_backup(path: Path) -> Json:
    """Read all of a backup and hold it against its manifest.

    Raises:
        UsageError: It is none.
        Untrusted: It was altered.
    """
    with reading(path) as archive:
        archive.verify()
        return summary(path, archive.manifest)


def summary(path: Path, manifest: Manifest) -> Json:
    """Show what a backup holds."""
    keys = [name for name in manifest.members if name.startswith("ledger/")]
    return {
        "file": str(path),
        "sizeBytes": path.stat().st_size if path.exists() else 0,
        "madeAt": manifest.made_at,
        "andon": manifest.andon,
        "engine": manifest.engine,
        "events": manifest.events,
        "rows": sum(manifest.rows.values()),
        "desired": manifest.desired,
        "sealedBy": manifest.sealed_by,
        "keys": [name.removeprefix("ledger/") for name in sorted(keys)],
        "artifacts": list(manifest.artifacts),
        "leftOut": list(manifest.left_out),
    }


def needed_artifacts(tx: Tx) -> set[str]:
    """Return the digests of what runs, may be gone back to, or is on its way."""
    runs = tx.list(Selector(kind="Run"), newest_first=True)
    found = {
        run.spec.rollout.version.digest
        for run in runs
        if run.spec.rollout is not None and run.status.phase not in TERMINAL
    }
    for environment in tx.list(Selector(kind="Environment")):
        status: EnvironmentRecordStatus = environment.status
        found |= {version.digest for version in status.services.values()}
        history: dict[str, list[list[str]]] = status.memory.get("history", {})
        names = {name for known in history.values() for name, _ in known}
        for name in names | set(status.previous.values()):
            run = tx.get("Run", name)
            if run is not None and run.spec.rollout is not None:
                found.add(run.spec.rollout.version.digest)
    return found


def _add_database(archive: Writer, seen: Snapshot, say: Say) -> dict[str, int]:
    rows = {}
    for table in tables():
        say(f"copies {table.name}")
        rows[table.name] = archive.add_rows(table, seen.rows(table))
    return rows


def _add_desired(archive: Writer, state: Path) -> str:
    with tempfile.TemporaryDirectory(dir=state, prefix=".backup-") as folder:
        bundle = Path(folder) / DESIRED
        head = bare_bundle.write(state / "desired.git", bundle)
        if head:
            archive.add_file(DESIRED, bundle)
        return head


def _add_plain(archive: Writer, state: Path) -> None:
    for folder in PLAIN_FOLDERS:
        for path in sorted((state / folder).rglob("*")):
            name = path.relative_to(state).as_posix()
            plain = path.is_file() and not path.is_symlink() and not path.name.startswith(".")
            if plain and name != WITNESS:
                archive.add_file(name, path)


def _add_artifacts(archive: Writer, layout: Layout, wanted: set[str]) -> list[str]:
    listed: list[dict[str, Any]] = []
    for manifest in layout.manifests():
        if manifest.get("annotations", {}).get(ARTIFACT) not in wanted:
            continue
        blobs = layout.blobs_of(manifest)
        if not all(layout.blob(one).exists() for one in blobs):
            continue
        listed.append(manifest)
        for digest in blobs:
            name = f"artifacts/{digest.removeprefix('sha256:')}"
            if name not in archive.members:
                archive.add_file(name, layout.blob(digest))
    archive.add("artifacts/index.json", [msgspec.json.encode(listed)])
    return sorted({manifest["annotations"][ARTIFACT] for manifest in listed})
