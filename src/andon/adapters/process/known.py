"""The jobs that a process knows: those under way, and the latest of those that ended.

Of all others the files tell; only a journal, which is read as a whole, does not.
"""

from __future__ import annotations

import logging
import sys

from andon.adapters.process.records import JobRecord, Records, forget_oldest
from andon.kernel.errors import Unavailable

_log = logging.getLogger("andon.jobs")


class Known:
    """Jobs by key.

    Args:
        written: Where they are written down, and where those are looked up that are not at hand.
    """

    def __init__(self, written: Records) -> None:
        self._written = written
        self._at_hand: dict[str, JobRecord] = {}
        self._unwritten: set[str] = set()
        self._inherited = sys.maxsize  # Until it is known who there was, nobody is forgotten.

    def get(self, key: str) -> JobRecord | None:
        """Return a job that was seen: it runs or ended."""
        return self._at_hand.get(key) or self._written.find(key)

    def under_way(self, key: str) -> JobRecord:
        """Return a job that has not ended."""
        return self._at_hand[key]

    def running(self) -> list[JobRecord]:
        """Return the jobs without outcome."""
        return [record for record in self._at_hand.values() if record.outcome is None]

    def inherit(self, record: JobRecord) -> None:
        """Know a job of an earlier process."""
        if record.outcome is None or not self._written.finds:
            self._at_hand[record.key] = record

    def inherited(self) -> None:
        """Know that these were all."""
        self._inherited = len(self._at_hand)

    def save(self, record: JobRecord) -> JobRecord:
        """Write a job down.

        Raises:
            Unavailable: The disk is full or cannot be written.
        """
        self._written.save(record)
        self._at_hand[record.key] = record
        return record

    def try_save(self, record: JobRecord) -> None:
        """Write down what happened; a full disk does not undo it, and a new agent finds out again."""
        self._at_hand[record.key] = record
        try:
            self._written.save(record)
            self._unwritten.discard(record.key)
        except Unavailable as error:
            self._unwritten.add(record.key)
            _log.error("%s", error)

    def conclude(self, record: JobRecord) -> None:
        """Write down how a job ended, and let go of the one that ended longest ago, where there are many."""
        self.try_save(record)
        forget_oldest(self._at_hand, self._inherited, self._unwritten)

    def forget(self, key: str) -> None:
        """Drop a job that never began."""
        del self._at_hand[key]
        self._written.forget(key)
