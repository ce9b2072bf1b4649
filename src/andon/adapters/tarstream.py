"""Reads tar archives that anybody may have written.

Only what a tar of files, folders and links needs is understood, and everything else is refused: the
library's reader follows headers into endless recursion, backwards, and through sparse maps, takes damage in
the middle for the end, and loads a header into memory whatever size it claims.

Source: POSIX.1-2008, pax, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from andon.adapters.filetree import shown
from andon.kernel.errors import Untrusted

FILE, LINK, FOLDER = b"0", b"2", b"5"
MOST_MEMBERS = 1_000_000
_BLOCK_BYTES = 512
_CHUNK_BYTES = 1 << 20
_LARGEST_RECORDS_BYTES = 64 << 10
_MOST_RECORDS = 64
_END = bytes(_BLOCK_BYTES)
_KINDS = {b"\0": FILE, b"7": FILE, FILE: FILE, LINK: LINK, FOLDER: FOLDER}
_GLOBAL, _NEXT = b"g", b"x"


class Readable(Protocol):
    """Where an archive comes from."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next bytes; fewer only at the end."""
        ...


class Member(Struct, frozen=True, kw_only=True):
    """What a header says.

    Args:
        name: As it is written there: to be checked before it is used.
        kind: ``FILE``, ``LINK`` (a symbolic one) or ``FOLDER``.
        mode: Permissions.
        size_bytes: Of the content; 0 but for files.
        target: Of a link.
        offset: Where the content begins, in bytes from the archive's begin.
        changed_at: When it was changed, in seconds since the Unix epoch.
    """

    name: bytes
    kind: bytes
    mode: int
    size_bytes: int
    target: bytes
    offset: int
    changed_at: int = 0


class TarStream:
    """Reads members one after another, and the content of the last one.

    Args:
        source: The archive; it is only read on.
        most_bytes: Size of the archive: no member can reach beyond it.
        skip: Passes over so many bytes of the source; None: they are read.
    """

    def __init__(
        self, source: Readable, most_bytes: int, skip: Callable[[int], object] | None = None
    ) -> None:
        self._source = source
        self._skip = skip
        self._most_bytes = most_bytes
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Yield the members up to the mark of the end.

        Raises:
            Untrusted: It is damaged, cut off, or holds what no file, folder or link is.
        """
        for _ in range(MOST_MEMBERS + 1):
            self._pass_over()
            member = self._member()
            if member is None:
                return
            self._left = member.size_bytes
            self._padding = -member.size_bytes % _BLOCK_BYTES
            yield member
        raise Untrusted(f"there are more than {MOST_MEMBERS} files in it")

    def content(self) -> Iterator[bytes]:
        """Yield what is left of the content of the member that was read last."""
        while self._left:
            chunk = self._read(min(self._left, _CHUNK_BYTES))
            self._left -= len(chunk)
            yield chunk
        self._read(self._padding)
        self._padding = 0

    def _pass_over(self) -> None:
        if self._skip and self._left:
            self._skip(self._left)
            self._at += self._left
            self._left = 0
        for _ in self.content():
            pass

    def _member(self) -> Member | None:
        said: dict[bytes, bytes] = {}
        block = self._read(_BLOCK_BYTES)
        if block[156:157] == _GLOBAL:
            if {b"path", b"linkpath", b"size"} & self._records(block).keys():
                raise Untrusted("one header of it is about all files")
            block = self._read(_BLOCK_BYTES)
        if block[156:157] == _NEXT:
            said = self._records(block)
            block = self._read(_BLOCK_BYTES)
        if block == _END and not said:
            return None
        return self._said(_Header(block), said)

    def _said(self, header: _Header, said: dict[bytes, bytes]) -> Member:
        name = said.get(b"path", header.name)
        kind = _KINDS.get(header.kind)
        if kind is None:
            raise Untrusted(f"{shown(name)} is neither a file, a folder nor a link")
        size_bytes = _decimal(said[b"size"]) if b"size" in said else header.number(124, 12)
        if kind != FILE:
            size_bytes = 0
        if self._at + size_bytes > self._most_bytes:
            raise Untrusted(f"{shown(name)} claims more bytes than the archive has")
        return Member(
            name=name,
            kind=kind,
            mode=header.number(100, 8),
            size_bytes=size_bytes,
            target=said.get(b"linkpath", header.target),
            offset=self._at,
            changed_at=header.number(136, 12),
        )

    def _records(self, block: bytes) -> dict[bytes, bytes]:
        """Read the records of a pax header."""
        size_bytes = _Header(block).number(124, 12)
        if size_bytes > _LARGEST_RECORDS_BYTES:
            raise Untrusted(f"a header in it has {size_bytes} bytes")
        rest = self._read(size_bytes)
        self._read(-size_bytes % _BLOCK_BYTES)
        said: dict[bytes, bytes] = {}
        for _ in range(_MOST_RECORDS):
            if not rest:
                return said
            keyword, value, rest = _record(rest)
            said[keyword] = value
        raise Untrusted(f"a header in it says more than {_MOST_RECORDS} things")

    def _read(self, size: int) -> bytes:
        data = self._source.read(size) if size else b""
        self._at += len(data)
        if len(data) != size:
            raise Untrusted("it is no tar archive, or its end is missing")
        return data


class _Header:
    """A block that describes a member; its sum was checked."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self.kind = block[156:157]
        blank = block[:148] + b" " * 8 + block[156:]
        if self.number(148, 8) != sum(blank):
            raise Untrusted("it is no tar archive, or damaged")

    @property
    def name(self) -> bytes:
        """Its path."""
        name, prefix = self._text(0, 100), self._text(345, 155)
        is_posix = self._block[257:263] == b"ustar\0"
        return prefix + b"/" + name if prefix and is_posix else name

    @property
    def target(self) -> bytes:
        """What a link names."""
        return self._text(157, 100)

    def number(self, start: int, length: int) -> int:
        """Read an octal number, or a large one as GNU writes it."""
        field = self._block[start : start + length]
        if field[0] == 0x80:
            return int.from_bytes(field[1:], "big")
        digits = field.split(b"\0", 1)[0].strip()
        if digits.strip(b"01234567"):
            raise Untrusted("a number in it is none")
        return int(digits or b"0", 8)

    def _text(self, start: int, length: int) -> bytes:
        return self._block[start : start + length].split(b"\0", 1)[0]


def _record(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Take the first record off: its length in decimal, a space, ``keyword=value`` and a new line."""
    digits = rest[:6].partition(b" ")[0]
    length = _decimal(digits)
    if length > len(rest):
        raise Untrusted("a header in it is cut off")
    record, rest = rest[len(digits) + 1 : length], rest[length:]
    keyword, equals, value = record[:-1].partition(b"=")
    if not equals or not record.endswith(b"\n") or keyword.startswith(b"GNU.sparse"):
        raise Untrusted("a header in it says what is not understood")
    return keyword, value, rest


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 19:
        raise Untrusted("a number in it is none")
    return int(digits)
