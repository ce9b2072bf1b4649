"""Writes a folder as a tar whose bytes depend on names, contents and the executable bit alone.

Sorted, owner 0 without names, time 0, modes 0644 or 0755, links kept, no extended attributes, no hard
links. Left out: ``.git`` (history is not output) and ``__pycache__`` (its bytes hold times; a ``.pyc``
outside of it was put there on purpose and is kept).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from andon.adapters.filetree import leads_outside, shown
from andon.kernel.errors import StepFailed

_BLOCK = 512
_LARGEST_USTAR_BYTES = 8**11 - 1
_LEFT_OUT = (b".git", b"__pycache__")


class Sink(Protocol):
    """Where the tar goes."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""
        ...


class Member(Struct, frozen=True):
    """A file, folder or link of the tree; ``kind`` is tar's type flag.

    ``changed_at``, in seconds since the Unix epoch, is 0 in artifacts, and kept of caches only.
    """

    name: bytes
    kind: bytes
    mode: int = 0o755
    size_bytes: int = 0
    target: bytes = b""
    changed_at: int = 0


def members(root: bytes) -> list[Member]:
    """List a folder's content in the order of the tar.

    Raises:
        StepFailed: It holds something that cannot be an artifact's: a device, a socket, a link that leads
            outside.
    """
    found = list(_walk(root, b""))
    links = {member.name: member.target for member in found if member.kind == b"2"}
    for name in links:
        if leads_outside(name, links):
            raise StepFailed(
                f"The build left {shown(name)}, a link that leads outside of what is packed",
                hint="copy the file instead of linking to it",
            )
    return found


def _walk(root: bytes, inside: bytes) -> Iterator[Member]:
    for name in sorted(os.listdir(os.path.join(root, inside))):
        if name not in _LEFT_OUT:
            member = _member(root, os.path.join(inside, name))
            yield member
            if member.kind == b"5":
                yield from _walk(root, member.name)


def _member(root: bytes, name: bytes) -> Member:
    path = os.path.join(root, name)
    facts = os.lstat(path)
    if stat.S_ISDIR(facts.st_mode):
        return Member(name, b"5")
    if stat.S_ISLNK(facts.st_mode):
        return Member(name, b"2", 0o777, 0, os.readlink(path))
    if stat.S_ISREG(facts.st_mode):
        return Member(name, b"0", 0o755 if facts.st_mode & 0o100 else 0o644, facts.st_size)
    raise StepFailed(f"The build left {shown(name)}, which is neither a file, a folder nor a link")


def write_tar(root: bytes, listed: list[Member], sink: Sink) -> None:
    """Write the members of a folder.

    Raises:
        StepFailed: A file changed meanwhile.
    """
    for member in listed:
        sink.write(_header(member))
        if member.kind == b"0":
            _copy(os.path.join(root, member.name), member, sink)
    sink.write(b"\0" * (2 * _BLOCK))


def _copy(path: bytes, member: Member, sink: Sink) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    left = member.size_bytes
    with os.fdopen(descriptor, "rb") as file:
        while left and (chunk := file.read(min(left, 1 << 20))):
            sink.write(chunk)
            left -= len(chunk)
        if left or file.read(1):
            raise StepFailed(f"{shown(member.name)} changed while it was packed")
    sink.write(b"\0" * (-member.size_bytes % _BLOCK))


def _header(member: Member) -> bytes:
    """Write a ustar header, after a pax header where ustar cannot say it (POSIX.1-2001)."""
    name = member.name + b"/" if member.kind == b"5" else member.name
    said = _said(name, member)
    plain_name = b"long" if b"path" in said else name
    target = b"" if b"linkpath" in said else member.target
    size_bytes = 0 if b"size" in said else member.size_bytes
    block = _ustar(plain_name, member.kind, member.mode, size_bytes, target, member.changed_at)
    return _pax(said) + block


def _said(name: bytes, member: Member) -> dict[bytes, bytes]:
    """Return the pax records that a member needs, in the order they are written."""
    said = {
        keyword: value
        for keyword, value in ((b"path", name), (b"linkpath", member.target))
        if len(value) > 100 or not value.isascii()
    }
    if not all(_is_utf8(value) for value in said.values()):
        said = {b"hdrcharset": b"BINARY"} | said
    if member.size_bytes > _LARGEST_USTAR_BYTES:
        said[b"size"] = b"%d" % member.size_bytes
    return said


def _pax(said: dict[bytes, bytes]) -> bytes:
    if not said:
        return b""
    records = b"".join(_record(keyword, value) for keyword, value in said.items())
    padding = b"\0" * (-len(records) % _BLOCK)
    return _ustar(b"pax", b"x", 0o644, len(records), b"") + records + padding


def _record(keyword: bytes, value: bytes) -> bytes:
    rest = b" %s=%s\n" % (keyword, value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _ustar(
    name: bytes, kind: bytes, mode: int, size_bytes: int, target: bytes, changed_at: int = 0
) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,  # owner
        b"%07o\0" % 0,  # group
        b"%011o\0" % size_bytes,
        b"%011o\0" % changed_at,
        b" " * 8,  # the checksum counts as spaces
        kind,
        target.ljust(100, b"\0"),
        b"ustar\00000",
    )
    block = b"".join(fields).ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
