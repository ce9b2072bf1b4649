"""Writes a layer's files, trusting nothing in it."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from andon.adapters.filetree import is_safe_name, leads_outside, shown
from andon.adapters.tarstream import FOLDER, LINK, Member, TarStream
from andon.kernel.errors import Untrusted

_LONGEST_LINK_BYTES = 4096
_NAMED_WRONGLY = (
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EILSEQ,
    errno.EINVAL,
)


class HashingReader:
    """Passes a file's bytes on and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """Return the digest of the whole file."""
        while self.read(1 << 20):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def extract(layer: Path, digest: str, into: Path) -> None:
    """Extract a layer into an existing, empty folder that nobody looks at yet.

    Raises:
        Untrusted: Its bytes are not those of its digest, or it reaches outside of the folder.
    """
    with layer.open("rb") as file:
        reader = HashingReader(file)
        refusal: Untrusted | None = None
        try:
            _extract(TarStream(reader, layer.stat().st_size), os.fsencode(into))
        except Untrusted as error:
            refusal = error
        if reader.digest() != digest:
            raise Untrusted(
                f"The stored artifact {digest} is damaged: its content has another digest",
                hint="ship the change again; andon doctor looks for a failing disk",
            )
    if refusal:
        raise Untrusted(f"The artifact {digest} cannot be unpacked: {refusal}") from refusal


def _extract(tar: TarStream, root: bytes) -> None:
    links: dict[bytes, bytes] = {}
    for member in tar:
        name = _name(member)
        try:
            if member.kind == LINK:
                if name in links:
                    raise Untrusted(f"{shown(name)} is in it twice")
                links[name] = _target(member)
            elif member.kind == FOLDER:
                os.makedirs(os.path.join(root, name), mode=0o755, exist_ok=True)
            else:
                _write(tar, member, os.path.join(root, name))
        except OSError as error:
            _refuse(name, error)
            raise
    _link(root, links)


def _refuse(name: bytes, error: OSError) -> None:
    """Tell the layer's own fault from the machine's."""
    if error.errno == errno.EEXIST:
        raise Untrusted(f"{shown(name)} is in it twice") from error
    if error.errno in _NAMED_WRONGLY:
        raise Untrusted(f"{shown(name)} cannot be written ({error.strerror})") from error


def _target(member: Member) -> bytes:
    if not 0 < len(member.target) <= _LONGEST_LINK_BYTES or b"\0" in member.target:
        raise Untrusted(f"{shown(member.name)} is no link that can be followed")
    return member.target


def _name(member: Member) -> bytes:
    name = member.name.removeprefix(b"./").rstrip(b"/")
    if not is_safe_name(name):
        raise Untrusted(f"{shown(name)} is no safe name")
    return name


def _write(tar: TarStream, member: Member, path: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for chunk in tar.content():
            file.write(chunk)
        os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)


def _link(root: bytes, links: dict[bytes, bytes]) -> None:
    """Make the links last, so that no file can be written through one."""
    for name, target in links.items():
        if leads_outside(name, links):
            raise Untrusted(f"{shown(name)} is a link that leads outside")
        path = os.path.join(root, name)
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            os.symlink(target, path)
        except OSError as error:
            _refuse(name, error)
            raise
