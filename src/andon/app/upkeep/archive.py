"""A backup: one tar file with a manifest that says what every member is, by size and digest.

What is read from it was written by somebody: names, kinds, sizes and digests are checked before anything
of it is used, and nothing is ever unpacked by the name it has in there.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import GenericAlias
from typing import IO, Any, BinaryIO

import msgspec
from msgspec import Struct

from andon.adapters import tarstream
from andon.adapters.filetree import fsync_folder
from andon.kernel.errors import Conflict, Unavailable, Untrusted, UsageError
from andon.store.copying import Table

FORMAT = "andon-backup/1"
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 64 << 20
MOST_ROW_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
_TYPES: dict[str, Any] = {
    "TEXT": str | None,
    "INTEGER": int | None,
    "REAL": float | None,
    "BLOB": bytes | None,
}
_row = msgspec.json.Encoder()


class Member(Struct, frozen=True, rename="camel"):
    """What a member must be."""

    size_bytes: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds.

    Args:
        format: ``andon-backup/1``.
        schema: Version of the database's schema.
        andon: Version of the program that made it.
        made_at: When, seconds since the Unix epoch.
        source: CloudEvents source of the installation.
        engine: What the database was on; either may take it.
        token: Tokens are drawn above it.
        rows: Number of rows by table.
        events: How many events the ledger has.
        desired: Head of the desired state; empty: none was written yet.
        artifacts: Artifacts that are in it, by digest.
        left_out: Artifacts that run or may be gone back to, and are not in it.
        members: Every other member.
        sealed_by: Name of the key that opens the secrets in it, which is not in it; empty: there are none.
    """

    format: str
    schema: int
    andon: str
    made_at: float
    source: str
    engine: str
    token: int
    rows: dict[str, int]
    events: int
    desired: str
    artifacts: tuple[str, ...]
    left_out: tuple[str, ...]
    members: dict[str, Member]
    sealed_by: str = ""


