"""Trees of files that others made: which names and links are safe, and where a job's tree lies.

Names are bytes here, because file systems and git do not promise text.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from andon.kernel.errors import Unavailable, UsageError

_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_MOST_LINKS_FOLLOWED = 40  # as Linux does (path_resolution(7))
_MOST_STEPS = 4096
MOST_PARTS = 256
"""How deep a tree may be: deeper than people make them, and less than what many programs stand."""
_LONGEST_PATH_BYTES = 4000


def shown(name: bytes) -> str:
    r"""Return a file name for a message: control characters and stray bytes escaped, cut at 120.

    >>> shown(b"caf\xe9\n")
    'caf\\xe9\\n'
    """
    text = name.decode("utf-8", "backslashreplace")
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def is_safe_name(name: bytes) -> bool:
    """Say whether a relative path names a place inside a tree, not too deep, and not git's own folder.

    >>> is_safe_name(b"a/-rf"), is_safe_name(b"a/../b"), is_safe_name(b"/etc"), is_safe_name(b"x/.GIT/y")
    (True, False, False, False)
    """
    if len(name) > _LONGEST_PATH_BYTES or b"\0" in name:
        return False
    parts = name.split(b"/")
    return len(parts) <= MOST_PARTS and not any(
        part in (b"", b".", b"..") or part.lower() == b".git" for part in parts
    )


def leads_outside(link: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Say whether following a symbolic link can leave its tree, by way of other links too.

    Args:
        link: Path of the link.
        links: Target of every link of the tree, by path.

    >>> leads_outside(b"a/up", {b"a/up": b"../b"}), leads_outside(b"a/up", {b"a/up": b"../.."})
    (False, True)
    >>> leads_outside(b"a/x", {b"a/x": b"top/../b", b"a/top": b".."})
    True
    """
    above: list[bytes] = []  # the folders that lead to where we are, the nearest last
    here = b""
    ahead = link.split(b"/")[::-1]
    followed = 0
    for _ in range(_MOST_STEPS):
        if not ahead:
            return False
        part = ahead.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not above:
                return True
            here = above.pop()
            continue
        there = here + b"/" + part if here else part
        target = links.get(there)
        if target is None:
            above.append(here)
            here = there
            continue
        if target.startswith(b"/"):
            return True
        followed += 1
        if followed > _MOST_LINKS_FOLLOWED:
            return False  # a loop: nobody can follow it anywhere
        ahead.extend(target.split(b"/")[::-1])
    return True  # for all that can be told with reasonable patience


def work_tree(work: Path, job_key: str) -> Path:
    """Return where the work tree of a job lies.

    Args:
        work: Folder of all work trees.
        job_key: Idempotency key of its RunJob.

    Raises:
        UsageError: The key cannot name a folder.
    """
    name = job_key.replace("/", "_")
    if not name or name.startswith(".") or "\0" in name:
        raise UsageError(f"{job_key!r} cannot name the work tree of a job")
    return work / name


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, read-only folders too; a missing one is fine.

    A job may have made it deeper than a path can be long: what lies deeper is first moved up.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    root = os.fsencode(path)
    names = (b".%d-%d" % (threading.get_ident(), number) for number in itertools.count())
    while folders := _files_removed(root):
        for folder in folders:
            for below in _files_removed(folder):
                with suppress(FileNotFoundError):  # somebody else removes it, too
                    os.chmod(below, 0o700)  # to move a folder is to write into it
                    os.rename(below, os.path.join(root, next(names)))
            with suppress(FileNotFoundError):
                os.rmdir(folder)
    with suppress(FileNotFoundError):
        os.rmdir(root)


def _files_removed(folder: bytes) -> list[bytes]:
    """Remove the files of a folder; return the folders in it."""
    try:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as found:
            inside = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in found]
    except FileNotFoundError:
        return []
    for path, is_folder in inside:
        if not is_folder:
            with suppress(FileNotFoundError):
                os.unlink(path)
    return [path for path, is_folder in inside if is_folder]


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """Make a folder beside the place that it is to take (see ``settle``), or leave nothing of it.

    It is locked while it is made; what a killed process left there is not, and is removed.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(place.parent):
        if name.startswith(f".{place.name}."):
            remove_abandoned(place.with_name(name))
    lock, made = _locked_folder(place)
    try:
        made.chmod(0o755)
        yield made
    finally:
        remove_tree(made)
        os.close(lock)


def settle(made: Path, place: Path) -> None:
    """Let a folder take its place by rename, unless another process was quicker."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def remove_abandoned(path: Path) -> None:
    """Remove a folder that was being made, if its maker is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if _try_lock(lock):
            remove_tree(path)
    finally:
        os.close(lock)


def _locked_folder(place: Path) -> tuple[int, Path]:
    while True:
        made = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # Taken for abandoned before it could be locked.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return lock, made
        os.close(lock)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable (a rename is not, until its folder is)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a lock between processes; yields its descriptor.

    A child that keeps the descriptor open keeps the lock too, should this process die.

    Raises:
        Unavailable: Another process does not let go of it: it may have been stopped.
    """
    with locked_if_free(path, _PATIENCE_SECONDS) as descriptor:
        if descriptor is None:
            raise Unavailable(
                f"Another process has held {path} for {_PATIENCE_SECONDS:g} s",
                hint=f"fuser {path} shows which: it may be stopped, and can be ended",
            )
        yield descriptor


@contextmanager
def locked_if_free(path: Path, patience_seconds: float) -> Iterator[int | None]:
    """Hold a lock between processes that only keeps them from wasting work.

    Args:
        path: The file that is locked; it stays.
        patience_seconds: After which it yields None, because a stopped process must stop no other.
    """
    descriptor = take_lock(path, patience_seconds)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def take_lock(path: Path, patience_seconds: float) -> int | None:
    """Lock a file, and return the descriptor that holds the lock until it is closed; None: too late."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            return None
        time.sleep(_POLL_SECONDS)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
