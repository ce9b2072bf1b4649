"""Where local runs keep what they must not forget, and that only one goes on at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from andon.app.shipping import slug
from andon.kernel.errors import Conflict, Unavailable

_LOCK = "run.lock"


def local_state(given: str, environ: Mapping[str, str], folder: Path) -> Path:
    """Say where the local runs of a folder keep their state.

    Args:
        given: ``--state``, or empty.
        environ: Environment variables.
        folder: With the documents.
    """
    named = given or environ.get("ANDON_STATE", "")
    if named:
        return Path(named).expanduser().absolute() / "local"
    base = environ.get("XDG_STATE_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(base).absolute() / "andon" / f"{slug(str(folder))}-{digest}"


@contextmanager
def held(state: Path) -> Iterator[None]:
    """Make a state folder and hold it for this process.

    Raises:
        Unavailable: It cannot be made or written.
        Conflict: Another local run holds it.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"the state folder {state} cannot be written: {error.strerror}",
            hint="`andon run --state DIR` keeps it elsewhere",
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.read(descriptor, 32).decode(errors="replace").strip() or "another process"
            raise Conflict(
                f"`andon run` is at work here already (process {who})",
                hint="wait for it, or run beside it with `--state DIR`",
            ) from None
        os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
