"""Exported ledgers as files on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from andon.cli.client import Client
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
    with _opened(part, "wb") as target:
        answer = _write(client, target, asked, file)
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    return answer


def go_on(client: Client, path: Path, query: Mapping[str, Any]) -> Json:
    """Go on with an export that was cut off, or that was whole once.

    Raises:
        Conflict: The file is no beginning of this ledger, or other events were asked for.
        Unavailable: The control plane ended before the summary.
    """
    asked = {name: value for name, value in query.items() if value}
    part = path.with_name(f"{path.name}.part")
    if not part.exists() and path.exists():
        shutil.copyfile(path, making := path.with_name(f"{path.name}.copy"))
        making.replace(part)
    with _opened(part, "r+b" if part.exists() else "w+b") as target:
        found, lines = _cut(target, asked)
        _compare(client, found)
        after = max(found.last_seq, int(asked.get("after", 0)))
        fresh = _follow(client, target, found, lines, asked | {"after": after})
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    return {"file": str(path), "events": found.events, "fresh": fresh}


def _cut(target: BinaryIO, asked: Mapping[str, Any]) -> tuple[Summary, int]:
    """Prove the events of a file, and cut off what follows: its summary, or a line that is torn."""
    found, number, end = Summary(), 0, 0
    wanted = {name: value for name, value in asked.items() if name != "after"}
    for line in target:
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
    target.truncate(end)
    target.seek(end)
    return found, number


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


def _opened(path: Path, mode: str) -> Any:
    try:
        return path.open(mode)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from None
