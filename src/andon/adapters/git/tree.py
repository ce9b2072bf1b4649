"""Writes a commit's tree without git's own checkout, which would run filters and attributes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from andon.adapters.filetree import is_safe_name, leads_outside, shown
from andon.adapters.git.command import Objects, objects, run
from andon.kernel.errors import StepFailed, Unavailable

_LONGEST_LINK_BYTES = 4096


class Entry(Struct, frozen=True):
    """A line of ``git ls-tree``."""

    mode: str
    sha: str
    name: bytes


def entries(git_dir: Path, sha: str) -> list[Entry]:
    """List all files, links and submodules of a commit."""
    listing = run([f"--git-dir={git_dir}", "ls-tree", "-r", "-z", "--full-tree", sha])
    return list(_parsed(listing))


def _parsed(listing: bytes) -> Iterator[Entry]:
    for line in listing.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, _, sha = facts.decode().split(" ")
        yield Entry(mode, sha, name)


def write_tree(git_dir: Path, sha: str, into: Path) -> None:
    """Write the tree of a commit into an existing, empty folder.

    Modes become 0644 or 0755; a submodule becomes an empty folder, as in a plain clone.

    Raises:
        StepFailed: The tree names something outside of itself, or that no file system can hold.
        Unavailable: This machine cannot write it (a full disk...).
    """
    listed = entries(git_dir, sha)
    for entry in listed:
        if not is_safe_name(entry.name):
            raise _refused(sha, entry.name, "is no safe name")
    root = os.fsencode(into)
    with objects(git_dir) as source:
        links = {e.name: _target(source, e) for e in listed if e.mode == "120000"}
        for name in links:
            if leads_outside(name, links):
                raise _refused(sha, name, "is a link that leads outside of the tree")
        try:
            _write_files(source, listed, root)
            # Links come last: no file can then be written through one.
            for name, target in links.items():
                place = _place(root, name)
                os.symlink(target, place)
        except OSError as error:
            raise _unwritable(sha, error) from error


def _write_files(source: Objects, listed: list[Entry], root: bytes) -> None:
    for entry in listed:
        if entry.mode == "160000":
            os.makedirs(os.path.join(root, entry.name), mode=0o755)
        elif entry.mode != "120000":
            _write_file(source, entry, _place(root, entry.name))


def _place(root: bytes, name: bytes) -> bytes:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    return path


def _write_file(source: Objects, entry: Entry, path: bytes) -> None:
    found = source.find(entry.sha)
    if found is None:
        raise Unavailable(f"{shown(entry.name)} is missing from the repository", hint="git fsck")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in source.chunks(found[2]):
            file.write(chunk)
        os.fchmod(file.fileno(), 0o755 if int(entry.mode, 8) & 0o100 else 0o644)


def _target(source: Objects, entry: Entry) -> bytes:
    found = source.content(entry.sha, _LONGEST_LINK_BYTES)
    if found is None:
        raise Unavailable(f"{shown(entry.name)} is missing from the repository", hint="git fsck")
    return found[2]


def _refused(sha: str, name: bytes, why: str) -> StepFailed:
    return StepFailed(
        f"Commit {sha[:12]} cannot be checked out: {shown(name)} {why}",
        hint="take it out of the repository and push again",
    )


def _unwritable(sha: str, error: OSError) -> StepFailed | Unavailable:
    if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EILSEQ):
        name = error.filename if isinstance(error.filename, bytes) else b"a file"
        return _refused(sha, name, f"cannot be written ({error.strerror})")
    return Unavailable(
        f"Commit {sha[:12]} cannot be checked out: {error.strerror}", hint="andon doctor"
    )
