"""One agent per state folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from andon.kernel.clock import rfc3339
from andon.kernel.errors import Conflict


def hold(file: Path) -> IO[str]:
    """Take the lock for as long as the returned file stays open.

    Raises:
        Conflict: Another agent holds it.
    """
    lock = file.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "a process that is just starting"
        lock.close()
        raise Conflict(
            f"the agent of {file.parent.parent} already runs: {holder}",
            hint="`andon status` asks it; `andon down` ends it",
        ) from None
    return lock


def sign(lock: IO[str], now: float) -> None:
    """Write down who holds the lock."""
    lock.truncate(0)
    lock.write(f"pid {os.getpid()} since {rfc3339(now)}\n")
    lock.flush()
