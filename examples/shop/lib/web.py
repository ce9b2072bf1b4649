"""A small HTTP/1.1 server and client: a thread for each connection, connections kept open.

The build copies this module into every service, so that each artifact is complete by itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

PASSED_ON = ("traceparent", "x-client")
"""Headers of a caller that its calls to other services carry on."""

BODY_LIMIT_BYTES = 1_000_000
LINE_LIMIT_BYTES = 65_536
UPSTREAM_TIMEOUT_SECONDS = 5.0
IDLE_LIMIT = 32
STOP_TIMEOUT_SECONDS = 30.0
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 502: "Bad Gateway"}


class Problem(Exception):
    """A request that cannot be answered as asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def parts(self) -> list[str]:
        return [part for part in self.path.split("/") if part]

    @property
    def query(self) -> dict[str, str]:
        pairs = self.target.partition("?")[2].split("&")
        return dict(pair.partition("=")[::2] for pair in pairs if pair)

    @property
    def client(self) -> str:
        return self.headers.get("x-client", "")

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise Problem(400, "the body is not JSON") from None


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = "application/json"


def as_json(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


def as_page(html: str) -> Answer:
    return Answer(200, html.encode(), "text/html; charset=utf-8")


class Message(NamedTuple):
    """A request or an answer as it travels."""

    start: str
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close" or "HTTP/1.0" in self.start


def read_message(stream: BinaryIO) -> Message | None:
    """Read the next message; None if the other side closed before its first byte."""
    start = stream.readline(LINE_LIMIT_BYTES)
    if not start:
        return None
    headers = {}
    while (line := stream.readline(LINE_LIMIT_BYTES)) not in (b"\r\n", b"\n"):
        if not line:
            raise ConnectionError("closed in the middle of a message")
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = read_body(stream, headers.get("content-length", "0"))
    return Message(start.decode("latin-1").strip(), headers, body)


def read_body(stream: BinaryIO, length: str) -> bytes:
    if not length.isdecimal() or int(length) > BODY_LIMIT_BYTES:
        raise Problem(400, f"a body of {length} bytes is not understood here")
    body = stream.read(int(length))
    if len(body) < int(length):
        raise ConnectionError("closed in the middle of a message")
    return body


# The client


class Upstream:
    """Another service, called through the gateway over connections that stay open.

    An idle connection may be closed by the other side at the very moment it is used again. A GET that
    meets this is sent once more on a new connection; a POST always gets a new connection and is never
    repeated, so that nothing is ordered twice.
    """

    def __init__(self, name: str, url: str) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self.name = name
        self.address = (host, int(port or 80))
        self._idle: list[tuple[socket.socket, BinaryIO]] = []

    def get(self, path: str, caller: Request) -> Any:
        return self._call("GET", path, caller, b"")

    def post(self, path: str, caller: Request, value: object) -> Any:
        return self._call("POST", path, caller, json.dumps(value).encode())

    def _call(self, method: str, path: str, caller: Request, body: bytes) -> Any:
        message = self._render(method, path, caller, body)
        try:
            answer = self._exchange(message, reuse=method == "GET")
        except OSError as error:
            raise Problem(502, f"{self.name} does not answer: {error}") from error
        status = int(answer.start.split(" ")[1])
        if status >= 500:
            raise Problem(502, f"{self.name} answered {status} to {method} {path}")
        if status >= 400:
            raise Problem(status, json.loads(answer.body)["error"])
        return json.loads(answer.body)

    def _render(self, method: str, path: str, caller: Request, body: bytes) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.address[0]}:{self.address[1]}"]
        lines += [f"{name}: {caller.headers[name]}" for name in PASSED_ON if name in caller.headers]
        lines += [f"content-length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def _exchange(self, message: bytes, *, reuse: bool) -> Message:
        if reuse and self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                connection = self._connect()
            answer = self._try(connection, message, keep=True)
            if answer is not None:
                return answer
        answer = self._try(self._connect(), message, keep=reuse)
        if answer is None:
            raise ConnectionError("closed without an answer")
        return answer

    def _connect(self) -> tuple[socket.socket, BinaryIO]:
        link = socket.create_connection(self.address, UPSTREAM_TIMEOUT_SECONDS)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link, link.makefile("rb")

    def _try(
        self, connection: tuple[socket.socket, BinaryIO], message: bytes, *, keep: bool
    ) -> Message | None:
        """Send and receive; None if the connection was closed without a byte of an answer."""
        link, stream = connection
        answer = None
        try:
            try:
                link.sendall(message)
                if not stream.peek(1):  # type: ignore[attr-defined]
                    return None
            except (ConnectionResetError, BrokenPipeError):
                return None
            answer = read_message(stream)
        finally:
            if keep and answer and not answer.closes and len(self._idle) < IDLE_LIMIT:
                self._idle.append(connection)
            else:
                stream.close()
                link.close()
        return answer


# The server


class Server:
    """Answers requests until the process is told to stop; then finishes those that are running."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer
        self._stopping = False
        self._open: dict[socket.socket, threading.Thread] = {}
        self._waiting: set[socket.socket] = set()

    def run(self, port: int) -> None:
        """Listen on a local port until SIGTERM or SIGINT."""
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        with socket.create_server(("127.0.0.1", port), backlog=512) as listener:
            listener.setblocking(False)
            while wake not in select.select([listener, wake], [], [])[0]:
                self._accept(listener)
            self._stopping = True
            self._accept(listener)
        self._finish()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            self.start(link)

    def start(self, link: socket.socket) -> threading.Thread:
        """Answer what arrives on a connection, in a thread of its own."""
        thread = threading.Thread(target=self._converse, args=(link,), daemon=True)
        self._open[link] = thread
        thread.start()
        return thread

    def _finish(self) -> None:
        """Let running requests end; a connection that waits for its next request ends at once."""
        for link in list(self._waiting):
            try:
                link.shutdown(socket.SHUT_RD)
            except OSError:  # already closed
                pass
        for thread in list(self._open.values()):
            thread.join(STOP_TIMEOUT_SECONDS)

    def _converse(self, link: socket.socket) -> None:
        try:
            # An idle connection is left open: its other end, the gateway, knows best when to close it.
            link.setblocking(True)
            if link.family == socket.AF_INET:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with link, link.makefile("rb") as stream:
                while self._requested(link, stream) and self._serve_one(link, stream):
                    pass
        except OSError:
            pass  # the other side went away; there is nobody left to tell
        finally:
            self._waiting.discard(link)
            self._open.pop(link, None)

    def _requested(self, link: socket.socket, stream: BinaryIO) -> bool:
        """Wait for the first byte of a request; return False if none will come."""
        self._waiting.add(link)
        if self._stopping:  # since before the line above, so that nobody else ends the wait
            link.shutdown(socket.SHUT_RD)
        came = bool(stream.peek(1))  # type: ignore[attr-defined]
        self._waiting.discard(link)
        return came

    def _serve_one(self, link: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request; return whether another may follow."""
        try:
            message = read_message(stream)
        except Problem as problem:
            link.sendall(self._render(as_json({"error": str(problem)}, problem.status), last=True))
            return False
        if message is None:
            return False
        answer = self.respond(message)
        last = message.closes or self._stopping
        link.sendall(self._render(answer, last=last))
        return not last

    def respond(self, message: Message) -> Answer:
        """Answer a request; what goes wrong is logged and answered with an error."""
        method, _, rest = message.start.partition(" ")
        request = Request(method, rest.partition(" ")[0], message.headers, message.body)
        if request.path == "/healthz":
            return as_json({"status": "ok"})
        try:
            return self._answer(request)
        except Problem as problem:
            if problem.status >= 500:
                log(request, str(problem))
            return as_json({"error": str(problem)}, problem.status)
        except Exception:
            log(request, traceback.format_exc())
            return as_json({"error": "internal error"}, 500)

    def _render(self, answer: Answer, *, last: bool) -> bytes:
        head = (
            f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Error')}\r\n"
            f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n"
        )
        return (head + ("connection: close\r\n\r\n" if last else "\r\n")).encode() + answer.body


def log(request: Request, text: str) -> None:
    trace = request.headers.get("traceparent", "-")
    sys.stderr.write(f"error: {request.method} {request.target} trace={trace}: {text.rstrip()}\n")
    sys.stderr.flush()


def serve(answer: Callable[[Request], Answer]) -> None:
    """Answer requests on $PORT until told to stop."""
    threading.stack_size(512 * 1024)
    Server(answer).run(int(os.environ["PORT"]))
