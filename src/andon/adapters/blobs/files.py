"""A folder of files named by the digest of what they hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from andon.adapters.durable import write_durably
from andon.adapters.filetree import fsync_folder
from andon.kernel.digest import sha256
from andon.kernel.errors import NotFound, Unavailable, Untrusted

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MARKS = ".until"


class Writable(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take the next ones."""
        ...


class FileBlobs:
    """The ``BlobStore`` of a folder.

    Args:
        folder: Made when the first blob comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep bytes durably."""
        digest = sha256(data)
        write_durably(self._file(digest), data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return bytes that have this digest."""
        try:
            data = self._file(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"the blob {digest} is missing") from None
        except OSError as error:
            raise Unavailable(f"the blob {digest} cannot be read: {error.strerror}") from None
        if sha256(data) != digest:
            raise Untrusted(f"the blob {digest} was altered")
        return data

    def has(self, digest: str) -> bool:
        """Say whether bytes of this digest were kept."""
        return self._file(digest).is_file()

    def path(self, digest: str) -> Path:
        """Return the file of a blob, unread: whoever takes its bytes elsewhere checks them there.

        Raises:
            NotFound: It is not there.
        """
        if not self.has(digest):
            raise NotFound(f"the blob {digest} is missing")
        return self._file(digest)

    def adopt(self, file: Path, digest: str) -> None:
        """Keep a file of the same file system that has this digest, durably; it moves here.

        Raises:
            Untrusted: It has another one; it is removed.
        """
        place = self._file(digest)
        if digest_of(file) != digest:
            file.unlink()
            raise Untrusted(f"what came as the blob {digest} has another digest")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        file.replace(place)
        fsync_folder(place.parent)

    def add(self, fill: Callable[[Writable], object]) -> tuple[str, int]:
        """Keep what ``fill`` writes, however long, durably; return its digest and size in bytes.

        Raises:
            Unavailable: It cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix=".new-", dir=self._folder) as file:
                fill(file)
                file.flush()
                size_bytes = os.fstat(file.fileno()).st_size
                digest = digest_of(Path(file.name))
                place = self._file(digest)
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, place)
            fsync_folder(place.parent)
        except OSError as error:
            raise Unavailable(
                f"a blob cannot be written into {self._folder}: {error.strerror}",
                hint="`andon doctor` checks the folder",
            ) from None
        return digest, size_bytes

    def keep_until(self, digest: str, moment: float) -> None:
        """Have ``sweep`` remove a blob after a moment, and after all others that were said of it.

        Args:
            digest: Of the blob.
            moment: In seconds since the Unix epoch.
        """
        mark = self._folder / _MARKS / digest.removeprefix("sha256:")
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not mark.exists() or mark.stat().st_mtime < moment:
            mark.touch()
            os.utime(mark, (moment, moment))

    def sweep(self, now: float) -> int:
        """Remove the blobs whose moment is over; return how many. Those without one stay."""
        folder = self._folder / _MARKS
        over = (
            [one for one in folder.iterdir() if one.stat().st_mtime < now]
            if folder.is_dir()
            else []
        )
        for mark in over:
            self.delete(f"sha256:{mark.name}")
            mark.unlink(missing_ok=True)
        return len(over)

    def delete(self, digest: str) -> None:
        """Forget bytes."""
        file = self._file(digest)
        if file.exists():
            file.unlink()
            fsync_folder(file.parent)

    def _file(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise NotFound(f"{digest!a} is no digest of a blob")
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name


def digest_of(file: Path) -> str:
    """Return the digest of a file."""
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
