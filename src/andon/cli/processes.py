"""Other processes, named so that a reused process id is never taken for the one that was meant."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_POLL_SECONDS = 0.05


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if there is no such process.

    Source: proc_pid_stat(5), field 22.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])


def end(pid: int, ticks: int, patience_seconds: float) -> bool:
    """Ask one certain process to end, and wait.

    Args:
        pid: Its id.
        ticks: Its ``start_ticks``, without which nothing is done.
        patience_seconds: Longest wait.

    Returns:
        Whether it is gone.
    """
    if not ticks or start_ticks(pid) != ticks:
        return True
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while start_ticks(pid) == ticks:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
