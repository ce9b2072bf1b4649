"""A folder of files named by the digest of what they hold."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from andon.adapters.durable import write_durably
from andon.adapters.filetree import fsync_folder
from andon.kernel.digest import sha256
from andon.kernel.errors import NotFound, Unavailable, Untrusted

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


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
