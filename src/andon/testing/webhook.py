"""A receiver of webhooks on the loopback address, whose answers a test chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec import Struct

from andon.testing.children import free_port


class Received(Struct, frozen=True):
    """One request.

    Args:
        headers: By name in lower case.
        body: As it came.
        path: What was asked for.
    """

    headers: dict[str, str]
    body: bytes
    path: str = ""


class WebhookReceiver:
    """Keeps every request it gets, whatever it answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[Received] = []
        self.status: Callable[[Received], int] = lambda request: 204
        """Says what to answer."""
        self.headers: dict[str, str] = {}
        """What else to answer."""
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/events"

    def start(self) -> None:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def kill(self) -> None:
        """Listen no more; what came stays known."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(headers, body, self.path)
                receiver.requests.append(request)
                self.send_response(receiver.status(request))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        return Handler
