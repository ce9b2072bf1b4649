"""Read a folder without trusting it.

Only regular files are read, only their beginning, and no symbolic link is followed: a repository
may hold links to anywhere, pipes that never end and files of any size.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_FILE_BYTES = 65_536
MAX_ENTRIES = 2_000


class Folder:
    """A folder and what may be known of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries = self._list()

    def _list(self) -> dict[str, os.DirEntry[str]]:
        listed: dict[str, os.DirEntry[str]] = {}
        try:
            with os.scandir(self.root) as entries:
                for entry in entries:
                    listed[entry.name] = entry
                    if len(listed) >= MAX_ENTRIES:
                        break
        except OSError:
            return {}
        return dict(sorted(listed.items()))

    def has(self, name: str) -> bool:
        """Tell whether a regular file of this name is here."""
        entry = self._entries.get(name)
        return entry is not None and entry.is_file(follow_symlinks=False)

    def first(self, *names: str) -> str | None:
        """Return the first of these files that is here."""
        return next((name for name in names if self.has(name)), None)

    def files(self) -> list[str]:
        """Return the names of regular files, sorted."""
        return [name for name in self._entries if self.has(name)]

    def folders(self) -> list[str]:
        """Return the names of visible folders that are not links, sorted."""
        return [
            name
            for name, entry in self._entries.items()
            if not name.startswith((".", "_")) and entry.is_dir(follow_symlinks=False)
        ]

    def enter(self, name: str) -> Folder:
        """Return a folder inside; an empty one if there is none of this name."""
        return Folder(self.root / name if name in self.folders() else self.root / "\x01")

    def read(self, name: str) -> str:
        """Return the beginning of a file's text; empty if it cannot be read."""
        if not self.has(name):
            return ""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.root / name, flags)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            return file.read(MAX_FILE_BYTES).decode(errors="replace")
