"""A folder of files named by the digest of what they hold."""

from __future__ import annotations

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
