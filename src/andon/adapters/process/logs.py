"""Log files: read from an offset, shown by their end, kept from growing for ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from andon.adapters.process.longlogs import extent

ROTATE_BYTES = 16 * 1024 * 1024


def read_chunk(path: Path, offset: int, max_bytes: int) -> tuple[bytes, int]:
    """Read from a log; whoever lost the connection goes on from the offset it had.

    Args:
        path: The log.
        offset: Where to begin; beyond the end means it was rotated: begin anew. Where its middle was left
            out, it goes on behind that.
        max_bytes: Read no more than this.

    Returns:
        The bytes and the next offset, which may be further on than there are bytes.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start, end = extent(file.fileno(), offset if offset <= size else 0)
        file.seek(start)
        data = file.read(min(max_bytes, max(0, end - start)))
    return data, start + len(data)


def last_lines(path: Path, lines: int = 20, max_bytes: int = 2000) -> str:
    """Return the end of a log, as text."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - max_bytes))
            data = file.read(max_bytes)
    except OSError:
        return ""
    return "\n".join(data.decode(errors="replace").splitlines()[-lines:])


def rotate(path: Path, limit_bytes: int = ROTATE_BYTES) -> None:
    """Copy a log that grew too long to ``<name>.1`` and empty it; its writer appends and goes on."""
    try:
        if path.stat().st_size > limit_bytes:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except OSError:
        pass  # A full disk or a log just removed: the next round tries again.
