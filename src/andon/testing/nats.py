"""A NATS server with JetStream of the tests' own: a private folder, a loopback port of its own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from andon.testing.certificates import make_certificate
from andon.testing.children import Child, answers, free_port


def program() -> Path | None:
    """Return the installed ``nats-server``; None if there is none."""
    found = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    return Path(found) if found else None


class NatsServer:
    """A server that can be killed and started again on the same data.

    Args:
        server: What ``program`` returned.
        folder: Its data.
        tls: Whether it is to be spoken to in secret.
    """

    def __init__(self, server: Path, folder: Path, tls: bool = False) -> None:
        pair = make_certificate(folder) if tls else None
        self.certificate = pair[0] if pair else None
        self._key = pair[1] if pair else None
        self._server = server
        self._folder = folder
        self.port = free_port()
        self._process: Child | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it greets."""
        place = ("--addr", "127.0.0.1", "--port", str(self.port))
        data = ("--jetstream", "--store_dir", str(self._folder / "jetstream"))
        secret = ("--tls", "--tlscert", str(self.certificate), "--tlskey", str(self._key))
        options = (*place, *data, *(secret if self.certificate else ()))
        self._process = Child([str(self._server), *options], self._folder)
        self._process.wait_for(lambda: answers(self.port, b"INFO "))

    def kill(self) -> None:
        """Kill it; what it has confirmed stays."""
        if self._process is not None:
            self._process.kill()


@contextlib.contextmanager
def running_nats(server: Path, tls: bool = False) -> Iterator[NatsServer]:
    """Start a server, and end it in the end.

    Args:
        server: What ``program`` returned.
        tls: Whether it is to be spoken to in secret.
    """
    folder = Path(tempfile.mkdtemp(prefix="andon-nats-"))
    running = NatsServer(server, folder, tls)
    try:
        running.start()
        yield running
    finally:
        running.kill()
        shutil.rmtree(folder, ignore_errors=True)
