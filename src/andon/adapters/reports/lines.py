"""Which lines and branches a suite went through, from any number of reports."""

from __future__ import annotations

import re

from andon.api.v1.actions import CoverageDone
from andon.kernel.digest import canonical_json
from andon.kernel.errors import InvalidDocument

MOST_LINES = 10_000_000
"""In one file; a longer one is no source."""
MOST_BYTES = 64 << 20
"""Of the marks of all files together: one byte a line, 64 a branch."""
_BRANCH_BYTES = 64
_KNOWN, _HIT = 1, 2
_RUNS = re.compile(rb"\x02+")


class Lines:
    """Marks of lines and branches by file; a line that one report says was hit, was."""

    def __init__(self) -> None:
        self._marks: dict[str, bytearray] = {}
        self._branches: dict[str, dict[int, tuple[int, int]]] = {}
        self._bytes = 0

    def mark(self, file: str, line: int, hit: bool) -> None:
        """Take note of a line.

        Raises:
            InvalidDocument: There are more of them than can be kept.
        """
        if not 0 < line <= MOST_LINES:
            raise InvalidDocument(f"names line {line}, which no source has")
        marks = self._marks.get(file)
        if marks is None:
            self._grow(200 + len(file))
            marks = self._marks[file] = bytearray()
        if line >= len(marks):
            more = line + 1 - len(marks)
            self._grow(more)
            marks.extend(bytes(more))
        marks[line] = max(marks[line], _HIT if hit else _KNOWN)

    def branch(self, file: str, line: int, taken: int, all_: int) -> None:
        """Take note of the branches at a line: the most that one report saw."""
        branches = self._branches.setdefault(file, {})
        if line not in branches:
            self._grow(_BRANCH_BYTES)
        before = branches.get(line, (0, 0))
        branches[line] = max(before[0], min(taken, all_)), max(before[1], all_)

    def _grow(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if self._bytes > MOST_BYTES:
            raise InvalidDocument("names more lines than can be kept")

    @property
    def files(self) -> int:
        """How many files are known."""
        return len(self._marks)

    def done(self) -> tuple[CoverageDone, bytes]:
        """Return the sums, without the blob, and the blob: ranges of lines hit, by file."""
        branches = [one for file in self._branches.values() for one in file.values()]
        covered = sum(marks.count(_HIT) for marks in self._marks.values())
        sums = CoverageDone(
            lines=covered + sum(marks.count(_KNOWN) for marks in self._marks.values()),
            covered=covered,
            branches=sum(all_ for _, all_ in branches),
            branches_covered=sum(taken for taken, _ in branches),
        )
        return sums, canonical_json({file: _ranges(marks) for file, marks in self._marks.items()})


def _ranges(marks: bytearray) -> list[list[int]]:
    return [[run.start(), run.end() - 1] for run in _RUNS.finditer(marks)]
