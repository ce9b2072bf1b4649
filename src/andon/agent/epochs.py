"""Fencing: whoever has seen a newer control plane obeys no older one, not even after a restart."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from andon.adapters.process.files import read_json, write_json
from andon.kernel.errors import Fenced


class _Seen(Struct, frozen=True):
    epoch: int


class Epochs:
    """The highest epoch seen.

    Args:
        file: Where it is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        seen = read_json(file, _Seen)
        self.highest = seen.epoch if seen else 0

    def admit(self, epoch: int) -> None:
        """Let a command of an epoch pass; a newer one is on disk before this returns.

        Raises:
            Fenced: A newer epoch was seen.
            Unavailable: The disk is full.
        """
        if epoch < self.highest:
            raise Fenced(
                f"epoch {epoch} is over: the agent obeys epoch {self.highest}",
                hint="another control plane has taken over; `andon status` says which",
            )
        if epoch > self.highest:
            write_json(self._file, _Seen(epoch))
            self.highest = epoch
