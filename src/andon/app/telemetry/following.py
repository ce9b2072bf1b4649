"""Follows the log files of the state folder: services, jobs, the agent.

How far a file was read is kept with its lines, so none is taken twice and none is missed, whenever the
process is killed. A file that was rotated (copied to ``NAME.1`` and emptied) is read to its end in the copy.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from pathlib import Path

from msgspec import Struct

from andon.adapters.process.logs import read_chunk
from andon.app.builds.ansi import overwritten, plain
from andon.domains.observability.saying import parse_line
from andon.ports.telemetry import LogLine, LogStore

SERVICES = "services"
SUFFIX = ".log"
AGENT = "agent"
PIECE_BYTES = 1 << 20
ROUND_BYTES = 16 << 20
LONGEST_LINE_BYTES = 64 << 10
UNFINISHED_SECONDS = 5.0
WARM_SECONDS = 600.0
FINGERPRINT_BYTES = 64
NS = 1_000_000_000


class LogFile(Struct, frozen=True):
    """A log file.

    Args:
        name: What its mark goes by.
        path: Where it lies.
        labels: Of its lines.
        run: The Run it belongs to; empty: none.
    """

    name: str
    path: Path
    labels: dict[str, str]
    run: str = ""


class Mark(Struct, frozen=True):
    """How far a file was read, and how it began then."""

    offset: int
    looked: int
    begins: int

    def __str__(self) -> str:
        return f"{self.offset}:{self.looked}:{self.begins}"

    @staticmethod
    def parse(text: str) -> Mark:
        """Read a mark."""
        offset, looked, begins = text.split(":")
        return Mark(int(offset), int(looked), int(begins))


class Follower:
    """Reads what files have more of than before. Blocks: for a thread.

    Args:
        logs: The folder of logs.
        agent_log: The agent's own.
        store: Where lines go.
        keep_seconds: What was last written longer ago is not begun.
        zone: Of times that do not tell theirs.
    """

    def __init__(
        self, logs: Path, agent_log: Path, store: LogStore, keep_seconds: float, zone: tzinfo = UTC
    ) -> None:
        self._logs, self._agent_log = logs, agent_log
        self._store = store
        self._keep_seconds = keep_seconds
        self._zone = zone
        self._marks = {
            name: Mark.parse(one)
            for name, one in store.marks().items()
            if name == AGENT or name.endswith(SUFFIX)
        }
        self._seen: dict[str, tuple[int, int]] = {}
        self._warm: list[str] = []
        self.known = 0
        """How many files there are."""

    def find_all(self, now: float) -> list[LogFile]:
        """Return every file that has more than was read; forget those that are gone."""
        found: set[str] = set()
        warm: list[str] = []
        for one in self._files():
            found.add(one.name)
            if self._is_warm(one, now):
                warm.append(one.name)
        self.known = len(found)
        gone = [name for name in self._marks if name not in found]
        if gone:
            self._store.append([], dict.fromkeys(gone, ""))
            for name in gone:
                self._marks.pop(name, None)
        self._warm = warm
        self._seen = {name: self._seen[name] for name in warm if name in self._seen}
        return self.find_warm()

    def find_warm(self) -> list[LogFile]:
        """Return files written lately that have more than was read."""
        return [self._file(name) for name in self._warm if self._has_more(name)]

    def take(
        self, files: list[LogFile], facts: Mapping[str, Mapping[str, str]], now: float
    ) -> bool:
        """Take what files have more, so much at a time.

        Args:
            files: Those that have more.
            facts: Labels of Runs, by name.
            now: The time, in seconds.

        Returns:
            Whether there is still more.

        Raises:
            Unavailable: The lines cannot be kept; they are taken next time.
        """
        taken, more = 0, False
        for file in files:
            if taken >= ROUND_BYTES:
                return True
            size = self._take(file, facts.get(file.run, {}), now)
            taken += size
            more = more or size >= PIECE_BYTES
        return more

    # --- files -----------------------------------------------------------------------------------

    def _files(self) -> Iterator[LogFile]:
        yield self._file(AGENT)
        for folder in _entries(self._logs):
            if folder.is_dir(follow_symlinks=False):
                for one in _entries(Path(folder.path)):
                    if one.name.endswith(SUFFIX) and one.is_file(follow_symlinks=False):
                        yield self._file(f"{folder.name}/{one.name}")

    def _file(self, name: str) -> LogFile:
        if name == AGENT:
            return LogFile(name, self._agent_log, {"source": "andon", "service": "andon-agent"})
        folder, _, file = name.partition("/")
        return _log_file(folder, self._logs / folder / file)

    def _is_warm(self, file: LogFile, now: float) -> bool:
        try:
            facts = file.path.stat()
        except OSError:
            return False
        mark = self._marks.get(file.name)
        if mark is None:
            return now - facts.st_mtime < self._keep_seconds
        return now - facts.st_mtime < WARM_SECONDS or facts.st_size != mark.offset

    def _has_more(self, name: str) -> bool:
        path = self._agent_log if name == AGENT else f"{self._logs}/{name}"
        try:
            facts = os.stat(path)
        except OSError:
            return False
        return self._seen.get(name) != (facts.st_mtime_ns, facts.st_size)

    # --- reading ---------------------------------------------------------------------------------

    def _take(self, file: LogFile, facts: Mapping[str, str], now: float) -> int:
        """Take a piece of a file; returns how many bytes it had."""
        try:
            stat = file.path.stat()
            mark = self._marks.get(file.name, Mark(0, 0, 0))
            before = b""
            if not _begins_so(file.path, mark, stat.st_size):
                before = _rest(file.path.with_name(f"{file.path.name}.1"), mark)
                mark = Mark(0, 0, 0)
            data, following = read_chunk(file.path, mark.offset, PIECE_BYTES)
        except OSError:
            return 0
        quiet = now - stat.st_mtime >= UNFINISHED_SECONDS
        whole = _whole_lines(data, end=quiet and len(data) < PIECE_BYTES)
        offset = following - len(data) + whole
        after = _fingerprint(file.path, offset)
        lines = self._lines(before + data[:whole], {**file.labels, **facts}, now)
        self._store.append(lines, {file.name: str(after)})
        self._marks[file.name] = after
        if whole == len(data) and len(data) < PIECE_BYTES:
            self._seen[file.name] = (stat.st_mtime_ns, stat.st_size)
        return len(data)

    def _lines(self, data: bytes, labels: dict[str, str], now: float) -> list[LogLine]:
        now_ns = int(now * NS)
        at_ns, found = now_ns, []
        for raw in data.split(b"\n"):
            for start in range(0, len(raw), LONGEST_LINE_BYTES):
                text = raw[start : start + LONGEST_LINE_BYTES].decode(errors="replace")
                text = plain(overwritten(text.rstrip("\r"))).rstrip()
                if not text:
                    continue
                said = parse_line(text, now_ns, self._zone)
                # What says no time belongs to what came before it, such as the lines of a stack trace.
                at_ns = said.at_ns or at_ns
                found.append(
                    LogLine(
                        at_ns=at_ns,
                        text=text,
                        labels=labels,
                        severity=said.severity,
                        trace=said.trace,
                        span=said.span,
                    )
                )
        return found


def _log_file(folder: str, path: Path) -> LogFile:
    name = f"{folder}/{path.name}"
    stem = path.name.removesuffix(SUFFIX)
    if folder != SERVICES:
        job = stem.rpartition("-")[0] or stem
        return LogFile(name, path, {"source": "job", "run": folder, "job": job}, run=folder)
    environment, _, rest = stem.partition(".")
    service, _, version = rest.partition(".")
    version, _, replica = version.rpartition(".")
    labels = {"source": "service", "environment": environment, "service": service}
    return LogFile(name, path, labels | {"version": version, "replica": replica})


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda one: one.name)
    except OSError:
        return []


def _whole_lines(data: bytes, *, end: bool) -> int:
    """Return how many bytes are whole lines, or must be taken for such."""
    cut = data.rfind(b"\n") + 1
    return len(data) if end or (not cut and len(data) >= LONGEST_LINE_BYTES) else cut


def _fingerprint(path: Path, offset: int) -> Mark:
    looked = min(offset, FINGERPRINT_BYTES)
    return Mark(offset, looked, _begins(path, looked))


def _begins(path: Path, looked: int) -> int:
    with path.open("rb") as file:
        return zlib.crc32(file.read(looked))


def _begins_so(path: Path, mark: Mark, size: int) -> bool:
    return size >= mark.offset and _begins(path, mark.looked) == mark.begins


def _rest(copy: Path, mark: Mark) -> bytes:
    """Return what the copy of a rotated file has behind a mark; nothing, if it is not that file's."""
    try:
        if not mark.offset or not _begins_so(copy, mark, copy.stat().st_size):
            return b""
        with copy.open("rb") as file:
            file.seek(mark.offset)
            return file.read().rstrip(b"\n") + b"\n"
    except OSError:
        return b""
