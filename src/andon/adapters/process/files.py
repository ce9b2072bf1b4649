"""Files that survive a crash: replaced whole, flushed, or not at all."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from andon.kernel.errors import Unavailable

T = TypeVar("T")


def safe_name(key: str) -> str:
    """Turn a key into a file name.

    >>> safe_name("01h/1/job:unit/0")
    '01h_1_job-unit_0'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "-", key.replace("/", "_")).lstrip(".") or "-"


def write_json(path: Path, value: Any) -> None:
    """Replace a file with a value, durably.

    Raises:
        Unavailable: The disk is full or cannot be written; the old content is still there.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(value))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _discard(temporary)
        raise unwritable(path, error) from error


def make_home(temporary: Path) -> None:
    """Make a job's own folder for what is not kept, with its home in it."""
    place = os.fspath(temporary)
    try:
        os.mkdir(place)
        os.mkdir(f"{place}/home")
    except OSError:
        os.makedirs(f"{place}/home", exist_ok=True)


def remove_home(temporary: Path) -> None:
    """Remove it; mostly nothing was put there."""
    place = os.fspath(temporary)
    try:
        os.rmdir(f"{place}/home")
        os.rmdir(place)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)


def _discard(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        pass  # The next write replaces it.


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> Unavailable:
    """Say that a file could not be written."""
    return Unavailable(
        f"cannot write {path}: {error.strerror}",
        hint="free some space there, then run `andon doctor`; what already runs goes on running",
    )


def read_json(path: Path, kind: type[T]) -> T | None:
    """Read a value that ``write_json`` wrote; None if it is not there or is not of that kind."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def read_all(folder: Path, kind: type[T]) -> list[T]:
    """Read every value of a folder, in order of file names."""
    found = (read_json(path, kind) for path in sorted(folder.glob("*.json")))
    return [value for value in found if value is not None]
