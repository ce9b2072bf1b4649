"""A webhook receiver: ``python -m andon.cli.demo.receiver --file FILE --port-file FILE``.

It keeps each notice it is told in a JSON file, once for each ``Idempotency-Key``, and shows them on GET.
A notice is answered only when it is in the file: whoever tells it again after a lost answer loses nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from andon.cli.demo.tally import write_file

BODY_LIMIT_BYTES = 1_000_000


class Notice(msgspec.Struct, frozen=True):
    """What was told under a key."""

    key: str
    body: Any


class Notices:
    """Notices in a file, each key once.

    Args:
        file: JSON array, oldest first; read back at the start if it is there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._by_key: dict[str, Notice] = {}
        if file.exists():
            kept = msgspec.json.decode(file.read_bytes(), type=list[Notice])
            self._by_key = {notice.key: notice for notice in kept}

    def add(self, notice: Notice) -> bool:
        """Keep a notice; return False if its key is known already."""
        with self._lock:
            if notice.key in self._by_key:
                return False
            kept = {**self._by_key, notice.key: notice}
            write_file(self._file, msgspec.json.encode(list(kept.values())))
            self._by_key = kept
            return True

    def all(self) -> list[Notice]:
        """Return the notices, oldest first."""
        return list(self._by_key.values())


class Receiver(ThreadingHTTPServer):
    """Listens on a free local port.

    Args:
        notices: Where to keep what it is told.
    """

    daemon_threads = True

    def __init__(self, notices: Notices) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notices = notices

    @property
    def url(self) -> str:
        """Return the address to tell."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(200, self.server.notices.all())

    def do_POST(self) -> None:
        try:
            notice = self._read()
        except ValueError as error:
            self.close_connection = True
            self._answer(400, {"error": str(error)})
            return
        new = self.server.notices.add(notice)
        self._answer(201 if new else 200, {"stored": new})

    def _read(self) -> Notice:
        key = self.headers.get("Idempotency-Key", "")
        if not key:
            raise ValueError("a notice needs an Idempotency-Key")
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 < length <= BODY_LIMIT_BYTES:
            raise ValueError(f"a body of {length} bytes is not understood here")
        return Notice(key, msgspec.json.decode(self.rfile.read(length)))

    def _answer(self, status: int, value: object) -> None:
        body = msgspec.json.encode(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the file says it all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Receive until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m andon.cli.demo.receiver", description=__doc__)
    parser.add_argument("--file", required=True, type=Path, help="where to keep what is told")
    parser.add_argument("--port-file", required=True, type=Path, help="told the port listened on")
    options = parser.parse_args(arguments)
    # Blocked before any thread starts, so that the signal waits for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with Receiver(Notices(options.file)) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        write_file(options.port_file, str(receiver.server_port).encode())
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        receiver.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
