"""Text read through its escapes, with the way back to where each byte stood.

What a program prints may carry a text as JSON, C, shell, URL or HTML spell it, with any choice of what to
escape, and escaped twice. A ``View`` is the text so read; ``views`` are all the ways to read it.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

_TIMES_ESCAPED = 2

_NAMED = {
    b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a",
    b"e": b"\x1b",
}  # fmt: skip


class Spelling(NamedTuple):
    """A way to escape.

    Args:
        sign: Every escape has it.
        escape: Matches one; its group ``cut`` is one that the end of the text cuts short.
        meaning: What an escape stands for.
    """

    sign: bytes
    escape: re.Pattern[bytes]
    meaning: Callable[[bytes], bytes]


def _backslash(escape: bytes) -> bytes:
    kind = escape[1:2]
    if kind == b"u" and len(escape) >= 6:
        return _character(*(int(part, 16) for part in escape.split(b"\\u")[1:]))
    if kind == b"x" and len(escape) == 4:
        return bytes([int(escape[2:], 16)])
    if kind in b"01234567":
        return bytes([int(escape[1:], 8) & 0xFF])
    return _NAMED.get(kind, kind)


def _character(unit: int, low: int | None = None) -> bytes:
    if low is not None:
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
    if 0xDC80 <= unit <= 0xDCFF:  # A byte that is no text, as Python spells it.
        return bytes([unit - 0xDC00])
    return chr(unit).encode("utf-8", "surrogatepass")


def _percent(escape: bytes) -> bytes:
    return bytes([int(escape[1:], 16)])


def _entity(escape: bytes) -> bytes:
    return html.unescape(escape.decode()).encode("utf-8", "replace")


def _quote(escape: bytes) -> bytes:
    return b"'"


_BACKSLASH = rb"""
    \\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}
  | (?P<cut>\\(?:
        u[0-9A-Fa-f]{0,3}
      | u[dD][89abAB][0-9A-Fa-f]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9A-Fa-f]?)?)?)?)?
      | x[0-9A-Fa-f]?
      | [0-7]{1,2}
    )?\Z)
  | \\u[0-9A-Fa-f]{4}
  | \\x[0-9A-Fa-f]{2}
  | \\[0-7]{1,3}
  | \\.
"""
_ENTITY = rb"""
    &(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});
  | (?P<cut>&(?:\#(?:[0-9]{0,7}|[xX][0-9A-Fa-f]{0,6})|[A-Za-z][A-Za-z0-9]{0,30})?\Z)
"""
_PERCENT = rb"%[0-9A-Fa-f]{2} | (?P<cut>%[0-9A-Fa-f]?\Z)"
_QUOTE = rb"""'\\'' | '"'"' | (?P<cut>'(?:\\'?|"(?:'"?)?)?\Z)"""


def _spelling(sign: bytes, escape: bytes, meaning: Callable[[bytes], bytes]) -> Spelling:
    return Spelling(sign, re.compile(escape, re.VERBOSE | re.DOTALL), meaning)


SPELLINGS = (
    _spelling(b"\\", _BACKSLASH, _backslash),
    _spelling(b"%", _PERCENT, _percent),
    _spelling(b"&", _ENTITY, _entity),
    _spelling(b"'", _QUOTE, _quote),
)


class View:
    """A text as it stands, or as it reads with one spelling's escapes resolved.

    Args:
        text: What is read.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._outer: View | None = None
        # Each escape: where its meaning begins and ends here, where itself does in the outer text.
        self._here: list[int] = []
        self._here_end: list[int] = []
        self._there: list[int] = []
        self._there_end: list[int] = []

    def read(self, spelling: Spelling) -> View | None:
        """Return this text with a spelling's escapes resolved; None if there is none."""
        if spelling.sign not in self.text:
            return None
        view, done, length = View(b""), 0, 0
        parts: list[bytes] = []
        end = len(self.text)
        for found in spelling.escape.finditer(self.text):
            start = found.start()
            if found.group("cut") is not None:
                end = start
                break
            meaning = spelling.meaning(found.group())
            parts += self.text[done:start], meaning
            length += start - done
            view._here.append(length)
            length += len(meaning)
            view._here_end.append(length)
            done = found.end()
            view._there.append(start)
            view._there_end.append(done)
        if not parts and end == len(self.text):
            return None
        view.text = b"".join((*parts, self.text[done:end]))
        view._outer = self
        return view

    def start(self, at: int) -> int:
        """Return where, in the text as it stands, begins what is read at a place."""
        if self._outer is None:
            return at
        k = bisect_right(self._here, at) - 1
        if k >= 0:
            inside = at < self._here_end[k]
            at = self._there[k] if inside else self._there_end[k] + at - self._here_end[k]
        return self._outer.start(at)

    def end(self, at: int) -> int:
        """Return where, in the text as it stands, ends what is read before a place."""
        if self._outer is None:
            return at
        k = bisect_left(self._here, at) - 1
        if k >= 0:
            at = self._there_end[k] + max(0, at - self._here_end[k])
        return self._outer.end(at)

    def floor(self, place: int) -> int:
        """Return the last place up to one, in the text as it stands, that cuts no escape in two."""
        return self.start(self._inward(place))

    def _inward(self, place: int) -> int:
        if self._outer is None:
            return place
        at = self._outer._inward(place)
        k = bisect_right(self._there, at) - 1
        if k >= 0:
            inside = at < self._there_end[k]
            at = self._here[k] if inside else self._here_end[k] + at - self._there_end[k]
        return min(at, len(self.text))


def views(text: bytes) -> Iterator[View]:
    """Return all ways to read a text; the first is as it stands."""
    level = [View(text)]
    yield from level
    for _ in range(_TIMES_ESCAPED):
        read = (view.read(spelling) for view in level for spelling in SPELLINGS)
        level = [view for view in read if view is not None]
        yield from level
