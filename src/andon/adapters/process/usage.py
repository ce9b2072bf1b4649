"""What a job used: as its control group counted it, or else as the kernel told of the ended child."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from msgspec import Struct

from andon.adapters.process.cgroups import Cgroup


class Usage(Struct, frozen=True, kw_only=True):
    """Processor time of all its processes, and the most memory they had."""

    cpu_seconds: float = 0
    memory_bytes: int = 0

    def at_least(self, other: Usage) -> Usage:
        """Return the larger of each: who counts fewer processes has seen less."""
        return Usage(
            cpu_seconds=max(self.cpu_seconds, other.cpu_seconds),
            memory_bytes=max(self.memory_bytes, other.memory_bytes),
        )


def most_memory() -> int:
    """Return nine tenths of the machine's memory, in bytes: a job that takes more ends alone."""
    return all_memory() // 10 * 9


def all_memory() -> int:
    """Return the machine's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def of_cgroup(cgroup: Cgroup) -> Usage:
    """Return what a control group counted."""
    usages = [
        Usage(cpu_seconds=_cpu_seconds(folder), memory_bytes=_memory_bytes(folder))
        for folder in cgroup.folders
    ]
    found = Usage()
    for usage in usages:
        found = found.at_least(usage)
    return found


def wait_and_measure(pid: int) -> tuple[int | None, Usage]:
    """Wait for a child; return its exit code, negative for a signal, and what it used; None: nobody knows.

    A child begins as our copy, so that less memory than we ever had ourselves tells nothing.
    """
    try:
        _, status, used = os.wait4(pid, 0)
    except ChildProcessError:  # Somebody else has waited for it: that is no pass.
        return None, Usage()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = used.ru_maxrss * 1024 if used.ru_maxrss > own else 0
    seconds = used.ru_utime + used.ru_stime
    return os.waitstatus_to_exitcode(status), Usage(cpu_seconds=seconds, memory_bytes=memory)


def _cpu_seconds(folder: str) -> float:
    for line in _read(f"{folder}/cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec":
            return int(value) / 1e6
    return int(_read(f"{folder}/cpuacct.usage") or 0) / 1e9


def _memory_bytes(folder: str) -> int:
    return max(
        int(_read(f"{folder}/{name}") or 0) for name in ("memory.peak", "memory.max_usage_in_bytes")
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
