"""Exported ledgers as files on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from andon.client.wire import Client
from andon.kernel.errors import Conflict, NotFound, Unavailable
from andon.store.transfer import (
    SUMMARY,
    Summary,
    decode_line,
    follow,
    matches,
    read_file,
    row_of,
    summary_line,
)

Json = dict[str, Any]
_COMPARED_AT_ONCE = 500
_MARK = f'"type":"{SUMMARY}"'.encode()


def verify_file(file: Path) -> Json:
    """Prove a file by itself.

    Raises:
        NotFound: There is none.
        Untrusted: It is not as it was written; the message names the line.
    """
    with _opened(file, "rb") as lines:
        found = read_file(lines)
    return {
        "ok": True,
        "file": str(file),
        "events": found.events,
        "erased": found.erased,
        "lastSeq": found.last_seq,
        "whole": found.is_whole,
    }


def export_to(client: Client, file: str, query: Mapping[str, Any], *, overwrite: bool) -> Json:
    """Write an export; the file appears once it is whole and on the disk.

    Raises:
        Conflict: The file is there already.
        Unavailable: The control plane ended before the summary.
    """
    asked = {name: value for name, value in query.items() if value}
    if file == "-":
        return _write(client, sys.stdout.buffer, asked, file)
    path = Path(file)
    if path.exists() and not overwrite:
        raise Conflict(
            f"{path} exists",
            hint="`--resume` goes on with it, `--overwrite` replaces it",
        )
    part = path.with_name(f"{path.name}.part")
    with _kept(path, part), part.open("wb") as target:
        return _write(client, target, asked, file)


def go_on(client: Client, path: Path, query: Mapping[str, Any]) -> Json:
    """Go on with an export that was cut off, or that was whole once.

    Raises:
        Conflict: The file is no beginning of this ledger, or other events were asked for.
        Unavailable: The control plane ended before the summary.
    """
    asked = {name: value for name, value in query.items() if value}
    part = path.with_name(f"{path.name}.part")
    there = part if part.exists() else path
    found, lines, end = _read(there, asked) if there.exists() else (Summary(), 0, 0)
    _compare(client, found)
    with _kept(path, part), _begun(there, part, end) as target:
        after = max(found.last_seq, int(asked.get("after", 0)))
        fresh = _follow(client, target, found, lines, asked | {"after": after})
    return {"file": str(path), "events": found.events, "fresh": fresh}


def _begun(there: Path, part: Path, end: int) -> BinaryIO:
    """Open what is gone on with, cut off at an end; a whole file stays until the new one is whole."""
    if there != part and there.exists():
        shutil.copyfile(there, making := there.with_name(f"{there.name}.copy"))
        making.replace(part)
    target = part.open("r+b" if part.exists() else "w+b")
    target.truncate(end)
    target.seek(end)
    return target


def _read(file: Path, asked: Mapping[str, Any]) -> tuple[Summary, int, int]:
    """Prove the events of a file up to its summary, or to a line that is torn; lines and bytes of them."""
    found, number, end = Summary(), 0, 0
    wanted = {name: value for name, value in asked.items() if name != "after"}
    with _opened(file, "rb") as lines:
        for line in lines:
            value = decode_line(line.rstrip(b"\n"), number + 1) if line.endswith(b"\n") else {}
            if "andonseq" not in value:
                break
            number, end = number + 1, end + len(line)
            row = row_of(value, number)
            follow(found, row, number)
            if not matches(row, wanted):
                raise Conflict(f"line {number}: the file holds other events than are asked for now")
    if not asked and not found.is_whole:
        raise Conflict("the file holds a part of a ledger only", hint="ask for the same as then")
    return found, number, end


def _compare(client: Client, found: Summary) -> None:
    heads = sorted(found.heads.items())
    for start in range(0, len(heads), _COMPARED_AT_ONCE):
        client.post("/ledger/compare", {"heads": dict(heads[start : start + _COMPARED_AT_ONCE])})


def _follow(
    client: Client, target: BinaryIO, found: Summary, number: int, asked: Mapping[str, Any]
) -> int:
    """Add what is new, and a summary of the whole file."""
    before = found.events
    filtered = any(name != "after" for name in asked) or not found.is_whole
    for line in client.lines("/ledger/export", asked):
        number += 1
        value = decode_line(line.rstrip(b"\n"), number)
        if "andonseq" in value:
            follow(found, row_of(value, number), number)
            target.write(line)
        else:
            filtered = filtered or not found.is_whole
            end = summary_line(found, value["source"], filtered=filtered, now=value["time"])
            target.write(end + b"\n")
            return found.events - before
    raise Unavailable("the export was cut off", hint="`--resume` goes on with it")


def _write(client: Client, target: BinaryIO, asked: Mapping[str, Any], file: str) -> Json:
    count, whole = 0, False
    for line in client.lines("/ledger/export", asked):
        target.write(line)
        count += 1
        whole = _MARK in line and "andonseq" not in decode_line(line.rstrip(b"\n"), count)
    if not whole:
        raise Unavailable("the export was cut off", hint="`--resume` goes on with it")
    return {"file": file, "events": count - 1}


def import_from(client: Client, file: Path) -> Json:
    """Send a file's events."""
    with _opened(file, "rb") as lines:
        answer: Json = client.send("/ledger/import", lines)
    return answer


@contextmanager
def _kept(path: Path, part: Path) -> Iterator[None]:
    """Put what was written in its place once it is on the disk."""
    try:
        yield
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror}",
            hint="make room or name another file; `--resume` goes on with what is there",
        ) from None


def _opened(path: Path, mode: str) -> Any:
    try:
        return path.open(mode)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from None
