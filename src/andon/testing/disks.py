"""A file system of a test's own, that it can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


@contextmanager
def small_disk(folder: Path, size: str = "48m") -> Iterator[Path]:
    """Mount a small file system; the test is skipped where that may not be.

    Args:
        folder: Where; it is made.
        size: As mount takes it.
    """
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "andon-test", str(folder)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte; returns the file to remove for room."""
    file = disk / "ballast"
    with file.open("wb", buffering=0) as ballast:
        for size in (MEGABYTE, 4096, 1):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                pass
    return file
