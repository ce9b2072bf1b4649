"""The documents of a file, each by itself, and where in it their fields stand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from msgspec import Struct

from andon.api.positions import Place, Positions, locate
from andon.api.problems import field_name

_BOUNDARY = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_CONTENT = re.compile(r"^(?!---|\.\.\.|%)[ \t]*[^\s#]", re.MULTILINE)


class Fragment(Struct, frozen=True):
    """One document's text."""

    text: str
    line_offset: int

    @property
    def first_line(self) -> int:
        """Line on which the document itself begins, from 1."""
        content = _CONTENT.search(self.text)
        return self.line_offset + 1 + self.text.count("\n", 0, content.start() if content else 0)


def fragments(text: str) -> Iterator[Fragment]:
    """Split a stream at its document markers, so that each document is read on its own.

    YAML gives ``---`` and ``...`` at the start of a line no other meaning, not even in a block of
    text.
    """
    edges = [0, *(match.start() for match in _BOUNDARY.finditer(text)), len(text)]
    line_offset = 0
    for start, end in itertools.pairwise(edges):
        part = text[start:end]
        body = "   " + part[3:] if part.startswith("...") else part
        if _CONTENT.search(body) or re.match(r"--- *[^\s#]", body):
            yield Fragment(body, line_offset)
        line_offset += part.count("\n")


def document_positions(data: bytes, line: int) -> dict[str, Place]:
    """Return the places of a document's fields by name.

    Args:
        data: A file that was read without problems in this document.
        line: The document's first line, as in its Definition.
    """
    positions = _located(data, line)
    return {field_name(path): place for path, place in positions.values.items()}


def key_lines(data: bytes, line: int) -> dict[str, int]:
    """Return the lines on which a document's fields are named, by name.

    Args:
        data: A file that was read without problems in this document.
        line: The document's first line, as in its Definition.
    """
    positions = _located(data, line)
    return {field_name(path): place.line for path, place in positions.keys.items()}


def _located(data: bytes, line: int) -> Positions:
    """Return the places in the document that begins at a line; none where none does."""
    text = data.decode(errors="replace").removeprefix("\ufeff")
    for fragment in fragments(text):
        if fragment.first_line == line:
            return locate(fragment.text, fragment.line_offset)
    return Positions()
