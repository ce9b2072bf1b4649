"""Writes a layer's files, trusting nothing in it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

from andon.adapters.filetree import is_safe_name, leads_outside, shown
from andon.kernel.errors import Untrusted


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
        refusal: Exception | None = None
        try:
            _extract(reader, layer.stat().st_size, into)
        except (tarfile.TarError, EOFError, ValueError, OverflowError, Untrusted) as error:
            refusal = error
        if reader.digest() != digest:
            raise Untrusted(
                f"The stored artifact {digest} is damaged: its content has another digest",
                hint="ship the change again; andon doctor looks for a failing disk",
            )
    if refusal:
        raise Untrusted(f"The artifact {digest} cannot be unpacked: {refusal}") from refusal


def _extract(reader: HashingReader, most_bytes: int, into: Path) -> None:
    root = os.fsencode(into)
    links: dict[bytes, bytes] = {}
    stream: Any = reader  # a stream is only read
    with tarfile.open(
        fileobj=stream,
        mode="r|",
        encoding="utf-8",
        errors="surrogateescape",
    ) as tar:
        for info in tar:
            name = _name(info)
            if info.issym():
                if name in links:
                    raise Untrusted(f"{shown(name)} is in it twice")
                links[name] = os.fsencode(info.linkname)
            elif info.isdir():
                os.makedirs(os.path.join(root, name), mode=0o755, exist_ok=True)
            elif info.type in tarfile.REGULAR_TYPES and not info.issparse():
                _write(tar, info, most_bytes, os.path.join(root, name))
            else:
                raise Untrusted(f"{shown(name)} is neither a file, a folder nor a link")
    _link(root, links)


def _name(info: tarfile.TarInfo) -> bytes:
    name = os.fsencode(info.name).removeprefix(b"./").rstrip(b"/")
    if not is_safe_name(name):
        raise Untrusted(f"{shown(name)} is no safe name")
    return name


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, most_bytes: int, path: bytes) -> None:
    content = tar.extractfile(info)
    if content is None or info.size > most_bytes:
        raise Untrusted(f"{shown(path)} claims more bytes than the artifact has")
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise Untrusted(f"{shown(os.path.basename(path))} is in it twice") from None
    with os.fdopen(descriptor, "wb") as file:
        while chunk := content.read(1 << 20):
            file.write(chunk)
        os.fchmod(file.fileno(), 0o755 if info.mode & 0o100 else 0o644)


def _link(root: bytes, links: dict[bytes, bytes]) -> None:
    """Make the links last, so that no file can be written through one."""
    for name, target in links.items():
        if leads_outside(name, links):
            raise Untrusted(f"{shown(name)} is a link that leads outside")
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        try:
            os.symlink(target, path)
        except FileExistsError:
            raise Untrusted(f"{shown(name)} is in it twice") from None
