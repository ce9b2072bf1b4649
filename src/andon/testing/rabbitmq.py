"""A RabbitMQ of the tests' own: Debian's program in a private folder, never the system's service.

It has its own port mapper (epmd) on a port of its own, so nothing is shared with other Erlang nodes,
and everything listens on the loopback address alone.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from andon.testing.certificates import make_certificate
from andon.testing.children import Child, answers, free_port

LIBRARY = Path("/usr/lib/rabbitmq/lib")
CONFIG = """\
listeners.tcp.local = 127.0.0.1:{port}
listeners.ssl.local = 127.0.0.1:{tls_port}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 256MB
log.console = true
log.console.level = warning
log.file = false
"""


def program() -> Path | None:
    """Return the newest ``rabbitmq-server`` installed; None if there is none or no Erlang."""
    found = sorted(LIBRARY.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return found[-1] if found and shutil.which("epmd") and shutil.which("erl") else None


class RabbitServer:
    """A broker that can be killed and started again on the same data.

    Args:
        server: What ``program`` returned.
        folder: Its data.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.port = free_port()
        self.tls_port = free_port()
        self.certificate, key = make_certificate(folder)
        self._epmd_port = free_port()
        self._epmd = Child(["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)], folder)
        (folder / "rabbitmq.conf").write_text(
            CONFIG.format(
                port=self.port, tls_port=self.tls_port, certificate=self.certificate, key=key
            )
        )
        (folder / "enabled_plugins").write_text("[].\n")
        self._broker: Child | None = None

    @property
    def url(self) -> str:
        """Address of its default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the broker, and wait until it speaks AMQP."""
        # What systemd would set: the script becomes the broker instead of watching over it.
        self._broker = Child(
            [str(self._server)], self._folder, {**self._environ(), "RUNNING_UNDER_SYSTEMD": "true"}
        )
        # A wrong protocol header is answered with the right one.
        self._broker.wait_for(lambda: answers(self.port, b"AMQP", b"AMQP\x00\x00\x00\x00"))

    def _environ(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "RABBITMQ_NODENAME": f"andon{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def kill(self) -> None:
        """Kill the broker; its data stays."""
        if self._broker is not None:
            self._broker.kill()

    def close(self) -> None:
        """End everything."""
        self.kill()
        self._epmd.kill()


@contextlib.contextmanager
def running_rabbitmq(server: Path) -> Iterator[RabbitServer]:
    """Start a broker, and end it in the end.

    Args:
        server: What ``program`` returned.
    """
    folder = Path(tempfile.mkdtemp(prefix="andon-amqp-"))
    broker = RabbitServer(server, folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)
