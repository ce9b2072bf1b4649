"""Coverage: Cobertura's XML and LCOV's lines, told apart by how they begin."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from io import BufferedReader
from typing import BinaryIO

from andon.adapters.reports.lines import Lines
from andon.adapters.reports.xml import read_xml
from andon.kernel.errors import InvalidDocument

_XML = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")
_LONGEST_LINE_BYTES = 64 << 10
_LONGEST_PATH = 1_000
_CONDITION = re.compile(r"\((\d{1,6})/(\d{1,6})\)")
_MOST_BRANCHES_OF_A_FILE = 200_000
_MOST_LOOKS = 100_000


class Names:
    """Makes a report's names of files into paths of the work tree.

    Args:
        root: Where the work tree lies.
        is_there: Says whether the tree has a file.
    """

    def __init__(self, root: str, is_there: Callable[[str], bool]) -> None:
        self._root = root.rstrip("/")
        self._is_there = is_there
        self._known: dict[tuple[str, ...], str] = {}
        self._looks = 0

    def path(self, name: str, sources: tuple[str, ...] = ()) -> str:
        """Return a path in the tree; the name as it is where there is none.

        A report may have been written where the tree lay elsewhere (a sandbox, a container): then the
        longest end of the name that is a file of the tree counts.
        """
        key = (name, *sources)
        if key not in self._known:
            if len(self._known) >= _MOST_LOOKS:
                self._known.clear()
            self._known[key] = self._find(name.replace("\\", "/")[:_LONGEST_PATH], sources)
        return self._known[key]

    def _find(self, name: str, sources: tuple[str, ...]) -> str:
        for source in (*sources, ""):
            whole = posixpath.normpath(posixpath.join(source.replace("\\", "/"), name))
            if whole.startswith(f"{self._root}/"):
                return whole[len(self._root) + 1 :]
            parts = [part for part in whole.split("/") if part not in ("", "..")]
            for at in range(min(len(parts), 32)):
                self._looks += 1
                if self._looks <= _MOST_LOOKS and self._is_there("/".join(parts[at:])):
                    return "/".join(parts[at:])
        return posixpath.normpath(name).lstrip("./") or name


def read_coverage(file: BufferedReader, lines: Lines, names: Names) -> None:
    """Add what a report says.

    Raises:
        InvalidDocument: It is neither, cannot be read to its end, or goes beyond a limit.
    """
    if file.peek(64).lstrip().startswith(_XML):
        reader = _Cobertura(lines, names)
        read_xml(file, reader.begin, reader.end, reader.text)
        if not reader.is_one:
            raise InvalidDocument("is XML, but has no <coverage>")
    else:
        _read_lcov(file, lines, names)


class _Cobertura:
    def __init__(self, lines: Lines, names: Names) -> None:
        self._lines = lines
        self._names = names
        self._sources: list[str] = []
        self._source: list[str] | None = None
        self._file = ""
        self.is_one = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "coverage":
            self.is_one = True
        elif name == "source" and len(self._sources) < 32:
            self._source = []
        elif name == "class":
            self._file = self._names.path(attributes.get("filename", ""), tuple(self._sources))
        elif name == "line" and self._file and self.is_one:
            self._line(attributes)

    def _line(self, attributes: dict[str, str]) -> None:
        number = _number(attributes.get("number", ""))
        self._lines.mark(self._file, number, _number(attributes.get("hits", "")) > 0)
        found = _CONDITION.search(attributes.get("condition-coverage", "")[:100])
        if attributes.get("branch", "").lower() == "true" and found:
            self._lines.branch(self._file, number, int(found[1]), int(found[2]))

    def text(self, data: str) -> None:
        if self._source is not None and len(self._source) < 16:
            self._source.append(data[:_LONGEST_PATH])

    def end(self, name: str) -> None:
        if name == "source" and self._source is not None:
            self._sources.append("".join(self._source).strip())
            self._source = None
        elif name == "class":
            self._file = ""


def _read_lcov(file: BinaryIO, lines: Lines, names: Names) -> None:
    reader, number = _Lcov(lines, names), 0
    while raw := file.readline(_LONGEST_LINE_BYTES):
        number += 1
        if len(raw) == _LONGEST_LINE_BYTES:
            raise InvalidDocument(f"line {number} is longer than {_LONGEST_LINE_BYTES >> 10} KiB")
        word, _, rest = raw.decode("utf-8", "replace").strip().partition(":")
        reader.take(word, rest, number)
    if not reader.records or reader.file:
        raise InvalidDocument(
            "is cut short: end_of_record is missing" if reader.file else "is no coverage report"
        )


class _Lcov:
    def __init__(self, lines: Lines, names: Names) -> None:
        self._lines = lines
        self._names = names
        self._branches: dict[tuple[int, str], bool] = {}
        self.file = ""
        self.records = 0

    def take(self, word: str, rest: str, number: int) -> None:
        if word == "SF":
            self.file, self._branches = self._names.path(rest), {}
        elif word == "end_of_record":
            self._finish()
        elif word in ("DA", "BRDA"):
            fields = rest.split(",")
            if not self.file or len(fields) < (2 if word == "DA" else 4):
                raise InvalidDocument(f"line {number} is not as LCOV writes it")
            self._take_line(fields) if word == "DA" else self._take_branch(fields)

    def _take_line(self, fields: list[str]) -> None:
        self._lines.mark(self.file, _number(fields[0]), _number(fields[1]) > 0)

    def _take_branch(self, fields: list[str]) -> None:
        key = _number(fields[0]), ",".join(fields[1:-1])[:100]
        if len(self._branches) >= _MOST_BRANCHES_OF_A_FILE:
            raise InvalidDocument(f"has more than {_MOST_BRANCHES_OF_A_FILE} branches in one file")
        self._branches[key] = self._branches.get(key, False) or _number(fields[-1]) > 0

    def _finish(self) -> None:
        self.records += 1
        sums: dict[int, tuple[int, int]] = {}
        for (line, _), taken in self._branches.items():
            before = sums.get(line, (0, 0))
            sums[line] = before[0] + taken, before[1] + 1
        for line, (some, all_) in sums.items():
            self._lines.branch(self.file, line, some, all_)
        self.file, self._branches = "", {}


def _number(text: str) -> int:
    """Read a count; 0 where it is none (LCOV's ``-``, a negative one of a torn counter)."""
    text = text.strip().split(".")[0]
    if not (text.isascii() and text.isdigit()):
        return 0
    return int(text) if len(text) <= 15 else 10**15
