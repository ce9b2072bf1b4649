"""What a job in a container prints: straight into its log, or, where it has secrets, through a masker.

The engine keeps none of it: not on its disk, not line by line, and no secret in clear. The masker is a
process of its own behind a named pipe, so that it goes on when this process does not; another one finds it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from andon.adapters.process import dumps
from andon.adapters.process.masked import Masking, start_masker
from andon.adapters.process.spawn import Group
from andon.kernel.errors import Unavailable

PIPE = "andon-said"
"""Below ``$TMPDIR``; the job's first shell opens and removes it."""


class Hearing:
    """The masker of one job.

    Args:
        name: Of its container.
        folder: What the job knows as ``$TMPDIR``.
        log: Where it tells what it heard.
        heard: The file that it leaves once it has told all.
    """

    def __init__(self, name: str, folder: Path, log: Path, heard: Path) -> None:
        self._group = Group(marker=name)
        self._pipe = folder / PIPE
        self._log = log
        self._heard = heard
        self._kept_open = -1
        self._masking: Masking | None = None

    def lay(self) -> None:
        """Make the pipe, unless it is there."""
        if not self._pipe.is_fifo():
            os.mkfifo(self._pipe, 0o600)

    def begin(self, values: Collection[str]) -> None:
        """Find the masker; start one if nobody has opened the pipe yet.

        Raises:
            Unavailable: The machine cannot start it.
        """
        self._masking = Masking.found(self._group, self._heard)
        if self._masking.is_there or not self._pipe.is_fifo():
            return
        self._heard.unlink(missing_ok=True)
        dumps.keep_mine()
        with dumps.keeping_childrens():
            masker = start_masker(self._group, self._log, values, self._heard, self._opened())
        dumps.bar(masker.identity.pid)
        self._masking = Masking(self._group, masker, self._heard)

    def _opened(self) -> int:
        """Return the pipe's end to read; the other one is kept open until the job has it, too."""
        try:
            reading = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
            self._kept_open = os.open(self._pipe, os.O_WRONLY)
        except OSError as error:
            raise Unavailable(f"{self._pipe} cannot be opened: {error.strerror}") from error
        os.set_blocking(reading, True)
        return reading

    def let_go(self) -> None:
        """Leave the masker to those that print, if there are any."""
        if self._kept_open >= 0:
            os.close(self._kept_open)
            self._kept_open = -1

    async def end(self) -> bool:
        """Wait until all is told that the job, which is over, has printed; say whether it was."""
        return await self._masking.end() if self._masking else True

    def forget(self) -> None:
        """Remove what it left."""
        self._heard.unlink(missing_ok=True)
