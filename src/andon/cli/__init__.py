"""The command line: one file a noun in ``commands``, loaded only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``andon`` and return its exit code.

    Args:
        arguments: Without the program's name; the process's own if None.
    """
    from andon.cli.run import run

    return run(arguments)
