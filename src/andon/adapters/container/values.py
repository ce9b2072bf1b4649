"""Secrets on their way into a container: through a pipe, so that no engine keeps them on its disk."""

from __future__ import annotations

import errno
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

NAME = "andon-values"
"""Below ``$TMPDIR``; the job's first shell reads and removes it."""
_POLL_SECONDS = 0.02


def lay(folder: Path) -> None:
    """Make the pipe, unless it is there."""
    try:
        os.mkfifo(folder / NAME, 0o600)
    except FileExistsError:
        pass


def hand_over(folder: Path, values: Mapping[str, str]) -> None:
    """Write the values once somebody reads; returns when they were read, or the pipe is gone."""
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    pipe = folder / NAME
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENXIO:  # Nobody reads yet.
                raise
            time.sleep(_POLL_SECONDS)
            continue
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        return
