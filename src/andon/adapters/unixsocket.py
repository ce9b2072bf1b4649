"""Unix sockets in folders of any depth: the kernel takes addresses of 107 bytes at most."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_ADDRESS_BYTES = 100


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Yield an address of a socket file that the kernel accepts.

    Args:
        path: The file; its folder exists.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
