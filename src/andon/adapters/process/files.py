"""Files that survive a crash: replaced whole, flushed, or not at all."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from andon.kernel.errors import Unavailable

T = TypeVar("T")

_SPARE_HOMES = 16


@lru_cache(maxsize=256)
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


class Homes:
    """Folders for what a job does not keep, with its home in it.

    Args:
        again: One that a job left empty is the next job's: making and removing folders is what takes long.
    """

    def __init__(self, *, again: bool) -> None:
        self._most = _SPARE_HOMES if again else 0
        self._spare: list[str] = []

    def make(self, temporary: Path) -> None:
        """Make one."""
        place = os.fspath(temporary)
        try:
            if self._spare:
                os.rename(self._spare.pop(), place)
                return
            os.mkdir(place)
            os.mkdir(f"{place}/home")
        except OSError:
            os.makedirs(f"{place}/home", exist_ok=True)

    def give_back(self, temporary: Path) -> bool:
        """Let go of one; False: there is something in it, to be removed."""
        place = os.fspath(temporary)
        try:
            if len(self._spare) < self._most:
                if os.listdir(place) != ["home"] or os.listdir(f"{place}/home"):
                    return False
                self._spare.append(place)
                return True
            os.rmdir(f"{place}/home")
            os.rmdir(place)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Remove what is spare."""
        self._most = 0
        while self._spare:
            self.give_back(Path(self._spare.pop()))


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
