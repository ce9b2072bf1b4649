"""Small files that are on the disk, whole, once they are written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from andon.adapters.filetree import fsync_folder
from andon.kernel.errors import Unavailable


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file, readable by its owner only; its folders are made.

    Raises:
        Unavailable: It cannot be written; what was there before still is.
    """
    _write(path, data, os.replace)


def write_once(path: Path, data: bytes) -> None:
    """Write a file unless there is one by now, as ``write_durably`` does."""
    _write(path, data, _link)


def _link(made: str, path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.link(made, path)
    os.unlink(made)


def _write(path: Path, data: bytes, put: Callable[[str, Path], None]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            put(name, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}", hint="`andon doctor` checks the folder"
        ) from None
