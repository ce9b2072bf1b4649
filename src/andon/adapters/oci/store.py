"""The ArtifactStore over an image layout."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from andon.adapters.filetree import fsync_folder, locked_if_free, making, settle, work_tree
from andon.adapters.oci.layout import (
    ARTIFACT,
    CONFIG,
    LAYER,
    MANIFEST,
    SERVICE,
    Layout,
    descriptor,
)
from andon.adapters.oci.pack import members, write_tar
from andon.adapters.oci.unpack import extract
from andon.api.v1.actions import ArtifactPacked, Intent, PackArtifact
from andon.kernel.digest import short
from andon.kernel.errors import NotFound, StepFailed, Unavailable, UsageError
from andon.ports import Source

_PATIENCE_SECONDS = 2.0


class OciArtifactStore:
    """Packs work trees and unpacks artifacts; an artifact's identity is its uncompressed layer.

    Args:
        layout: Folder of the image layout.
        source: Checks out commits of artifacts that need no job.
        work: Folder of the jobs' work trees (``andon.adapters.filetree.work_tree``).
    """

    def __init__(self, layout: Path, source: Source, work: Path) -> None:
        self._layout = Layout(layout)
        self._source = source
        self._work = work

    async def pack_artifact(self, action: PackArtifact, intent: Intent) -> ArtifactPacked:
        """Pack a work tree's folder; the same key finds what it packed before.

        Raises:
            StepFailed: The build left nothing there, or what cannot be packed.
            NotFound: The job's work tree is gone.
            Unavailable: The machine cannot write it.
        """
        return await asyncio.to_thread(self._pack_once, action, intent)

    def unpack(self, digest: str, into: Path) -> None:
        """Write an artifact's files into an empty folder, having verified the digest.

        Raises:
            NotFound: No such artifact.
            Untrusted: Its content does not match its digest, or reaches outside of the folder.
        """
        with (
            _machine_at_fault(f"The artifact {short(digest)} cannot be unpacked"),
            self._unpacked(digest, into) as made,
        ):
            made.rename(into)  # replaces an empty folder, and no other

    def ensure_unpacked(self, digest: str, artifacts: Path) -> Path:
        """Return the folder of an unpacked artifact, unpacking it first if need be.

        The folder appears by rename when all of it is durable, and is never replaced: a worker that
        was stopped half-way takes nothing away from what runs there when it goes on. The empty file
        ``<hex>.complete`` beside it tells the agent.
        """
        self._layout.blob(digest)
        digits = digest.removeprefix("sha256:")
        folder, marker = artifacts / digits, artifacts / f"{digits}.complete"
        if folder.is_dir() and marker.exists():
            return folder
        with (
            _machine_at_fault(f"The artifact {short(digest)} cannot be unpacked"),
            locked_if_free(artifacts / f"{digits}.lock", _PATIENCE_SECONDS),
        ):
            if not folder.is_dir():
                with self._unpacked(digest, folder) as made:
                    _seal(made)
                    settle(made, folder)
            fsync_folder(artifacts)
            marker.touch()
        return folder

    @contextmanager
    def _unpacked(self, digest: str, place: Path) -> Iterator[Path]:
        """Unpack an artifact beside the place that it is to take."""
        layer = self._layout.blob(digest)
        if digest not in self.digests() or not layer.exists():
            raise NotFound(
                f"There is no artifact {short(digest)} in {self._layout.folder}",
                hint="ship the change again to build it",
            )
        with making(place) as made:
            extract(layer, digest, made)
            yield made

    def digests(self) -> frozenset[str]:
        """Return the identities of all artifacts."""
        return frozenset(
            manifest.get("annotations", {}).get(ARTIFACT, "")
            for manifest in self._layout.manifests()
        ) - {""}

    def _pack_once(self, action: PackArtifact, intent: Intent) -> ArtifactPacked:
        receipt = sha256(intent.key.encode()).hexdigest()
        packed = self._layout.noted(receipt)
        if packed is not None:
            return msgspec.convert(packed, ArtifactPacked)
        with _machine_at_fault(f"{action.service} cannot be packed"):
            self._layout.sweep()
            with self._tree(action) as tree:
                outcome = self._pack(action, _folder(tree, action.path))
            self._layout.note(receipt, msgspec.to_builtins(outcome))
        return outcome

    @contextmanager
    def _tree(self, action: PackArtifact) -> Iterator[Path]:
        if action.job_key:
            tree = work_tree(self._work, action.job_key)
            if not tree.is_dir():
                raise NotFound(
                    f"The work tree of job {action.job_key} is gone: somebody deleted it",
                    hint="andon ship runs the job again",
                )
            yield tree
            return
        with making(self._work / "checkout") as made:
            self._source.checkout(action.repository, action.sha, made)
            yield made

    def _pack(self, action: PackArtifact, folder: Path) -> ArtifactPacked:
        root = os.fsencode(folder)
        listed = members(root)
        files = sum(member.kind != b"5" for member in listed)
        if not files:
            raise _nothing(action.path)
        digest, size_bytes = self._layout.put(lambda sink: write_tar(root, listed, sink))
        self._layout.add(self._manifest(action.service, digest, size_bytes))
        return ArtifactPacked(
            digest=digest,
            size_bytes=size_bytes,
            files=files,
            purl=f"pkg:oci/{action.service}@{digest.replace(':', '%3A')}",
        )

    def _manifest(self, service: str, digest: str, size_bytes: int) -> dict[str, Any]:
        """Write configuration and manifest, equal on every machine; return the index's entry."""
        config = {
            "architecture": "unknown",  # what is inside is the build's own affair
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._layout.put_json(CONFIG, config),
            "layers": [descriptor(LAYER, digest, size_bytes)],
            "annotations": {"org.opencontainers.image.title": service},
        }
        names = {
            "org.opencontainers.image.ref.name": f"{service}-{short(digest)}",
            ARTIFACT: digest,
            SERVICE: service,
        }
        return self._layout.put_json(MANIFEST, manifest) | {"annotations": names}


def _folder(tree: Path, path: str) -> Path:
    """Return the folder to pack; it lies inside the tree, links followed."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise UsageError(
            f"{path!r} does not lie inside the work tree", hint="give a path relative to its root"
        )
    folder = (tree / path).resolve()
    if not folder.is_relative_to(tree.resolve()):
        raise StepFailed(f"{path} is a link that leads outside of the work tree")
    if not folder.exists():
        raise _nothing(path)
    if not folder.is_dir():
        raise StepFailed(
            f"{path} is a file; a folder is packed", hint=f"put it into a folder {path}/"
        )
    return folder


def _nothing(path: str) -> StepFailed:
    return StepFailed(
        f"The build left nothing at {path}: the folder is missing or empty",
        hint="correct the job that makes it, or the service's artifact.path",
    )


@contextmanager
def _machine_at_fault(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        raise Unavailable(f"{what}: {error.strerror}{where}", hint="andon doctor") from error


def _seal(folder: Path) -> None:
    """Make files read-only, as several replicas share them, and all of it durable."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                _seal_file(path)
        fsync_folder(Path(place))


def _seal_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, os.fstat(descriptor).st_mode & 0o555)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
