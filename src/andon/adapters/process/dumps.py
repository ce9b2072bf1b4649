"""No memory of a process that knows secrets is written to a disk when it crashes."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator

from andon.adapters.process import procfs

_PR_SET_DUMPABLE = 4
_LIMIT_BYTES = 1
"""Too few for a file; and, other than 0, it also refuses the program a kernel may hand dumps to."""


def keep_mine() -> None:
    """Have this process never dumped, nor read by others of its user."""
    import ctypes  # Only an agent that is given secrets needs it.

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextlib.contextmanager
def keeping_childrens() -> Iterator[None]:
    """Have processes that are started meanwhile never dumped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (_least(hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def bar(pid: int) -> None:
    """Take from a process, started so, and what it has started, the right to be dumped after all."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    barred: set[int] = set()
    while ahead := procfs.with_descendants([pid]) - barred:  # Those born later inherit it.
        for one in ahead:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                resource.prlimit(one, resource.RLIMIT_CORE, (_least(hard), _least(hard)))
        barred |= ahead


def _least(hard: int) -> int:
    return _LIMIT_BYTES if hard == resource.RLIM_INFINITY else min(_LIMIT_BYTES, hard)
