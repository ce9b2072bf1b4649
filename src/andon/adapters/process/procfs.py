"""What ``/proc`` says. A process is known by pid and start time, because pids are used again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

_MOST_AT_ONCE = 1 << 16
MARKER = "ANDON_PROCESS"
"""Environment variable that every process started here, and all its descendants, carry."""


class ProcessId(Struct, frozen=True):
    """One process, for ever: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


def _read(path: str) -> bytes:
    """Read a file of ``/proc``; pathlib and decoding cost more than the kernel does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(descriptor, _MOST_AT_ONCE)
        while more := os.read(descriptor, _MOST_AT_ONCE):  # Of long ones it tells a page at a time.
            found += more
        return found
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[bytes] | None:
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    return text[text.rindex(b")") + 2 :].split()


def identify(pid: int) -> ProcessId | None:
    """Return the identity of a running process; None if there is none (a zombie does not run)."""
    fields = _stat(pid)
    if fields is None or fields[0] in b"ZX":
        return None
    return ProcessId(pid, int(fields[19]))


def is_zombie(pid: int) -> bool:
    """Say whether a process has ended, and nobody has asked how."""
    fields = _stat(pid)
    return fields is not None and fields[0] == b"Z"


def boot_id() -> str:
    """Tell this start of the machine from all others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def is_alive(process: ProcessId) -> bool:
    """Say whether this very process runs."""
    return identify(process.pid) == process


def session_of(pid: int) -> int:
    """Return the id of a process's session; 0 if the process is gone."""
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _environment(pid: int) -> bytes:
    try:
        return _read(f"/proc/{pid}/environ")
    except OSError:
        return b""


def has_environment(pid: int) -> bool:
    """Say whether a process has any environment variable."""
    return bool(_environment(pid))


def marked(marker: str, among: Iterable[int] | None = None) -> set[int]:
    """Find the running processes started with this marker, and their descendants.

    Args:
        marker: Value of the ``MARKER`` variable.
        among: Where to look; None: everywhere.
    """
    wanted = f"{MARKER}={marker}".encode()
    pids = _pids() if among is None else among
    return {pid for pid in pids if wanted in _environment(pid).split(b"\0") and identify(pid)}


def marked_below(prefix: str) -> set[int]:
    """Find the running processes whose marker begins so.

    Args:
        prefix: Beginning of the value of the ``MARKER`` variable.
    """
    wanted = f"\0{MARKER}={prefix}".encode()
    return {pid for pid in _pids() if wanted in b"\0" + _environment(pid) and identify(pid)}


def in_session(leader: ProcessId, among: Iterable[int] | None = None) -> set[int]:
    """Find the members of a session whose leader still runs (else its number may be used again).

    Args:
        leader: Of the session.
        among: Where to look; None: everywhere.
    """
    if not is_alive(leader):
        return set()
    pids = _pids() if among is None else among
    return {pid for pid in pids if session_of(pid) == leader.pid and identify(pid)}


def children(pid: int) -> list[int]:
    """Return the children of a process, those that ended and wait to be seen included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        lists = [_children_of(pid, thread) for thread in threads]
    except OSError:
        return []
    return [int(word) for words in lists for word in words.split()]


def own_children() -> list[int]:
    """Return what the main thread started, and the orphans that came to this process.

    While some end, the kernel may leave out others (proc(5), ``children``): what it says twice counts.
    """
    before, now = None, _own_children()
    while now != before:
        before, now = now, _own_children()
    return [int(word) for word in now.split()]


def _own_children() -> bytes:
    me = os.getpid()
    try:
        return _children_of(me, str(me))
    except OSError:
        return b""


def _children_of(pid: int, thread: str) -> bytes:
    return _read(f"/proc/{pid}/task/{thread}/children")


def with_descendants(pids: Iterable[int]) -> set[int]:
    """Return these processes and all below them."""
    found: set[int] = set()
    ahead = list(pids)
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += children(one)
    return found
