"""An OCI image layout on disk (image-spec 1.1): blobs by digest, and an index replaced atomically."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from andon.adapters.filetree import fsync_folder, locked
from andon.kernel.digest import canonical_json
from andon.kernel.errors import UsageError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARTIFACT = "dev.andon.artifact"
SERVICE = "dev.andon.service"


class HashingWriter:
    """Writes a file and hashes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)

    @property
    def digest(self) -> str:
        """Digest of what was written."""
        return f"sha256:{self._hash.hexdigest()}"


def descriptor(media_type: str, digest: str, size_bytes: int) -> dict[str, Any]:
    """Return a content descriptor."""
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}


class Layout:
    """The folder. Its files appear by rename only; what a killed process left is swept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._incoming = folder / ".incoming"

    def blob(self, digest: str) -> Path:
        """Return where a blob lies, or would.

        Raises:
            UsageError: That is not a digest.
        """
        algorithm, _, digits = digest.partition(":")
        if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise UsageError(f"{digest!r} is not a digest: sha256: and 64 hex digits")
        return self._blobs / digits

    def put(self, write: Callable[[HashingWriter], None]) -> tuple[str, int]:
        """Store what ``write`` writes; return its digest and size in bytes."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        with self._new_file() as (file, path):
            writer = HashingWriter(file)
            write(writer)
            _settle(file, path, self.blob(writer.digest))
        return writer.digest, writer.size_bytes

    def put_json(self, media_type: str, value: Any) -> dict[str, Any]:
        """Store a document; return its descriptor."""
        data = canonical_json(value)
        return descriptor(media_type, *self.put(lambda writer: writer.write(data)))

    def manifests(self) -> list[dict[str, Any]]:
        """Return the index's descriptors."""
        try:
            index = json.loads((self.folder / "index.json").read_bytes())
        except FileNotFoundError:
            return []
        found: list[dict[str, Any]] = index["manifests"]
        return found

    def blobs_of(self, manifest: dict[str, Any]) -> list[str]:
        """Return the digests of a manifest and all it names."""
        body = json.loads(self.blob(manifest["digest"]).read_bytes())
        parts = [body["config"], *body["layers"]]
        return [manifest["digest"], *(one["digest"] for one in parts)]

    def add(self, manifest: dict[str, Any]) -> None:
        """Put a manifest into the index; once, however often it is asked."""
        with locked(self.folder / ".lock"):
            listed = self.manifests()
            if manifest in listed:
                return
            self._replace("oci-layout", {"imageLayoutVersion": "1.0.0"})
            listed.append(manifest)
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
            self._replace("index.json", index)

    def note(self, name: str, value: Any) -> None:
        """Write a small durable file beside the layout's own."""
        (self.folder / "receipts").mkdir(parents=True, exist_ok=True)
        self._replace(f"receipts/{name}", value)

    def noted(self, name: str) -> Any:
        """Read such a file; None if there is none."""
        try:
            return json.loads((self.folder / "receipts" / name).read_bytes())
        except FileNotFoundError:
            return None

    def sweep(self) -> None:
        """Remove half-written files whose writer is gone (it would still hold their lock)."""
        with locked(self.folder / ".incoming.lock"):
            for path in self._incoming.glob("*"):
                if _is_abandoned(path):
                    path.unlink(missing_ok=True)

    def _replace(self, name: str, value: Any) -> None:
        with self._new_file() as (file, path):
            file.write(canonical_json(value))
            _settle(file, path, self.folder / name)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._incoming.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".incoming.lock"):  # a sweep sees it with its own lock only
            number, name = tempfile.mkstemp(dir=self._incoming)
            fcntl.flock(number, fcntl.LOCK_EX)
        try:
            with os.fdopen(number, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


def _settle(file: BinaryIO, path: Path, place: Path) -> None:
    """Make a finished file durable, then visible."""
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())
    path.rename(place)
    fsync_folder(place.parent)


def _is_abandoned(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
