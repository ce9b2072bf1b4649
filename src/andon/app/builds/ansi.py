"""What programs write for terminals, as spans of plain text with names of styles.

A log is written by anybody: nothing of it is ever markup. Colours become words of a fixed list; every other
escape sequence, and every other control character, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_SEQUENCE = re.compile(
    r"\x1b(?:"
    r"\[(?P<sgr>[0-9;:]{0,100})m"
    r"|\[[0-?]*[ -/]*(?:[@-~]|$|(?=\n))"  # other control sequences
    r"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\|$|(?=\n))"  # titles, links: up to their end
    r"|[ -/]*[0-~]"
    r"|$)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but the tab, and those that turn the direction of a text around."""


_BARE = re.compile(r"[\x00\x01]")
_CONTROL_BUT_RETURN = re.compile(
    r"[\x02-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class Span(Struct, frozen=True, omit_defaults=True):
    """Text in one style.

    Args:
        text: Plain text.
        style: Words such as ``bold red on-blue``; empty: as usual.
    """

    text: str
    style: str = ""


class Styles(Struct):
    """What is switched on, from one line to the next."""

    foreground: str = ""
    background: str = ""
    flags: frozenset[str] = frozenset()

    def words(self) -> str:
        """Return the names of the styles.

        >>> Styles(foreground="red", flags=frozenset({"bold"})).words()
        'bold red'
        """
        background = f"on-{self.background}" if self.background else ""
        return " ".join(filter(None, (*sorted(self.flags), self.foreground, background)))

    def take(self, codes: str) -> None:
        """Switch on and off what a sequence says.

        Source: ECMA-48, 8.3.117 (SGR).
        """
        numbers = iter([int(code[:4] or 0) for code in re.split("[;:]", codes)])
        for number in numbers:
            self._one(number, numbers)

    def _one(self, number: int, more: Iterator[int]) -> None:
        if number == 0:
            self.foreground, self.background, self.flags = "", "", frozenset()
        elif number in _ON:
            self.flags |= {_ON[number]}
        elif number in _OFF:
            self.flags -= _OFF[number]
        elif number in (38, 48):
            self._palette(number, more)
        elif number == 39:
            self.foreground = ""
        elif number == 49:
            self.background = ""
        else:
            self._color(number)

    def _color(self, number: int) -> None:
        tens, index = divmod(number, 10)
        if index > 7 or tens not in (3, 4, 9, 10):
            return
        name = COLORS[index] if tens in (3, 4) else f"bright-{COLORS[index]}"
        if tens in (3, 9):
            self.foreground = name
        else:
            self.background = name

    def _palette(self, number: int, more: Iterator[int]) -> None:
        """Take the nearest of sixteen colours for one of 256 or of all."""
        kind = next(more, 0)
        if kind == 5:
            name = _of_256(next(more, 0))
        elif kind == 2:
            name = _nearest(next(more, 0), next(more, 0), next(more, 0))
        else:
            return
        if number == 38:
            self.foreground = name
        else:
            self.background = name


_ON = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_OFF = {
    22: frozenset({"bold", "faint"}),
    23: frozenset({"italic"}),
    24: frozenset({"underline"}),
    27: frozenset({"inverse"}),
    29: frozenset({"strike"}),
}


def _of_256(index: int) -> str:
    if index < 8:
        return COLORS[index]
    if index < 16:
        return f"bright-{COLORS[index - 8]}"
    if index < 232:
        cube = min(index, 231) - 16
        return _nearest(*(level * 51 for level in (cube // 36, cube // 6 % 6, cube % 6)))
    return "bright-black" if index < 244 else "white"


def _nearest(red: int, green: int, blue: int) -> str:
    brightest = max(red, green, blue)
    if brightest < 64:
        return "black"
    index = sum(bit for bit, part in ((1, red), (2, green), (4, blue)) if part * 2 > brightest)
    return f"bright-{COLORS[index]}" if brightest > 200 else COLORS[index]


def spans(line: str, styles: Styles) -> list[Span]:
    r"""Return a line as spans; what it switches on stays on in ``styles``.

    Args:
        line: One line, without its end.
        styles: What is switched on at its beginning.

    >>> found = spans("a \x1b[31mred\x1b[0m \x1b]8;;http://x\x07b", Styles())
    >>> [(one.text, one.style) for one in found]
    [('a ', ''), ('red', 'red'), (' b', '')]
    """
    found: list[Span] = []
    at = 0
    for match in _SEQUENCE.finditer(line):
        _add(found, line[at : match.start()], styles)
        at = match.end()
        if match["sgr"] is not None:
            styles.take(match["sgr"])
    _add(found, line[at:], styles)
    return found


def _add(found: list[Span], text: str, styles: Styles) -> None:
    text = _CONTROL.sub("", text)
    words = styles.words()
    if text and found and found[-1].style == words:
        found[-1] = Span(found[-1].text + text, words)
    elif text:
        found.append(Span(text, words))


def plain(text: str) -> str:
    r"""Return text as plain text; the ends of its lines stay.

    >>> plain("\x1b[1mno\x1b[0mthing\x07")
    'nothing'
    """
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def colored(text: str) -> str:
    r"""Return text that a terminal may be shown: of its sequences only colours stay.

    >>> colored("\x1b[2J\x1b[31mred\x1b[0m\r\x1b]0;title\x07")
    '\x1b[31mred\x1b[0m\r'
    """
    kept = _SEQUENCE.sub(
        lambda one: "" if one["sgr"] is None else f"\x00{one['sgr']}\x01", _BARE.sub("", text)
    )
    return _CONTROL_BUT_RETURN.sub("", kept).replace("\x00", "\x1b[").replace("\x01", "m")


def overwritten(line: str) -> str:
    r"""Return what a terminal shows of a line in which a program went back to its beginning.

    >>> overwritten("10 %\r100 %\r"), overwritten("as it is")
    ('100 %', 'as it is')
    """
    if "\r" not in line:
        return line
    return next((part for part in reversed(line.split("\r")) if part), "")
