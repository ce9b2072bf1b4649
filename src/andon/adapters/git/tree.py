"""Writes a commit's tree without git's own checkout, which would run filters and attributes.

The tree is read object by object, because git would list what a few objects can name ten billion times.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, structs

from andon.adapters.filetree import is_safe_name, leads_outside, shown
from andon.adapters.git.command import Objects, objects
from andon.kernel.errors import StepFailed, Unavailable

_LONGEST_LINK_BYTES = 4096
_LARGEST_FOLDER_BYTES = 16 << 20
_LINK, _SUBMODULE = 0o120000, 0o160000


class Limits(Struct, frozen=True):
    """How much of a tree is written.

    Args:
        entries: Files, folders, links and submodules.
        size_bytes: Of all files together.
    """

    entries: int = 500_000
    size_bytes: int = 16 << 30


LIMITS = Limits()


class Entry(Struct, frozen=True):
    """Something in a tree, by its path; ``mode`` as git keeps it."""

    mode: int
    sha: str
    name: bytes

    @property
    def kind(self) -> int:
        """The mode's upper part: folder, file, link or submodule."""
        return stat.S_IFMT(self.mode)


def write_tree(git_dir: Path, sha: str, into: Path, limits: Limits = LIMITS) -> None:
    """Write the tree of a commit into an existing, empty folder.

    Modes become 0644 or 0755; a submodule becomes an empty folder, as in a plain clone.

    Raises:
        StepFailed: The tree names something outside of itself, that no file system can hold, or too much.
        Unavailable: This machine cannot write it (a full disk...), or the repository is damaged.
    """
    with objects(git_dir) as source:
        try:
            _Checkout(source, sha, os.fsencode(into), limits).write()
        except OSError as error:
            raise _unwritable(sha, error) from error


def entries(git_dir: Path, sha: str, limits: Limits = LIMITS) -> list[Entry]:
    """Return all files, links and submodules of a commit, with the modes they are written with.

    Raises:
        StepFailed: The tree cannot be written, either.
        Unavailable: The repository is damaged.
    """
    with objects(git_dir) as source:
        listed = list(_Checkout(source, sha, b"", limits).entries())
    return [structs.replace(one, mode=_written(one)) for one in listed]


def _written(entry: Entry) -> int:
    if entry.kind != stat.S_IFREG:
        return entry.mode
    return 0o100755 if entry.mode & 0o100 else 0o100644


class _Checkout:
    def __init__(self, source: Objects, sha: str, root: bytes, limits: Limits) -> None:
        self._source = source
        self._sha = sha
        self._root = root
        self._limits = limits
        self._bytes_left = limits.size_bytes

    def write(self) -> None:
        """Write everything, links last: no file can then be written through one."""
        listed = list(self.entries())
        links = {entry.name: self._target(entry) for entry in listed if entry.kind == _LINK}
        for name in links:
            if leads_outside(name, links):
                raise _refused(self._sha, name, "is a link that leads outside of the tree")
        for entry in listed:
            if entry.kind == _SUBMODULE:
                os.makedirs(os.path.join(self._root, entry.name), mode=0o755)
            elif entry.kind == stat.S_IFREG:
                self._write_file(entry)
        for name, target in links.items():
            os.symlink(target, self._place(name))

    def entries(self) -> Iterator[Entry]:
        """Yield all files, links and submodules."""
        ahead = [Entry(stat.S_IFDIR, f"{self._sha}^{{tree}}", b"")]
        count = 0
        while ahead:
            for entry in self._folder(ahead.pop()):
                count += 1
                if count > self._limits.entries:
                    raise self._too_much(f"more than {self._limits.entries} files and folders")
                if entry.kind == stat.S_IFDIR:
                    ahead.append(entry)
                elif entry.kind in (stat.S_IFREG, _LINK, _SUBMODULE):
                    yield entry
                else:
                    raise _refused(self._sha, entry.name, "is no file, folder or link")

    def _folder(self, folder: Entry) -> Iterator[Entry]:
        found = self._source.content(folder.sha, _LARGEST_FOLDER_BYTES)
        if found is None or found[1] != "tree":
            raise _missing(folder.name)
        sha, _, tree = found
        try:
            listed = list(_parsed(tree, len(sha) // 2))
        except ValueError:
            raise _refused(self._sha, folder.name, "is damaged") from None
        for entry in listed:
            name = folder.name + b"/" + entry.name if folder.name else entry.name
            if b"/" in entry.name or not is_safe_name(name):
                raise _refused(self._sha, name, "is no safe name")
            yield Entry(entry.mode, entry.sha, name)

    def _write_file(self, entry: Entry) -> None:
        found = self._source.find(entry.sha)
        if found is None:
            raise _missing(entry.name)
        _, kind, size_bytes = found
        if kind != "blob":
            raise _refused(self._sha, entry.name, f"is a {kind} that is called a file")
        self._bytes_left -= size_bytes
        if self._bytes_left < 0:
            raise self._too_much(f"more than {self._limits.size_bytes} bytes")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(self._place(entry.name), flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in self._source.chunks(size_bytes):
                file.write(chunk)
            os.fchmod(file.fileno(), 0o755 if entry.mode & 0o100 else 0o644)

    def _target(self, entry: Entry) -> bytes:
        found = self._source.find(entry.sha)
        if found is None:
            raise _missing(entry.name)
        if found[1] != "blob" or found[2] > _LONGEST_LINK_BYTES:
            raise _refused(self._sha, entry.name, "is no link that can be followed")
        return b"".join(self._source.chunks(found[2]))

    def _place(self, name: bytes) -> bytes:
        path = os.path.join(self._root, name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        return path

    def _too_much(self, what: str) -> StepFailed:
        return StepFailed(
            f"Commit {self._sha[:12]} cannot be checked out: its tree holds {what}",
            hint="take what was generated out of the repository",
        )


def _parsed(tree: bytes, sha_bytes: int) -> Iterator[Entry]:
    """Read a tree object: modes, names and ids."""
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, name = tree[at:end].partition(b" ")
        at = end + 1 + sha_bytes
        if at > len(tree) or not mode.isdigit():
            raise ValueError
        yield Entry(int(mode, 8), tree[end + 1 : at].hex(), name)


def _missing(name: bytes) -> Unavailable:
    what = shown(name) if name else "its tree"
    return Unavailable(f"{what} is missing from the repository", hint="git fsck")


def _refused(sha: str, name: bytes, why: str) -> StepFailed:
    return StepFailed(
        f"Commit {sha[:12]} cannot be checked out: {shown(name)} {why}",
        hint="take it out of the repository and push again",
    )


def _unwritable(sha: str, error: OSError) -> StepFailed | Unavailable:
    if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EILSEQ, errno.EINVAL):
        name = error.filename if isinstance(error.filename, bytes) else b"a file"
        return _refused(sha, name, f"cannot be written ({error.strerror})")
    return Unavailable(
        f"Commit {sha[:12]} cannot be checked out: {error.strerror}", hint="andon doctor"
    )
