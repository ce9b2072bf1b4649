"""Exported ledgers as files on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from andon.cli.client import Client
from andon.kernel.errors import Conflict, NotFound, Unavailable
from andon.store.transfer import SUMMARY, decode_line, read_file

Json = dict[str, Any]
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
            hint="`--overwrite` replaces it; `--after SEQ` continues one in a new file",
        )
    part = path.with_name(f"{path.name}.part")
    with _opened(part, "wb") as target:
        answer = _write(client, target, asked, file)
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    return answer


def _write(client: Client, target: BinaryIO, asked: Mapping[str, Any], file: str) -> Json:
    count, whole = 0, False
    for line in client.lines("/ledger/export", asked):
        target.write(line)
        count += 1
        whole = _MARK in line and "andonseq" not in decode_line(line.rstrip(b"\n"), count)
    if not whole:
        raise Unavailable("the export was cut off", hint="run it again")
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
