"""Servers that tests start: each its own process in a private folder, gone with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from andon.adapters.process import ports

START_SECONDS = 120
POLL_SECONDS = 0.02
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


_promised: set[int] = set()


def free_port() -> int:
    """Return a loopback port that nobody listens on now, and that nobody gets by chance meanwhile.

    It lies outside of what the kernel gives to connections and to whoever asks for any port, and no
    process promises it twice.
    """
    port = ports.choose(f"{os.getpid()}/{len(_promised)}", _promised)
    _promised.add(port)
    return port


class Child:
    """A process that ends with this one.

    Args:
        command: What to run.
        folder: Its working folder; what it prints goes to a file there.
        environ: Environment variables besides PATH.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self._log = folder / f"{Path(command[0]).name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Poll until it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert self._process.poll() is None, f"it ended: {self._log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"not ready: {self._log.read_text()[-2000:]}"
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End it without a warning, and see that it is gone."""
        self._process.kill()
        self._process.wait(START_SECONDS)


def answers(port: int, greeting: bytes, said: bytes = b"") -> bool:
    """Say whether a server on the loopback address begins to talk as expected.

    Args:
        port: Where.
        greeting: What its first words begin with.
        said: What to say first.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(said)
            return connection.recv(64).startswith(greeting)
    except OSError:
        return False


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, int(signal.SIGKILL))
