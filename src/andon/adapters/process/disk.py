"""Room on the disk of the state folder, and which job took it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from andon.kernel.errors import Unavailable

_MOST_RESERVED_BYTES = 256 << 20
_RESERVED_SHARE = 20
"""One part in so many is Andon's own, on small disks."""
_FAIR_BYTES = 1 << 30
_FAIR_SHARE = 10
"""A job that took less than this, or one part in so many of a small disk, did not fill it."""


class Room(Struct, frozen=True):
    """What is free, what jobs must leave so that Andon's own data goes on, and what one may take."""

    free_bytes: int
    reserved_bytes: int
    fair_bytes: int

    @property
    def is_low(self) -> bool:
        """Whether somebody has to make room."""
        return self.free_bytes < self.reserved_bytes


def room(folder: Path) -> Room:
    """Measure the disk of a folder; one that tells nothing has room."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return Room(1, 0, 0)
    total = facts.f_blocks * facts.f_frsize
    reserved = min(_MOST_RESERVED_BYTES, total // _RESERVED_SHARE)
    return Room(facts.f_bavail * facts.f_frsize, reserved, min(_FAIR_BYTES, total // _FAIR_SHARE))


def used_bytes(places: Iterable[Path]) -> int:
    """Return what files and folders with all below them take of the disk; links are not followed."""
    total = 0
    ahead = [os.fsencode(place) for place in places]
    while ahead:
        path = ahead.pop()
        try:
            facts = os.lstat(path)
            total += facts.st_blocks * 512
            if stat.S_ISDIR(facts.st_mode):
                with os.scandir(path) as entries:
                    ahead += [entry.path for entry in entries]
        except OSError:
            continue  # Gone by now, or deeper than a path can be long.
    return total


def expect_room(folder: Path) -> None:
    """Refuse to begin a job on a disk that is full already.

    Raises:
        Unavailable: It is.
    """
    now = room(folder)
    if now.is_low:
        raise Unavailable(
            f"the disk of {folder} has {now.free_bytes >> 20} MiB left, and jobs need "
            f"more than {now.reserved_bytes >> 20} MiB",
            hint="free some space there; the next attempt goes on by itself",
        )


def over(used: int, limit: int) -> str:
    """Say that a job took more than it may; empty: it did not, or may take what there is.

    >>> over(900 << 20, 500 << 20)
    'it took 900 MiB of the disk, and its limit is 500 MiB (limits.diskBytes)'
    >>> over(900 << 20, 0)
    ''
    """
    if not 0 < limit < used:
        return ""
    return f"it took {used >> 20} MiB of the disk, and its limit is {limit >> 20} MiB (limits.diskBytes)"


def blame(used: int, now: Room) -> str:
    """Say that a job filled the disk; empty: others have taken more of it.

    >>> blame(900 << 20, Room(50 << 20, 100 << 20, 500 << 20))
    'it filled the disk: 900 MiB are its own, and 50 MiB are left of the 100 MiB that jobs leave free'
    >>> blame(20 << 20, Room(50 << 20, 100 << 20, 500 << 20))
    ''
    """
    if used < now.fair_bytes:
        return ""
    return (
        f"it filled the disk: {used >> 20} MiB are its own, and {now.free_bytes >> 20} MiB are left "
        f"of the {now.reserved_bytes >> 20} MiB that jobs leave free"
    )
