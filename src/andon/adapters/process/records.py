"""What is written down of jobs: a durable file for each, or one journal of a process that is alone."""

from __future__ import annotations

import itertools
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from andon.adapters.process.files import read_all, read_json, safe_name, unwritable, write_json
from andon.adapters.process.spawn import Group
from andon.adapters.process.verdicts import EndedFor
from andon.api.v1.actions import JobDone

KEPT_IN_MEMORY = 256
"""So many ended jobs stay at hand: who asks for one again asks soon."""


class JobRecord(Struct, frozen=True, kw_only=True):
    """What is written down of a job, before, while and after it runs."""

    key: str
    run: str
    name: str
    log: str
    started_at: float
    timeout_seconds: float
    group: Group
    masked: bool = False
    ended_for: EndedFor = ""
    steps: tuple[str, ...] = ()
    services: dict[str, int] = {}
    disk_bytes: int = 0
    """What it may take of the disk; 0: what there is."""
    filled: str = ""
    """That it took too much of the disk, in words."""
    outcome: JobDone | None = None


class Records(Protocol):
    """Where they are written down."""

    finds: bool
    """Whether one of many is found at once."""

    def load(self) -> Iterable[JobRecord]:
        """Read what an earlier process wrote."""
        ...

    def save(self, record: JobRecord) -> None:
        """Write one down.

        Raises:
            Unavailable: The disk is full or cannot be written.
        """
        ...

    def find(self, key: str) -> JobRecord | None:
        """Read one; None: it was not written down, or is not found alone."""
        ...

    def forget(self, key: str) -> None:
        """Drop one."""
        ...

    def marker(self, key: str) -> str:
        """Return what all processes of a job carry."""
        ...


class RecordFiles:
    """One durable file a job: an agent outlives whoever asks it, and a power cut.

    Args:
        folder: Where they lie.
    """

    finds = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> list[JobRecord]:
        """Read what an earlier process wrote."""
        return read_all(self._folder, JobRecord)

    def save(self, record: JobRecord) -> None:
        """Replace the file of one."""
        write_json(self._file(record.key), record)

    def find(self, key: str) -> JobRecord | None:
        """Read the file of one."""
        return read_json(self._file(key), JobRecord)

    def forget(self, key: str) -> None:
        """Remove the file of one."""
        self._file(key).unlink(missing_ok=True)

    def marker(self, key: str) -> str:
        """Return the name of the file."""
        return str(self._file(key))

    def _file(self, key: str) -> Path:
        return self._folder / f"{safe_name(key)}.json"


class Journal:
    """Lines in one file that outlive this process, not the machine: what is durable is the intent.

    Args:
        folder: Where it lies.
    """

    finds = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "jobs.journal"
        self._descriptor: int | None = None
        self.was_left = self._path.exists()
        """Whether an earlier process did not come to its end."""
        self._open()

    def load(self) -> list[JobRecord]:
        """Read what an earlier process wrote; a line it did not finish says nothing."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        latest: dict[str, JobRecord] = {}
        for line in lines:
            try:
                record = msgspec.json.decode(line, type=JobRecord)
            except msgspec.DecodeError:
                continue
            latest[record.key] = record
        return list(latest.values())

    def save(self, record: JobRecord) -> None:
        """Append a line: before a job starts, too, or who takes it up might think that it never did."""
        line = msgspec.json.encode(record) + b"\n"
        try:
            if os.write(self._open(), line) < len(line):
                raise OSError(28, os.strerror(28))
        except OSError as error:
            raise unwritable(self._path, error) from error

    def find(self, key: str) -> JobRecord | None:
        """Find none: whoever needs them remembers them."""
        return None

    def forget(self, key: str) -> None:
        """Keep the line: the file goes as a whole."""

    def marker(self, key: str) -> str:
        """Return a name that all markers of this journal begin alike."""
        return f"{self._folder}/{safe_name(key) if key else ''}"

    def end(self) -> None:
        """Remove it: nothing runs, and every outcome in it is durable elsewhere."""
        self._path.unlink(missing_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor


def forget_oldest(
    records: dict[str, JobRecord], inherited: int, unwritten: Container[str] = ()
) -> None:
    """Drop the oldest job that ended, where there are many.

    Args:
        records: By key, the oldest first.
        inherited: So many are of an earlier process; nobody may have heard their outcomes yet, and who asks
            for a job that nobody knows would have it run again.
        unwritten: Those whose end could not be written down; nobody else knows of it.
    """
    if len(records) - inherited > KEPT_IN_MEMORY:
        heard = itertools.islice(records.values(), inherited, None)
        oldest = next((one for one in heard if one.outcome and one.key not in unwritten), None)
        if oldest is not None:
            del records[oldest.key]
