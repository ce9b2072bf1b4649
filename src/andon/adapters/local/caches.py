"""Folders kept between Runs: found again by what they were made from, forgotten when least used.

An entry is a small file named by its key that says which blob holds the content; its time is when it was
last used. Entries are never changed: what is made from the same is the same. Whoever adds or removes one
holds the lock; readers need none, as a blob that was opened stays readable when it is removed.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from andon.adapters.blobs.files import FileBlobs, digest_of
from andon.adapters.durable import write_durably
from andon.adapters.filetree import locked
from andon.adapters.local.picking import Putting, pick
from andon.adapters.oci.pack import Member, write_tar
from andon.api.v1.jobs import CachePlan
from andon.kernel.errors import NotFound, StepFailed, Untrusted

MOST_BYTES = 10 << 30
"""All caches together."""


class Entry(Struct, frozen=True, kw_only=True):
    """Where the content of a key is."""

    digest: str
    size_bytes: int
    kept_at: float


class Caches:
    """The caches of one state folder.

    Args:
        folder: Made when the first one is kept.
        now: The time, in seconds since the Unix epoch.
        most_bytes: Of all; those least recently used are forgotten first. One alone may have half.
    """

    def __init__(
        self, folder: Path, now: Callable[[], float], most_bytes: int = MOST_BYTES
    ) -> None:
        self._entries = folder / "entries"
        self._lock = folder / "lock"
        self._blobs = FileBlobs(folder / "blobs")
        self._now = now
        self._most_bytes = most_bytes

    def restore(self, plan: CachePlan, scope: str, key: str, tree: Path) -> str:
        """Bring a cache into a tree; files that are there stay.

        Args:
            plan: The cache.
            scope: Whose it is, and of which kind of machine (see ``scope_of``).
            key: See ``key_of``.
            tree: Work tree that no job runs in yet.

        Returns:
            ``hit``, ``nearest`` or ``miss``.
        """
        folder = self._folder(scope, plan.name)
        if self._bring(folder / key, tree):
            return "hit"
        if plan.nearest and any(self._bring(other, tree) for other in self._newest(folder)):
            return "nearest"
        return "miss"

    def keep(self, plan: CachePlan, scope: str, key: str, tree: Path) -> str:
        """Keep a cache, unless there is one of its key.

        Returns:
            Why it was not kept, in words; empty: it was, or was there.
        """
        entry = self._folder(scope, plan.name) / key
        if entry.exists():
            return ""
        root = os.fsencode(tree)
        try:
            members = pick(root, plan.paths)
            size_bytes = sum(member.size_bytes for member in members)
            if not any(member.size_bytes or member.target for member in members):
                return "there is nothing at " + ", ".join(plan.paths)
            if size_bytes > self._most_bytes // 2:
                return f"its {size_bytes} bytes are more than half of the {self._most_bytes} of all"
            self._add(entry, root, members)
        except StepFailed as error:
            return error.message
        self.trim()
        return ""

    def trim(self) -> int:
        """Forget the least recently used beyond the limit; return how many bytes are left."""
        with locked(self._lock):
            found = sorted(self._all(), key=lambda one: one[0].stat().st_mtime, reverse=True)
            sizes: dict[str, int] = {}
            for file, entry in found:
                sizes.setdefault(entry.digest, entry.size_bytes)
                if sum(sizes.values()) > self._most_bytes:
                    self._forget(file, entry, found)
                    sizes.pop(entry.digest)
            return sum(sizes.values())

    def _add(self, entry: Path, root: bytes, members: list[Member]) -> None:
        digest, size_bytes = self._blobs.add(lambda sink: write_tar(root, members, sink))
        said = Entry(digest=digest, size_bytes=size_bytes, kept_at=self._now())
        with locked(self._lock):
            if not self._blobs.has(digest):  # Forgotten with an entry of the same content just now.
                self._blobs.add(lambda sink: write_tar(root, members, sink))
            write_durably(entry, msgspec.json.encode(said))
            os.utime(entry, (said.kept_at, said.kept_at))

    def _forget(self, file: Path, entry: Entry, found: Iterable[tuple[Path, Entry]]) -> None:
        file.unlink(missing_ok=True)
        if not any(other.digest == entry.digest and path.exists() for path, other in found):
            self._blobs.delete(entry.digest)

    def _bring(self, file: Path, tree: Path) -> bool:
        entry = _read(file)
        if entry is None:
            return False
        try:
            blob = self._blobs.path(entry.digest)
            if digest_of(blob) != entry.digest:
                raise Untrusted(f"the cache {file.name} was altered")
            with blob.open("rb") as tar:
                putting = Putting(os.fsencode(tree), replacing=False, any_links=True)
                putting.put(tar, entry.size_bytes)
        except (NotFound, Untrusted, FileNotFoundError):
            file.unlink(missing_ok=True)  # Damaged: made anew by whoever passes next.
            return False
        moment = self._now()
        os.utime(file, (moment, moment))
        return True

    def _newest(self, folder: Path) -> list[Path]:
        kept = [(file, _read(file)) for file in _files(folder)]
        found = [(entry.kept_at, file) for file, entry in kept if entry is not None]
        return [file for _, file in sorted(found, reverse=True)]

    def _all(self) -> list[tuple[Path, Entry]]:
        files = [
            file
            for scope in _folders(self._entries)
            for name in _folders(scope)
            for file in _files(name)
        ]
        read = [(file, _read(file)) for file in files]
        return [(file, entry) for file, entry in read if entry is not None]

    def _folder(self, scope: str, name: str) -> Path:
        return self._entries / scope / hashlib.sha256(name.encode()).hexdigest()[:32]


def scope_of(repository: str, image: str) -> str:
    """Return whose caches may meet: those of one repository, system, processor and image."""
    said = [repository, platform.system(), platform.machine(), image]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:32]


def key_of(plan: CachePlan, tree: Path) -> str:
    """Return the digest of everything that a cache says it is made from.

    Args:
        plan: The cache.
        tree: Where its files are read, before the job runs.

    Raises:
        StepFailed: A pattern can fit nothing, or what fits is no file.
    """
    root = os.fsencode(tree)
    said = hashlib.sha256(msgspec.json.encode([plan.name, plan.paths, plan.key, plan.also]))
    for member in pick(root, plan.key):
        content = b"" if member.kind != b"0" else _digest(os.path.join(root, member.name))
        facts = (member.name, member.kind, member.target, content)
        said.update(msgspec.json.encode([fact.hex() for fact in facts]))
    return said.hexdigest()


def _digest(path: bytes) -> bytes:
    return digest_of(Path(os.fsdecode(path))).encode()


def _read(file: Path) -> Entry | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Entry)
    except (OSError, msgspec.MsgspecError):
        return None


def _folders(folder: Path) -> list[Path]:
    return [path for path in _children(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _children(folder) if not path.name.startswith(".")]


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
