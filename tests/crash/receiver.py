"""A real HTTP server that keeps what it is told, by idempotency key, for many plays at once."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Told = dict[str, list[dict[str, Any]]]
"""Bodies by idempotency key, in the order they came."""


class Receiver:
    """Listens on a port of its own until it is closed."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = defaultdict(lambda: defaultdict(list))
        """What each play told: its path is its name."""
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told[self.path][self.headers["Idempotency-Key"]].append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
