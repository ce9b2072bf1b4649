"""Whose database this is: the state folder whose agent runs the services."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from andon.adapters.durable import write_durably, write_once
from andon.kernel.clock import Randomness
from andon.kernel.errors import Conflict
from andon.ports.store import Store, Tx

SETTING = "home"
IDENTITY = "identity"
MOST_WORKERS = 64


class Home(Struct, frozen=True, rename="camel"):
    """A state folder, as other machines may tell it from theirs."""

    id: str
    host: str
    state: str


def this_home(state: Path, randomness: Randomness) -> Home:
    """Return the identity of a state folder, made when it is first asked for: whole, or not at all.

    Raises:
        Unavailable: It cannot be written.
    """
    file = state / IDENTITY
    made = randomness.token(8).hex().encode()
    if not file.exists():
        write_once(file, made)
    elif not file.read_bytes().strip():
        # It was once written in place, and a crash could leave it empty.
        write_durably(file, made)
    return Home(id=file.read_text().strip(), host=socket.gethostname(), state=str(state))


async def expect_home(store: Store, here: Home, *, take_over: bool) -> None:
    """Make sure that this state folder's agent is the one that the database speaks of.

    Args:
        store: The database.
        here: This state folder.
        take_over: Let it become the home, because the former one is lost.

    Raises:
        Conflict: Another state folder is.
    """

    def settle(tx: Tx) -> None:
        text = tx.get_setting(SETTING)
        home = msgspec.json.decode(text, type=Home) if text else None
        if home is not None and home.id != here.id and not take_over:
            raise Conflict(
                f"this database belongs to {home.state} on {home.host}, whose agent runs the services",
                hint="`andon worker --no-agent` shares its work from here; `andon up --take-over` "
                "makes this the home, when that machine is lost",
            )
        if home is None or home.id != here.id:
            tx.put_setting(SETTING, msgspec.json.encode(here).decode())

    await store.transact(settle)


@contextmanager
def worker_slot(state: Path, here: Home) -> Iterator[str]:
    """Hold a name among the workers of a state folder for as long as this process lives.

    Raises:
        Conflict: There are too many.
    """
    folder = state / "workers"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(MOST_WORKERS):
        descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        try:
            yield f"{here.host}/{here.id}/{number}"
        finally:
            os.close(descriptor)
        return
    raise Conflict(
        f"{state} has {MOST_WORKERS} workers already", hint="`andon queue workers` lists them"
    )


def workers_here(state: Path) -> list[int]:
    """Return the process ids of the workers that live on a state folder."""
    found = []
    for file in sorted((state / "workers").glob("*.lock")):
        with file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(int(lock.read() or 0))
    return [pid for pid in found if pid]