class Writer:
    """Adds members; each is measured on its way.

    Args:
        tar: The archive.
        folder: Where members are put together.
    """

    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self._folder = folder
        self.members: dict[str, Member] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a member."""
        digest = hashlib.sha256()
        with tempfile.TemporaryFile(dir=self._folder) as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            info = tarfile.TarInfo(name)
            info.size, info.mode = file.tell(), 0o600
            file.seek(0)
            self._tar.addfile(info, file)
        self.members[name] = Member(info.size, digest.hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """Add a file as it is."""
        with path.open("rb") as file:
            self.add(name, iter(lambda: file.read(_CHUNK_BYTES), b""))

    def add_rows(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
        """Add a table, a JSON array a line; how many rows there were."""
        count = 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            for row in rows:
                count += 1
                yield _row.encode(row) + b"\n"

        self.add(f"database/{table.name}.jsonl", lines())
        return count


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Make an archive; it appears whole or not at all, for this user only.

    Raises:
        Conflict: There is a file of that name.
        Unavailable: It cannot be written.
    """
    if path.exists():
        raise Conflict(f"{path} exists, and is not written over", hint="name another file")
    new = ""
    try:
        number, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(number, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield Writer(tar, path.parent)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
        fsync_folder(path.parent)
    except FileExistsError:
        raise Conflict(
            f"{path} exists, and is not written over", hint="name another file"
        ) from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if new:
            Path(new).unlink(missing_ok=True)


class Reader:
    """An archive whose manifest was read; members are checked while they are read.

    Args:
        file: The archive.
        manifest: Its manifest.
        found: Every other member, all of them plain files that the manifest names.
    """

    def __init__(
        self, file: BinaryIO, manifest: Manifest, found: dict[str, tarstream.Member]
    ) -> None:
        self._file = file
        self.manifest = manifest
        self._found = found

    def names(self, folder: str) -> list[str]:
        """Return the members below a folder."""
        return sorted(name for name in self._found if name.startswith(f"{folder}/"))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes.

        Raises:
            Untrusted: They are not what the manifest says; known at the end.
        """
        digest = hashlib.sha256()
        with self._open(name) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
        self._expect(name, digest.hexdigest())

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table.

        Raises:
            Untrusted: They are not what the manifest says, or are no rows of that table.
        """
        name = f"database/{table.name}.jsonl"
        kinds = tuple(_TYPES[type] for _, type in table.columns)
        decoder = msgspec.json.Decoder[tuple[Any, ...]](GenericAlias(tuple, kinds))
        digest = hashlib.sha256()
        with self._open(name) as file:
            while line := file.readline(MOST_ROW_BYTES):
                digest.update(line)
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise Untrusted(
                        f"{name} holds what is no row of {table.name}: {error}"
                    ) from None
        self._expect(name, digest.hexdigest())

    def verify(self) -> None:
        """Read everything once.

        Raises:
            Untrusted: Something is not what the manifest says.
        """
        for name in self._found:
            for _ in self.chunks(name):
                pass

    def _open(self, name: str) -> IO[bytes]:
        found = self._found.get(name)
        if found is None:
            raise Untrusted(f"the backup has no {name}")
        return _opened(self._file, found)

    def _expect(self, name: str, digest: str) -> None:
        if digest != self.manifest.members[name].sha256:
            raise Untrusted(f"{name} in the backup is not what its manifest says: it was altered")


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open an archive and check its manifest against its members.

    Raises:
        UsageError: There is no such file, or it is no backup.
        Untrusted: Its members are not those of the manifest, or no plain files.
    """
    try:
        with path.open("rb") as file:
            found = _plain_members(file, path)
            manifest = _manifest(file, found.pop(MANIFEST, None), path)
            _expect_members(manifest, found)
            yield Reader(file, manifest, found)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: BinaryIO, offset: int, size_bytes: int) -> None:
        self._file, self._at, self._end = file, offset, offset + size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file.fileno(), min(len(buffer), self._end - self._at), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _opened(file: BinaryIO, member: tarstream.Member) -> io.BufferedReader:
    return io.BufferedReader(_Part(file, member.offset, member.size_bytes), _CHUNK_BYTES)


def _plain_members(file: BinaryIO, path: Path) -> dict[str, tarstream.Member]:
    found: dict[str, tarstream.Member] = {}
    size_bytes = os.fstat(file.fileno()).st_size
    members = tarstream.TarStream(file, size_bytes, lambda count: file.seek(count, os.SEEK_CUR))
    try:
        for member in members:
            name = member.name.decode("utf-8", "backslashreplace")
            if member.kind != tarstream.FILE:
                raise Untrusted(f"{name!r} is no plain file")
            if name in found:
                raise Untrusted(f"{name!r} is in it twice")
            found[name] = member
    except Untrusted as error:
        if found:
            raise Untrusted(f"the backup is damaged or was altered: {error.message}") from None
        raise UsageError(
            f"{path} is no backup of Andon: {error.message}",
            hint="`andon admin backup FILE` makes one",
        ) from None
    return found


def _manifest(file: BinaryIO, member: tarstream.Member | None, path: Path) -> Manifest:
    if member is None:
        raise UsageError(f"{path} has no manifest: it is no backup of Andon")
    if member.size_bytes > MOST_MANIFEST_BYTES:
        raise Untrusted("the backup's manifest is too large")
    try:
        manifest = msgspec.json.decode(_opened(file, member).read(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Untrusted(f"the backup's manifest cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise Conflict(
            f"{path} has the format {manifest.format!r}, this program knows {FORMAT!r}",
            hint="restore it with the Andon that made it",
        )
    return manifest


def _expect_members(manifest: Manifest, found: dict[str, tarstream.Member]) -> None:
    if set(found) != set(manifest.members):
        odd = sorted(set(found) ^ set(manifest.members))[0]
        raise Untrusted(f"the backup's manifest and its members differ: {odd!r}")
    for name, member in found.items():
        if member.size_bytes != manifest.members[name].size_bytes:
            raise Untrusted(f"{name} in the backup has another size than its manifest says")


Progress = Callable[[str], None]
