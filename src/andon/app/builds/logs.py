"""Logs as people read them: in pages of lines, folded, searched; of 100 MB as of one line.

Everything is read in pieces through the agent that keeps the log, and nothing is held but an index.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from andon.api.v1 import answers
from andon.app.builds.ansi import Span, Styles, overwritten, plain, spans
from andon.app.builds.logindex import LONGEST_BYTES, LogIndex, Place
from andon.kernel.errors import NotFound, UsageError

MOST_INDEXES = 64
STEP_BYTES = 32 * 1024 * 1024
"""So much is indexed for one request; who asks again gets further."""
SEARCH_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024
CHUNK_BYTES = 512 * 1024
MOST_MATCHES = 200
_LONG_BYTES = 1024 * 1024
_MATCH_LENGTH = 300
_SHORTEST_NEEDLE = 2


class Piece(Protocol):
    """Part of a log."""

    @property
    def data(self) -> bytes:
        """The bytes."""
        ...

    @property
    def next_offset(self) -> int:
        """Where the next piece begins."""
        ...


Read = Callable[[str, int, int], Awaitable[Piece]]


class FoundLog(Struct, frozen=True):
    """A step's log.

    Args:
        run: The Run's name.
        step: The step's.
        file: Name of the log.
        ended: The step has ended: nothing more is written.
    """

    run: str
    step: str
    file: str
    ended: bool


class _Nothing(Struct, frozen=True):
    """The piece of a log that has no more."""

    next_offset: int
    data: bytes = b""


def _start(piece: Piece) -> int:
    return piece.next_offset - len(piece.data)


class _Kept:
    def __init__(self) -> None:
        self.index = LogIndex()
        self.turn = asyncio.Lock()


class Logs:
    """Reads logs.

    Args:
        read: Reads a piece: name, offset, most bytes.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def outline(self, log: FoundLog) -> answers.LogOutline:
        """Say how long a log is and what folds in it."""
        index, complete = await self._index(log)
        return {
            "run": log.run,
            "step": log.step,
            "bytes": index.size,
            "lines": index.count,
            "complete": complete,
            "ended": log.ended and complete,
            "groups": [
                {"title": one.title, "first": one.first, "last": one.last} for one in index.groups
            ],
            "groupsLeftOut": index.left_out,
        }

    async def lines(self, log: FoundLog, first: int, count: int) -> answers.LogLines:
        """Return a page of lines.

        Args:
            log: The log.
            first: Number of the first line, from 0; negative: so many before the end.
            count: At most so many.
        """
        index, complete = await self._index(log)
        if first < 0:
            first = max(0, index.count + first)
        found: list[answers.LogLine] = []
        styles, told = Styles(), 0
        async for number, _, line, length in self._walk(log.file, index, first):
            if len(found) >= count or told >= PAGE_BYTES or number >= index.count:
                break
            row = _line(number, line, length, styles)
            found.append(row)
            told += min(length, LONGEST_BYTES) + 64
        return {
            "run": log.run,
            "step": log.step,
            "lines": found,
            "next": found[-1]["number"] + 1 if found else min(first, index.count),
            "total": index.count,
            "unfinished": index.unfinished > 0,
            "bytes": index.size,
            "complete": complete,
            "ended": log.ended and complete,
        }

    async def search(
        self, log: FoundLog, text: str, first: int, most: int = MOST_MATCHES
    ) -> answers.LogSearch:
        """Find a text, whatever its case, and say where to go on.

        Args:
            log: The log.
            text: What to look for.
            first: The line to begin at.
            most: So many lines.
        """
        needle = text.lower()
        if len(needle) < _SHORTEST_NEEDLE:
            raise UsageError(f"look for {_SHORTEST_NEEDLE} characters or more")
        index, complete = await self._index(log)
        found: list[answers.LogMatch] = []
        looked, following, whole = 0, first, True
        async for place, data in self._pieces(log.file, index, first):
            if looked >= SEARCH_BYTES or len(found) >= most:
                whole = False
                break
            looked += len(data)
            found += _matches(place.line, data, needle, first)
            following = place.line + max(1, data.count(b"\n"))
        if len(found) > most:
            whole, following = False, found[most]["line"]
        return {
            "run": log.run,
            "step": log.step,
            "matches": found[:most],
            "next": following,
            "total": index.count,
            "done": whole and complete,
        }

    async def raw(self, log: FoundLog, offset: int = 0) -> AsyncIterator[bytes]:
        """Return a log as it is, piece by piece, from an offset on.

        Raises:
            NotFound: There is none.
        """
        return self._rest(log, await self._piece(log, offset))

    async def _rest(self, log: FoundLog, piece: Piece | None) -> AsyncIterator[bytes]:
        while piece and piece.data:
            yield piece.data
            piece = await self._piece(log, piece.next_offset)

    # --- inside ----------------------------------------------------------------------------------

    async def _index(self, log: FoundLog) -> tuple[LogIndex, bool]:
        """Take what was written meanwhile, so much at a time; True: all of it."""
        kept = self._kept.setdefault(log.file, _Kept())
        self._kept.move_to_end(log.file)
        while len(self._kept) > MOST_INDEXES:
            self._kept.popitem(last=False)
        async with kept.turn:
            until = kept.index.size + STEP_BYTES
            while kept.index.size < until:
                piece = await self._piece(log, kept.index.size)
                if piece is None:
                    kept.index = LogIndex()  # It was begun anew.
                elif piece.data:
                    kept.index.go_on_at(_start(piece))
                    kept.index.feed(piece.data)
                if piece is None or not piece.data:
                    return kept.index, True
            return kept.index, False

    async def _piece(self, log: FoundLog, offset: int) -> Piece | None:
        """Read on, over what was left out; None where the log is shorter than it was."""
        try:
            piece = await self._read(log.file, offset, CHUNK_BYTES)
        except NotFound:
            if log.ended:
                raise
            return _Nothing(offset)  # Its job has not begun to write.
        return piece if _start(piece) >= offset else None

    async def _walk(
        self, file: str, index: LogIndex, first: int
    ) -> AsyncIterator[tuple[int, int, bytes, int]]:
        """Yield number, offset, beginning and length of lines, from one on."""
        async for place, data in self._pieces(file, index, first):
            number, offset = place.line, place.offset
            parts = data.split(b"\n")
            if len(parts) > 1 and not parts[-1]:
                parts.pop()
            for line in parts:
                if number >= first:
                    yield number, offset, line[:LONGEST_BYTES], len(line)
                number, offset = number + 1, offset + len(line) + 1

    async def _pieces(
        self, file: str, index: LogIndex, first: int
    ) -> AsyncIterator[tuple[Place, bytes]]:
        """Yield whole lines with the place of the first, and of long ones the beginning."""
        place, carried, end = index.before(first), b"", index.size
        offset = place.offset
        while first < index.count:
            most = min(CHUNK_BYTES, end - offset)
            piece = await self._read(file, offset, most) if most > 0 else _Nothing(offset)
            data = piece.data
            if data and _start(piece) > offset:  # What lies between was left out of the log.
                place, carried = Place(place.line, _start(piece)), b""
            offset = piece.next_offset
            carried += data
            cut = carried.rfind(b"\n") + 1 if data else len(carried)
            if cut:
                yield place, carried[:cut]
                place = Place(place.line + carried.count(b"\n", 0, cut), place.offset + cut)
                carried = carried[cut:]
            if not data:
                return
            if len(carried) >= _LONG_BYTES:
                yield place, carried
                behind = index.behind(place.line, offset)
                if behind is None:
                    return
                place, carried, offset = behind, b"", behind.offset


