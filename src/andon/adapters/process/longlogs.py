"""Logs that grow too long: their middle is given back to the disk while they are written.

Offsets stay what they were, so that whoever reads along goes on: what was left out is a hole in the file,
and a line before it says so.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

HEAD_BYTES = 64 << 20
TAIL_BYTES = 64 << 20
_SLACK_BYTES = 64 << 20
_ALIGNED_BYTES = 1 << 16
_PUNCH_HOLE_KEEP_SIZE = 0x03  # fallocate(2)
_NOTE_BYTES = 128

_log = logging.getLogger("andon.logs")


def shorten(log: Path, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> int:
    """Leave out the middle of a log that is too long; return how many bytes of it are left out.

    Args:
        log: It may be written meanwhile, by programs that append.
        head_bytes: What stays of its beginning.
        tail_bytes: What stays of its end, at least.
    """
    try:
        facts = log.stat()
        if facts.st_blocks * 512 <= head_bytes + tail_bytes + _SLACK_BYTES:
            return 0
        with open(log, "r+b", buffering=0) as file:
            return _punch(file.fileno(), facts.st_size, head_bytes, tail_bytes)
    except FileNotFoundError:
        return 0
    except OSError as error:
        _log.warning("%s cannot be shortened: %s", log, error.strerror)
        return 0


def add(log: Path, offset: int, data: bytes, left_out_bytes: int = 0) -> int:
    """Add to a copy of a log what it does not have yet; return how long it is then.

    What would leave a gap that is none in the original is not taken.

    Args:
        log: The copy; it is shortened as the original is.
        offset: Where the bytes begin in the original.
        data: The bytes.
        left_out_bytes: So many before them are missing in the original.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if offset - left_out_bytes <= size < offset:
            _note(descriptor, size, offset - size)
            size = offset
        new = data[size - offset :] if offset <= size else b""
        os.pwrite(descriptor, new, size)
    finally:
        os.close(descriptor)
    shorten(log)
    return size + len(new)


def _note(descriptor: int, end: int, missing: int) -> None:
    """Say at the end of what is there how many bytes are missing behind it."""
    said = f"\n[andon: {missing} bytes were left out here, as the log is too long]"
    os.pwrite(descriptor, said.encode().ljust(_NOTE_BYTES - 1) + b"\n", max(0, end - _NOTE_BYTES))


def _punch(descriptor: int, size_bytes: int, head_bytes: int, tail_bytes: int) -> int:
    start = head_bytes // _ALIGNED_BYTES * _ALIGNED_BYTES
    end = (size_bytes - tail_bytes) // _ALIGNED_BYTES * _ALIGNED_BYTES
    _fallocate(descriptor, start, end - start)
    _note(descriptor, start, end - start)
    return end - start


def _fallocate(descriptor: int, start: int, length: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    offset, size = ctypes.c_int64(start), ctypes.c_int64(length)
    if libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, offset, size):
        code = ctypes.get_errno() or errno.EOPNOTSUPP
        raise OSError(code, os.strerror(code))


def extent(descriptor: int, start: int) -> tuple[int, int]:
    """Return where data begins at or after an offset, and where it ends: the next hole, or the end."""
    with contextlib.suppress(OSError):  # None follows, or the file system knows no holes.
        begin = os.lseek(descriptor, start, os.SEEK_DATA)
        return begin, os.lseek(descriptor, begin, os.SEEK_HOLE)
    return start, os.fstat(descriptor).st_size
