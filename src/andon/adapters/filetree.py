"""Trees of files that others made: which names and links are safe, and where a job's tree lies.

Names are bytes here, because file systems and git do not promise text.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from andon.kernel.errors import Unavailable, UsageError

_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_MOST_LINKS_FOLLOWED = 40  # as Linux does (path_resolution(7))


def shown(name: bytes) -> str:
    r"""Return a file name for a message: control characters and stray bytes escaped, cut at 120.

    >>> shown(b"caf\xe9\n")
    'caf\\xe9\\n'
    """
    text = name.decode("utf-8", "backslashreplace")
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return plain if len(plain) <= 120 else f"{plain[:117]}..."


def is_safe_name(name: bytes) -> bool:
    """Say whether a relative path names a place inside a tree, and not git's own folder.

    >>> is_safe_name(b"a/-rf"), is_safe_name(b"a/../b"), is_safe_name(b"/etc"), is_safe_name(b"x/.GIT/y")
    (True, False, False, False)
    """
    parts = name.split(b"/")
    return b"\0" not in name and not any(
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
    place: list[bytes] = []
    ahead = link.split(b"/")[::-1]
    followed = 0
    while ahead:
        part = ahead.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not place:
                return True
            place.pop()
            continue
        target = links.get(b"/".join([*place, part]))
        if target is None:
            place.append(part)
            continue
        if target.startswith(b"/"):
            return True
        followed += 1
        if followed > _MOST_LINKS_FOLLOWED:
            return False  # a loop: nobody can follow it anywhere
        ahead.extend(target.split(b"/")[::-1])
    return False


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
    """Remove a folder and all below it, read-only folders too; a missing one is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path, onerror=_unlock_and_retry)


def _unlock_and_retry(call: Callable[..., Any], path: str, _: Any) -> None:
    if not os.path.lexists(path):
        return
    os.chmod(os.path.dirname(path), 0o700)
    if call in (os.open, os.scandir):
        os.chmod(path, 0o700)
        shutil.rmtree(path)
    else:
        call(path)


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """Make a folder beside the place that it is to take (see ``settle``), or leave nothing of it.

    It is locked while it is made; what a killed process left there is not, and is removed.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    for path in place.parent.iterdir():
        if path.name.startswith(f".{place.name}."):
            remove_abandoned(path)
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
