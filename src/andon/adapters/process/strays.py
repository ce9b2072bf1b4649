"""Processes that shook off everything that said whose they are, below a process that inherits orphans.

Such a one is our child, as nobody else would have it, and in a session of nobody's: its leader is gone, or
is itself and has forgotten its whole environment, which nothing does that we start. While other jobs run it
may be theirs, so that whoever is the last to end ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from andon.adapters.process import procfs
from andon.adapters.process.spawn import see_off

_POLL_SECONDS = 0.02
_KILL_SECONDS = 5.0


async def end_strays() -> None:
    """End all strays, with what is below them."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (found := _strays()) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(_POLL_SECONDS)
        see_off(found)


def _strays() -> set[int]:
    ours = os.getsid(0)
    return procfs.with_descendants(
        child for child in procfs.own_children() if _is_stray(child, procfs.session_of(child), ours)
    )


def _is_stray(child: int, session: int, ours: int) -> bool:
    if session in (0, ours) or procfs.identify(child) is None:
        return False
    return not procfs.has_environment(child) if session == child else not _is_there(session)


def _is_there(pid: int) -> bool:
    return procfs.identify(pid) is not None
