"""Small files that are on the disk, whole, once they are written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from andon.adapters.filetree import fsync_folder
from andon.kernel.errors import Unavailable


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file, readable by its owner only; its folders are made.

    Raises:
        Unavailable: It cannot be written; what was there before still is.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}", hint="`andon doctor` checks the folder"
        ) from None
