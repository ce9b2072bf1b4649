"""What ``/proc`` says. A process is known by pid and start time, because pids are used again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

MARKER = "ANDON_PROCESS"
"""Environment variable that every process started here, and all its descendants, carry."""


class ProcessId(Struct, frozen=True):
    """One process, for ever: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return None
    return text[text.rindex(")") + 2 :].split()


def identify(pid: int) -> ProcessId | None:
    """Return the identity of a running process; None if there is none (a zombie does not run)."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessId(pid, int(fields[19]))


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


def _carries(pid: int, marker: bytes) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return marker in environment.split(b"\0")


def marked(marker: str) -> set[int]:
    """Find the running processes started with this marker, and their descendants.

    Args:
        marker: Value of the ``MARKER`` variable.
    """
    wanted = f"{MARKER}={marker}".encode()
    return {pid for pid in _pids() if _carries(pid, wanted) and identify(pid)}


def in_session(leader: ProcessId) -> set[int]:
    """Find the members of a session whose leader still runs (else its number may be used again)."""
    if not is_alive(leader):
        return set()
    return {pid for pid in _pids() if session_of(pid) == leader.pid and identify(pid)}
