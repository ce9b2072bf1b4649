"""The command line: one file a noun in ``commands``, loaded only when it is asked for."""

from __future__ import annotations

import gc
import signal
from collections.abc import Sequence

_GARBAGE_OBJECTS = 10_000
"""So many new ones are looked through for garbage: a start makes many and drops few."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the process ``andon``; return its exit code.

    Args:
        arguments: Without the program's name; the process's own if None.
    """
    # A caller that ignores its children has left that to us: nobody could tell how ours end.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.set_threshold(_GARBAGE_OBJECTS)
    from andon.cli.run import run

    try:
        return run(arguments)
    finally:
        gc.freeze()  # The end need not look through all that is there.
