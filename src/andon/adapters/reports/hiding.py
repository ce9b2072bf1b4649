"""A report without the secrets of the job that wrote it."""

from __future__ import annotations

import io
from collections.abc import Collection

from andon.kernel.masking import Masker

_CHUNK_BYTES = 256 << 10


def hidden(file: io.BufferedReader, secrets: Collection[str]) -> io.BufferedReader:
    """Return a file as it is read with its secrets masked."""
    return io.BufferedReader(_Hidden(file, Masker(secrets)), _CHUNK_BYTES) if secrets else file


class _Hidden(io.RawIOBase):
    def __init__(self, file: io.BufferedReader, masker: Masker) -> None:
        self._file = file
        self._masker = masker
        self._ready = b""
        self._over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer is one
        while not self._ready and not self._over:
            chunk = self._file.read(_CHUNK_BYTES)
            self._over = not chunk
            self._ready = self._masker.feed(chunk) if chunk else self._masker.close()
        told, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(told)] = told
        return len(told)
