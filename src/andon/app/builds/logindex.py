"""An index of a log, made as it grows: where its lines are, and which of them fold.

Its memory is bounded, however long the log or its lines are. Steps fold between the marks that terminals
and GitLab's log pages know; GitHub's ``::group::`` folds, too.
"""

from __future__ import annotations

import bisect
import re

from msgspec import Struct

from andon.app.builds.ansi import plain

BLOCK_BYTES = 64 * 1024
MOST_MARKS = 4096
MOST_GROUPS = 2000
LONGEST_BYTES = 8 * 1024
"""So much of a line is shown."""
LONG_BYTES = 512 * 1024
"""Lines longer than this are known by their ends, so that nobody has to read them to go on."""
_DEEPEST = 32
_TITLE_LENGTH = 200
_MARK = re.compile(
    rb"(?:^|\n)(?:[^\n]{0,64}?section_(?P<edge>start|end):[0-9]{1,20}:(?P<id>[\w.-]{1,100})"
    rb"[^\r\n]{0,100}\r?(?P<title>[^\n]{0,400})"
    rb"|::group::(?P<group>[^\n]{0,400})|::(?P<endgroup>endgroup)::)"
)


class Group(Struct):
    """Lines that fold.

    Args:
        title: What stands for them.
        first: The line with the mark.
        last: The last line in it; -1: it is still open.
    """

    title: str
    first: int
    last: int = -1
    id: str = ""


class Place(Struct, frozen=True):
    """Where a line begins."""

    line: int
    offset: int


class LogIndex:
    """Where a log's lines are.

    Attributes:
        size: Bytes that were read.
        lines: Whole lines among them.
        unfinished: Bytes of the line that has not ended yet.
        groups: What folds, in the order of the log.
        left_out: Some groups are not listed: there are too many, or too many in one another.
    """

    def __init__(self) -> None:
        self.size = 0
        self.lines = 0
        self.unfinished = 0
        self.groups: list[Group] = []
        self.left_out = False
        self._marks = [Place(0, 0)]
        self._every = BLOCK_BYTES
        self._open: list[Group] = []
        self._kept = b""
        self._long: dict[int, int] = {}

    @property
    def count(self) -> int:
        """Lines to be shown: one that has not ended counts, too."""
        return self.lines + (1 if self.unfinished else 0)

    def go_on_at(self, offset: int) -> None:
        """Pass over what was left out of a log that was too long; a line says so before it."""
        if offset <= self.size:
            return
        if self.unfinished:
            self.unfinished += offset - self.size
        self.size = offset
        if not self.unfinished:
            self._mark(offset)

    def feed(self, data: bytes) -> None:
        """Take what follows."""
        for at in range(0, len(data), BLOCK_BYTES):
            self._take(data[at : at + BLOCK_BYTES])

    def _take(self, block: bytes) -> None:
        end = block.rfind(b"\n") + 1
        if not end:
            # The beginning of a line is enough for its mark.
            self._kept = (self._kept + block)[:BLOCK_BYTES]
            self.unfinished += len(block)
            self.size += len(block)
            return
        if self.unfinished >= LONG_BYTES and len(self._long) < MOST_MARKS:
            self._long[self.lines] = self.size + block.find(b"\n") + 1
        whole = self._kept + block[:end]
        if b"section_" in whole or b"group::" in whole:
            self._find_groups(whole)
        self.lines += block.count(b"\n", 0, end)
        self.size += len(block)
        self._kept = block[end:]
        self.unfinished = len(self._kept)
        start = self.size - self.unfinished
        if start - self._marks[-1].offset >= self._every:
            self._mark(start)

    def _mark(self, offset: int) -> None:
        self._marks.append(Place(self.lines, offset))
        if len(self._marks) > MOST_MARKS:
            self._marks = self._marks[::2]
            self._every *= 2

    def _find_groups(self, whole: bytes) -> None:
        line, counted = self.lines, 0
        for match in _MARK.finditer(whole):
            begins = match.start() + (whole[match.start()] == 10)
            line += whole.count(b"\n", counted, begins)
            counted = begins
            self._take_mark(match, line)

    def _take_mark(self, match: re.Match[bytes], line: int) -> None:
        if match["edge"] == b"end":
            self._close(match["id"].decode(errors="replace"), line)
        elif match["endgroup"]:
            self._close("", line)
        elif match["edge"]:
            self._begin(match["title"], match["id"].decode(errors="replace"), line)
        else:
            self._begin(match["group"], "", line)

    def _begin(self, title: bytes, name: str, line: int) -> None:
        said = plain(title.decode(errors="replace")).strip()[:_TITLE_LENGTH] or name
        group = Group(title=said, first=line, id=name)
        if len(self.groups) >= MOST_GROUPS or len(self._open) >= _DEEPEST:
            self.left_out = True
            return
        self.groups.append(group)
        self._open.append(group)

    def _close(self, name: str, line: int) -> None:
        """End a group, and those in it that were never ended."""
        if all(group.id != name for group in self._open):
            return
        while self._open:
            group = self._open.pop()
            group.last = line
            if group.id == name:
                return

    def before(self, line: int) -> Place:
        """Return a known place at or before a line."""
        return self._marks[bisect.bisect_right(self._marks, line, key=_line) - 1]

    def behind(self, line: int, offset: int) -> Place | None:
        """Return where to go on behind a long line; None: it has not ended.

        Args:
            line: The line.
            offset: A place in it.
        """
        if line in self._long:
            return Place(line + 1, self._long[line])
        found = bisect.bisect_right(self._marks, offset, key=_offset)
        return self._marks[found] if found < len(self._marks) else None


def _line(place: Place) -> int:
    return place.line


def _offset(place: Place) -> int:
    return place.offset
