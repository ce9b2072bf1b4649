"""A Source over a folder as it lies there now: uncommitted changes included, frozen once taken.

Git is asked for two things only: which files count, and what the last commit says. Both are plumbing
that runs nothing. Contents are read here and named as git names them, so that the tree of a clean work
tree has the id that its commit says; nothing is written into the repository, nor into its index.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from andon.adapters.filetree import MOST_PARTS, is_safe_name, leads_outside, shown
from andon.adapters.git.command import GitFailed, environment, run
from andon.adapters.git.commits import parse_commit
from andon.adapters.git.locations import git_dir_of
from andon.kernel.errors import NotFound, StepFailed, Unavailable
from andon.ports import Commit

_FILE, _PROGRAM, _LINK, _SUBMODULE, _FOLDER = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000
_NOTHING = "0" * 40
_FEW_FILES, _FEW_BYTES = 32, 1 << 20
_LEFT_OUT = frozenset({".git", ".andon"})
"""Folders that are no content where there is no git to say so."""


class Content(Struct, frozen=True, array_like=True):
    """A file, link or submodule: its mode, its id and its path, as git names them, and its size."""

    mode: int
    id: str
    path: str
    size_bytes: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """What lay in a folder at one moment.

    Args:
        tree: Its id.
        files: All of it, by path.
        branch: What is checked out, if a branch is.
        commit: The last commit; None: there is none.
        clean: Whether it is just what that commit holds.
    """

    tree: str
    files: tuple[Content, ...]
    branch: str = ""
    commit: Commit | None = None
    clean: bool = False

    @property
    def sha(self) -> str:
        """The commit, if this is just what it holds; else the tree."""
        return self.commit.sha if self.clean and self.commit else self.tree


class WorkingTree:
    """The source of local runs.

    Args:
        folder: With the documents; in a git repository or not.
        kept: Folder that keeps what was taken, content by content.
    """

    def __init__(self, folder: Path, kept: Path) -> None:
        self.folder = folder.absolute()
        self.git_dir = _enclosing_repository(self.folder)
        self._kept = kept
        self._taken: dict[str, Snapshot] = {}

    def take(self) -> Snapshot:
        """Freeze what lies there now.

        Raises:
            Unavailable: A file cannot be read, or the kept content not be written.
            StepFailed: A link leads outside of the folder.
        """
        with ThreadPoolExecutor(1) as beside:
            last = beside.submit(self._last_commit)
            files = tuple(self._contents(self._names()))
            branch, commit, tree = last.result()
        own = tree_id(files)
        snapshot = Snapshot(
            tree=own, files=files, branch=branch, commit=commit, clean=bool(commit) and own == tree
        )
        self._keep_list(snapshot)
        self._taken[snapshot.sha] = snapshot
        return snapshot

    # --- Source ----------------------------------------------------------------------------------

    def resolve(self, repository: str, ref: str) -> Commit:
        """Return what was taken, as if it were a commit."""
        snapshot = self._snapshot(ref)
        last = snapshot.commit
        return Commit(
            sha=snapshot.sha,
            author=last.author if last else "",
            message=last.message if last else "",
            committed_at=last.committed_at if last else 0.0,
            parents=(last.sha,) if last and not snapshot.clean else (),
        )

    def read(self, repository: str, sha: str, path: str) -> bytes | None:
        """Return a file's content as it was taken."""
        clean = os.path.normpath(path)
        for one in self._snapshot(sha).files:
            if one.path == clean and one.mode in (_FILE, _PROGRAM):
                return self._place(one.id).read_bytes()
        return None

    def checkout(self, repository: str, sha: str, into: Path) -> None:
        """Write what was taken into an empty folder.

        Raises:
            Unavailable: What was kept is damaged.
        """
        root = os.fspath(into)
        if not os.path.isdir(root):
            os.makedirs(root)
        made = {""}
        for one in self._snapshot(sha).files:
            self._write(one, root, made)

    def is_small(self, sha: str) -> bool:
        """Say whether what was taken is written faster than it takes to ask a thread to do it."""
        files = self._snapshot(sha).files
        return len(files) <= _FEW_FILES and sum(one.size_bytes for one in files) <= _FEW_BYTES

    def heads(self, repository: str) -> Mapping[str, str]:
        """There is no other branch than what lies here."""
        return {}

    def changed(self, repository: str, before: str, sha: str) -> tuple[str, ...] | None:
        """Nothing came before what lies here."""
        return None

    def digests(self, repository: str, sha: str) -> Mapping[str, str]:
        """Return mode and id of each file as it was taken, by path."""
        return {one.path: f"{one.mode:o} {one.id}" for one in self._snapshot(sha).files}

    def sweep(self, keep: Iterable[str]) -> None:
        """Forget what no snapshot but these needs.

        Args:
            keep: Their shas.
        """
        lists = self._kept / "trees"
        wanted = {sha for sha in keep if (lists / sha).exists()}
        needed = {one.id for sha in wanted for one in self._snapshot(sha).files}
        for path in [*lists.iterdir()] if lists.is_dir() else []:
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        for path in self._kept.glob("??/*"):
            if path.name not in needed:
                path.unlink(missing_ok=True)

    # --- reading ---------------------------------------------------------------------------------

    def _names(self) -> Iterable[str]:
        if self.git_dir is None:
            return sorted(_walked(self.folder))
        listing = run(
            [*self._git(), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        )
        return sorted({os.fsdecode(name) for name in listing.split(b"\0") if name})

    def _git(self) -> Sequence[str]:
        assert self.git_dir is not None
        base = [f"--git-dir={self.git_dir}", f"--work-tree={self.git_dir.parent}"]
        return ["-C", str(self.folder), *base]

    def _last_commit(self) -> tuple[str, Commit | None, str]:
        """Return the branch, the last commit and its tree, if there are any."""
        if self.git_dir is None:
            return "", None, ""
        base = [f"--git-dir={self.git_dir}", "cat-file", "--batch"]
        try:
            said = run(base, input=b"HEAD^{commit}\n", env=environment())
        except GitFailed:
            return "", None, ""
        head, _, raw = said.partition(b"\n")
        words = head.split()
        if len(words) != 3:
            return self._branch(), None, ""
        commit = parse_commit(raw[: int(words[2])])
        sha = words[0].decode()
        tree = commit.tree if self.folder == self.git_dir.parent else ""
        return self._branch(), commit.as_commit(sha), tree

    def _branch(self) -> str:
        assert self.git_dir is not None
        try:
            text = (self.git_dir / "HEAD").read_text()
        except (OSError, UnicodeDecodeError):
            return ""
        return text.strip().removeprefix("ref: refs/heads/") if text.startswith("ref:") else ""

    def _contents(self, names: Iterable[str]) -> Iterator[Content]:
        links: dict[bytes, bytes] = {}
        for name in names:
            if not (is_safe_name(os.fsencode(name.rstrip("/"))) and _is_text(name)):
                raise StepFailed(
                    f"{shown(os.fsencode(name))} is no name that a work tree can have",
                    hint=f"rename it; no more than {MOST_PARTS} folders deep",
                )
            found = self._content(name)
            if found is not None:
                yield found
                if found.mode == _LINK:
                    links[os.fsencode(name)] = self._place(found.id).read_bytes()
        for link in links:
            if leads_outside(link, links):
                raise StepFailed(
                    f"{shown(link)} is a link that leads outside of {self.folder}",
                    hint="take it out, or have git ignore it",
                )

    def _content(self, name: str) -> Content | None:
        path = os.path.join(self.folder, name)
        try:
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                return Content(_SUBMODULE, _NOTHING, name.rstrip("/"), 0)
            if stat.S_ISLNK(found.st_mode):
                return self._keep(_LINK, name, os.fsencode(os.readlink(path)))
            if not stat.S_ISREG(found.st_mode):
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                mode = _PROGRAM if found.st_mode & 0o100 else _FILE
                return self._keep(mode, name, file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None  # deleted, and not committed yet
        except OSError as error:
            raise Unavailable(
                f"{path} cannot be read: {error.strerror}",
                hint="make it readable, or have git ignore it",
            ) from None

    # --- keeping ---------------------------------------------------------------------------------

    def _keep(self, mode: int, name: str, data: bytes) -> Content:
        id = blob_id(data)
        place = self._place(id)
        if not place.exists():
            self._put(place, data)
        return Content(mode, id, name, len(data))

    def _keep_list(self, snapshot: Snapshot) -> None:
        place = self._kept / "trees" / snapshot.sha
        if not place.exists():
            self._put(place, msgspec.json.encode(snapshot))

    def _put(self, place: Path, data: bytes) -> None:
        making = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            making.write_bytes(data)
            making.replace(place)
        except OSError as error:
            making.unlink(missing_ok=True)
            raise Unavailable(
                f"{place} cannot be written: {error.strerror}",
                hint="free some space there, or name another folder with `--state`",
            ) from None

    def _place(self, id: str) -> Path:
        return self._kept.joinpath(id[:2], id)

    def _snapshot(self, sha: str) -> Snapshot:
        found = self._taken.get(sha)
        if found is None:
            try:
                data = (self._kept / "trees" / sha).read_bytes()
                found = self._taken[sha] = msgspec.json.decode(data, type=Snapshot)
            except (OSError, ValueError):
                raise NotFound(f"the state {sha[:12]} of {self.folder} is not kept") from None
        return found

    def _write(self, one: Content, root: str, made: set[str]) -> None:
        folder = one.path if one.mode == _SUBMODULE else os.path.dirname(one.path)
        if folder not in made:
            os.makedirs(os.path.join(root, folder), mode=0o755, exist_ok=True)
            made.add(folder)
        path = os.path.join(root, one.path)
        if one.mode == _LINK:
            os.symlink(self._place(one.id).read_bytes(), os.fsencode(path))
        elif one.mode != _SUBMODULE:
            copied = _copy(self._place(one.id), path, 0o755 if one.mode == _PROGRAM else 0o644)
            if copied != one.size_bytes:
                self._place(one.id).unlink(missing_ok=True)
                raise Unavailable(f"what was kept of {one.path} is damaged", hint="run it again")


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def blob_id(data: bytes) -> str:
    """Name content as git does.

    >>> blob_id(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def tree_id(files: Iterable[Content]) -> str:
    """Name a tree as git does.

    >>> tree_id([])
    '4b825dc642cb6eb9a060e54bf8d69288fbee4904'
    """
    return _tree([(os.fsencode(one.path).split(b"/"), one) for one in files])


def _tree(files: list[tuple[list[bytes], Content]]) -> str:
    entries: list[tuple[bytes, bytes]] = []
    folders: dict[bytes, list[tuple[list[bytes], Content]]] = {}
    for parts, one in files:
        if len(parts) > 1:
            folders.setdefault(parts[0], []).append((parts[1:], one))
        else:
            entries.append((parts[0], _entry(one.mode, parts[0], one.id)))
    for name, inside in folders.items():
        entries.append((name + b"/", _entry(_FOLDER, name, _tree(inside))))
    body = b"".join(entry for _, entry in sorted(entries))
    return hashlib.sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def _entry(mode: int, name: bytes, id: str) -> bytes:
    return b"%o %s\0" % (mode, name) + bytes.fromhex(id)


def _copy(source: Path, target: str, mode: int) -> int:
    """Copy a file, sharing its blocks where the file system can; return its size."""
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(reading).st_size
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(target, flags, mode)
        try:
            os.fchmod(writing, mode)
            left = size
            while left:
                moved = os.copy_file_range(reading, writing, left)
                if not moved:
                    break
                left -= moved
            return size - left
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _enclosing_repository(folder: Path) -> Path | None:
    """Find the git folder of the nearest work tree around a folder."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            try:
                return git_dir_of(str(candidate))
            except NotFound:
                return None
    return None


def _walked(folder: Path) -> Iterator[str]:
    """Yield the files of a folder without git; nothing is ignored but what is ours or git's."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(where, name), folder)
