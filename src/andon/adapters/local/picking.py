"""Takes files out of a job's work tree by pattern, and puts them into another's.

Jobs may be strangers: nothing is read or written through a link, wherever it leads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from andon.adapters.filetree import MOST_PARTS, is_safe_name, leads_outside, remove_tree, shown
from andon.adapters.oci.pack import Member
from andon.adapters.tarstream import FILE, FOLDER, LINK, TarStream
from andon.adapters.tarstream import Member as Packed
from andon.kernel.errors import StepFailed, Untrusted
from andon.kernel.patterns import fixed_part, matches, problem

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_LINK_BYTES = 4096


def pick(root: bytes, patterns: Sequence[str]) -> list[Member]:
    """List what fits the patterns: files, links, and folders with all that is in them.

    Args:
        root: Of the work tree.
        patterns: See ``andon.kernel.patterns``.

    Raises:
        StepFailed: A pattern can fit nothing, or something that fits is no file, folder or link.
    """
    found: dict[bytes, Member] = {}
    for pattern in patterns:
        if wrong := problem(pattern):
            raise StepFailed(f"the pattern {pattern} {wrong}")
        for member in _fitting(root, pattern):
            found[member.name] = member
    return [found[name] for name in sorted(found)]


def refuse_leading_outside(members: Sequence[Member]) -> None:
    """Refuse links that lead out of the tree.

    Raises:
        StepFailed: There is one.
    """
    links = {member.name: member.target for member in members if member.kind == LINK}
    for name in links:
        if leads_outside(name, links):
            raise StepFailed(
                f"{shown(name)} is a link that leads outside of the work tree",
                hint="copy the file instead of linking to it",
            )


def _fitting(root: bytes, pattern: str) -> Iterator[Member]:
    start = os.fsencode(fixed_part(pattern))
    for path in (start, *_above(start)):
        if path and stat.S_ISLNK(_mode(os.path.join(root, path))) and path != start:
            return  # What is behind a link is not in the tree.
    if start and _mode(os.path.join(root, start)):
        yield from _taken(root, start, pattern)
    elif not start:
        yield from _below(root, start, pattern)


def _above(path: bytes) -> Iterator[bytes]:
    while path := path.rpartition(b"/")[0]:
        yield path


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _below(root: bytes, folder: bytes, pattern: str) -> Iterator[Member]:
    for name in sorted(os.listdir(os.path.join(root, folder))):
        if name != b".git":
            yield from _taken(root, os.path.join(folder, name), pattern)


def _taken(root: bytes, name: bytes, pattern: str) -> Iterator[Member]:
    """Yield what fits of a path and what is below it; an empty pattern: everything."""
    if name.count(b"/") >= MOST_PARTS:
        raise StepFailed(f"{shown(name)} lies more than {MOST_PARTS} folders deep")
    fits = not pattern or matches(pattern, os.fsdecode(name))
    facts = os.lstat(os.path.join(root, name))
    if fits:
        yield _member(root, name, facts)
    if stat.S_ISDIR(facts.st_mode):
        yield from _below(root, name, "" if fits else pattern)


def _member(root: bytes, name: bytes, facts: os.stat_result) -> Member:
    changed_at = max(0, int(facts.st_mtime))
    if stat.S_ISDIR(facts.st_mode):
        return Member(name, FOLDER, changed_at=changed_at)
    if stat.S_ISLNK(facts.st_mode):
        return Member(name, LINK, 0o777, 0, os.readlink(os.path.join(root, name)))
    if stat.S_ISREG(facts.st_mode):
        mode = 0o755 if facts.st_mode & 0o100 else 0o644
        return Member(name, FILE, mode, facts.st_size, changed_at=changed_at)
    raise StepFailed(f"{shown(name)} is neither a file, a folder nor a link and cannot be kept")


class Putting:
    """Puts a tar's content into a tree that has files already.

    Args:
        root: Of the tree.
        replacing: Whether what comes takes the place of what is there; else that stays.
        any_links: Whether links may lead anywhere: of caches, whose writers are trusted.
    """

    def __init__(self, root: bytes, *, replacing: bool, any_links: bool) -> None:
        self._root = root
        self._replacing = replacing
        self._any_links = any_links
        self._links: dict[bytes, bytes] = {}

    def put(self, tar: BinaryIO, size_bytes: int) -> None:
        """Put all of it there.

        Raises:
            Untrusted: It is damaged or reaches outside; what came before that is there.
        """
        stream = TarStream(tar, size_bytes)
        for member in stream:
            name = member.name.removeprefix(b"./").rstrip(b"/")
            if not is_safe_name(name):
                raise Untrusted(f"{shown(name)} is no safe name")
            self._put(stream, member, name)
        for name, target in self._links.items():
            self._link(name, target)

    def _put(self, stream: TarStream, member: Packed, name: bytes) -> None:
        if member.kind == LINK:
            if not 0 < len(member.target) <= _LONGEST_LINK_BYTES or b"\0" in member.target:
                raise Untrusted(f"{shown(name)} is no link that can be followed")
            self._links[name] = member.target
        elif member.kind == FOLDER:
            folder = self._folder(name.split(b"/"))
            if folder is not None:
                os.close(folder)
        else:
            self._write(stream, member, name)

    def _write(self, stream: TarStream, member: Packed, name: bytes) -> None:
        folder, last = self._place(name)
        if folder is None:
            return
        try:
            descriptor = os.open(last, _FILE_FLAGS, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in stream.content():
                file.write(chunk)
            file.flush()
            os.fchmod(descriptor, 0o755 if member.mode & 0o100 else 0o644)
            if member.changed_at:
                os.utime(descriptor, (member.changed_at, member.changed_at))

    def _link(self, name: bytes, target: bytes) -> None:
        if not self._any_links and leads_outside(name, self._links):
            raise Untrusted(f"{shown(name)} is a link that leads outside")
        folder, last = self._place(name)
        if folder is None:
            return
        try:
            os.symlink(target, last, dir_fd=folder)
        finally:
            os.close(folder)

    def _place(self, name: bytes) -> tuple[int | None, bytes]:
        """Return the open folder for a path, where nothing is in its way; None: it stays as it is."""
        *above, last = name.split(b"/")
        folder = self._folder(above)
        if folder is None or self._is_free(folder, last, name):
            return folder, last
        os.close(folder)
        return None, last

    def _is_free(self, folder: int, last: bytes, name: bytes) -> bool:
        try:
            facts = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if not self._replacing:
            return False
        if stat.S_ISDIR(facts.st_mode):
            remove_tree(Path(os.fsdecode(os.path.join(self._root, name))))
        else:
            os.unlink(last, dir_fd=folder)
        return True

    def _folder(self, parts: Sequence[bytes]) -> int | None:
        """Open a folder, made where it is missing; None: something that stays is in its way."""
        here = os.open(self._root, _FOLDER_FLAGS)
        for part in parts:
            below = self._below(here, part)
            os.close(here)
            if below is None:
                return None
            here = below
        return here

    def _below(self, here: int, part: bytes) -> int | None:
        try:
            return os.open(part, _FOLDER_FLAGS, dir_fd=here)
        except FileNotFoundError:
            pass
        except OSError:  # A file or a link is there.
            if not self._replacing:
                return None
            os.unlink(part, dir_fd=here)
        os.mkdir(part, 0o755, dir_fd=here)
        return os.open(part, _FOLDER_FLAGS, dir_fd=here)
