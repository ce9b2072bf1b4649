"""The state folder, and one control plane in it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from andon.kernel.errors import Conflict, Unavailable

LOCK = "control.lock"
RECORD = "control.json"


def prepare_state(state: Path) -> None:
    """Make the state folder, private to this user.

    Raises:
        Unavailable: It cannot be made or written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        probe = state / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise Unavailable(
            f"the state folder {state} cannot be written: {error.strerror}",
            hint="`--state DIR` or ANDON_STATE names another one; `andon doctor` checks it",
        ) from None


@contextmanager
def hold_state(state: Path, facts: dict[str, Any]) -> Iterator[None]:
    """Hold a state folder for this process.

    Args:
        state: The folder; it exists.
        facts: What to tell others about the holder.

    Raises:
        Conflict: Another process holds it; the message says which.
    """
    descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(state) from None
        write_record(state, facts)
        yield
    finally:
        os.close(descriptor)


def write_record(state: Path, facts: dict[str, Any]) -> None:
    """Write who runs here, for `andon down` and for the message of a second `andon up`."""
    temporary = state / f"{RECORD}.new"
    temporary.write_text(json.dumps({"pid": os.getpid(), **facts}))
    temporary.chmod(0o600)
    temporary.replace(state / RECORD)


def read_record(state: Path) -> dict[str, Any]:
    """Return what the last control plane wrote; empty if there was none."""
    try:
        record: dict[str, Any] = json.loads((state / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record


def _held(state: Path) -> Conflict:
    record = read_record(state)
    who = f"process {record['pid']}" if "pid" in record else "another process"
    url = f", {record['url']}" if record.get("url") else ""
    return Conflict(
        f"{state} is held by {who}{url}: one control plane a state folder",
        hint="`andon status` talks to it, `andon down` ends it, `--state DIR` uses another folder",
    )