def whole_characters(data: bytes) -> int:
    """Return how many bytes end with a whole character of UTF-8; the rest may go on.

    >>> whole_characters("né".encode()), whole_characters("né".encode()[:-1])
    (3, 1)
    """
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if length > back else len(data)
        if byte < 0x80:
            break
    return len(data)


def _line(number: int, line: bytes, length: int, styles: Styles) -> answers.LogLine:
    text = overwritten(line.decode(errors="replace"))
    return {
        "number": number,
        "spans": [_span(one) for one in spans(text, styles)],
        "cut": max(0, length - LONGEST_BYTES),
    }


def _span(one: Span) -> answers.LogSpan:
    return {"text": one.text, "style": one.style}


def _matches(line: int, data: bytes, needle: str, first: int) -> list[answers.LogMatch]:
    """Return the lines of a piece that have a text, from a line on."""
    text = plain(data.decode(errors="replace"))
    lowered = text.lower()
    found: list[answers.LogMatch] = []
    at, counted = lowered.find(needle), 0
    while at >= 0:
        line += lowered.count("\n", counted, at)
        begins, ends = lowered.rfind("\n", 0, at) + 1, lowered.find("\n", at)
        ends = len(lowered) if ends < 0 else ends
        if line >= first:
            shown = max(begins, at - _MATCH_LENGTH // 3)
            same = text if len(text) == len(lowered) else lowered
            found.append({"line": line, "text": same[shown : min(ends, shown + _MATCH_LENGTH)]})
        counted, at = ends, lowered.find(needle, ends)
    return found
