"""Files of a work tree that fit patterns; links are never followed, wherever they lead."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from andon.adapters.filetree import shown
from andon.kernel.patterns import fixed_part, matches, problem

MOST_FILES = 2_000
"""So many reports of a kind are read."""
MOST_ENTRIES = 1_000_000
"""So many names are looked at for one pattern."""
MOST_FOLDERS_DEEP = 64
MOST_BYTES = 512 << 20
"""A longer report is not read."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Places:
    """Finds and opens the files.

    Args:
        tree: Root of the work tree.
        say: Takes what went wrong, a sentence each.
    """

    def __init__(self, tree: Path, say: Callable[[str], None]) -> None:
        self._tree = tree
        self._say = say

    def found(self, patterns: tuple[str, ...]) -> list[str]:
        """Return the paths of the files, each once, by name within each pattern.

        A pattern that finds nothing is told.
        """
        paths: dict[str, None] = {}
        for pattern in patterns:
            if wrong := problem(pattern):
                self._say(f"the pattern {shown(os.fsencode(pattern))} {wrong}")
                continue
            mine = sorted(self._fitting(pattern))
            if not mine:
                self._say(f"no file is at {shown(os.fsencode(pattern))}")
            paths.update(dict.fromkeys(mine))
        if len(paths) > MOST_FILES:
            self._say(f"{len(paths)} reports are there; only {MOST_FILES} of them were read")
        return list(paths)[:MOST_FILES]

    @contextmanager
    def opened(self, path: str) -> Iterator[BufferedReader | None]:
        """Open a file; None, and told why, where it is none or too long."""
        try:
            descriptor = self._open(path, _FILE)
        except OSError as error:
            self._say(f"{shown(os.fsencode(path))}: {_why(error)}")
            yield None
            return
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                self._say(f"{shown(os.fsencode(path))}: is no ordinary file")
                yield None
            elif about.st_size > MOST_BYTES:
                self._say(f"{shown(os.fsencode(path))}: is longer than {MOST_BYTES >> 20} MiB")
                yield None
            else:
                yield file

    def is_there(self, path: str) -> bool:
        """Say whether there is a file at a path in the tree."""
        try:
            descriptor = self._open(path, _FILE)
        except (OSError, ValueError):
            return False
        os.close(descriptor)
        return True

    def _open(self, path: str, flags: int) -> int:
        here = os.open(self._tree, _FOLDER & ~os.O_NOFOLLOW)
        *folders, last = path.split("/") if path else ["."]
        for name, how in (*((folder, _FOLDER) for folder in folders), (last, flags)):
            try:
                below = os.open(name, how, dir_fd=here)
            finally:
                os.close(here)
            here = below
        return here

    def _fitting(self, pattern: str) -> Iterator[str]:
        start = fixed_part(pattern)
        if start and "*" not in pattern and not pattern.endswith("/"):
            if self._exists(start):
                yield start
            return
        left = MOST_ENTRIES
        folders = [start]
        while folders:
            folder = folders.pop()
            for path, is_folder in self._inside(folder):
                left -= 1
                if left < 0:
                    self._say(f"{pattern} looks at more than {MOST_ENTRIES} names; not all were")
                    return
                if not is_folder and matches(pattern, path):
                    yield path
                elif is_folder and path.count("/") < MOST_FOLDERS_DEEP:
                    folders.append(path)

    def _exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return any(one.rpartition("/")[2] == name for one, _ in self._inside(folder))

    def _inside(self, folder: str) -> list[tuple[str, bool]]:
        try:
            descriptor = self._open(folder, _FOLDER)
        except OSError:
            return []
        try:
            with os.scandir(descriptor) as entries:
                return [
                    (f"{folder}/{entry.name}" if folder else entry.name, _is_folder(entry))
                    for entry in entries
                    if entry.name != ".git"
                ]
        finally:
            os.close(descriptor)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _why(error: OSError) -> str:
    if error.errno in (40, 20):  # ELOOP, ENOTDIR: what O_NOFOLLOW says of a link.
        return "leads over a link; reports are read from files only"
    return (error.strerror or "cannot be read").lower()
