"""One connection: who is at its other end, and how large and slow a request may be.

On the Unix socket the kernel says whose process called (``scope["state"]["peer_uid"]``); a connection over
TCP is marked as one (``scope["state"]["tcp"]``) and never has a uid, whatever it sends. Over TCP a request
that does not arrive is cut off, so that nobody keeps others out by asking slowly.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from andon.kernel.errors import AndonError, TimedOut, Unavailable, UsageError
from andon.web.answers import problem
from andon.web.headers import SecurityHeaders, security_headers

_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as Linux says them."""
_log = logging.getLogger("andon.web")


class Limits(NamedTuple):
    """How large and slow requests may be."""

    connections: int = 512
    """At the same time, of one listener."""
    connections_each: int = 256
    """Of these from one address, or network of IPv6, so that nobody takes all of them."""
    uncounted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks from which many come by one address: this machine, and proxies that are trusted."""
    head_bytes: int = 32_768
    head_seconds: float = 10.0
    """From connecting, or from its first byte, to the last of its header."""
    body_seconds: float = 20.0
    """Within each such time a body brings at least ``body_bytes``, or it is cut off."""
    body_bytes: int = 10_000
    keep_alive_seconds: int = 65
    """Longer than proxies keep theirs, so that none sends into a connection that is just ending."""


class _Phase(Enum):
    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class _Joining:
    """A transport that sends what is written within one turn of the event loop at once.

    A server writes the header of an answer and its body apart, and each costs a system call.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send soon."""
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        """Send what was written, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """One connection of a server.

    Args:
        config: The server's.
        server_state: Its other connections.
        limits: How large and slow requests may be.
    """

    def __init__(self, config: Config, server_state: ServerState, limits: Limits) -> None:
        super().__init__(config, server_state, {})
        self._limits = limits
        self._phase = _Phase.HEAD
        self._deadline: asyncio.TimerHandle | None = None
        self._patient = False
        self._home = ""
        self._head_bytes = 0
        self._partial_bytes = 0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Note who called."""
        super().connection_made(transport)
        self.transport = _Joining(transport, self.loop)  # type: ignore[assignment]
        caller: socket.socket = transport.get_extra_info("socket")
        self._patient = caller.family == socket.AF_UNIX
        self.app_state = {"peer_uid": peer_uid(caller)} if self._patient else {"tcp": True}
        self.client = None if self._patient else _plain(self.client)
        if len(self.connections) > self._limits.connections:
            self.app = _refusing(_busy(self._limits.connections))
        elif self._neighbours() > self._limits.connections_each:
            self.app = _refusing(_crowd(self._limits.connections_each))
        self._watch()

    def _neighbours(self) -> int:
        """Count the connections of whoever may have only some; this one is among them."""
        if self.client is None or _is_in(self.client[0], self._limits.uncounted):
            return 0
        self._home = _home(self.client[0])
        others = (one for one in self.connections if isinstance(one, Connection))
        return sum(one._home == self._home for one in others)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived."""
        if self._phase is _Phase.IDLE:
            self._phase = _Phase.HEAD
        if self._phase is _Phase.HEAD:
            self._partial_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._phase is _Phase.HEAD and self._partial_bytes > self._limits.head_bytes:
            self._refuse(_too_large(self._limits.head_bytes), 431)
        else:
            self._watch()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._phase = _Phase.HEAD
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of its address."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._head_bytes += len(name) + len(value) + len(b": \r\n")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, if it can be read."""
        if self._head_bytes > self._limits.head_bytes:
            self.app = _refusing(_too_large(self._limits.head_bytes), 431)
        super().on_headers_complete()
        self._phase = _Phase.BODY
        self._partial_bytes = self._body_bytes = 0
        self._forget_deadline()

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is there."""
        self._phase = _Phase.IDLE
        self._forget_deadline()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(UsageError(msg), 400)

    def _watch(self) -> None:
        """Wait for the rest of a request, not for ever."""
        if self._phase is not _Phase.IDLE and self._deadline is None and not self._patient:
            wait = (
                self._limits.head_seconds
                if self._phase is _Phase.HEAD
                else self._limits.body_seconds
            )
            self._deadline = self.loop.call_later(wait, self._late)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        arrives = self._phase is _Phase.BODY and self._body_bytes >= self._limits.body_bytes
        if arrives or self.flow.read_paused:
            self._body_bytes = 0
            self._watch()
        else:
            self._refuse(TimedOut("the request did not arrive in time"), 408)

    def _refuse(self, error: AndonError, status: int) -> None:
        """Answer, if nothing was answered yet, and hang up."""
        _log.info("%s is cut off: %s", self.client, error.message)
        self._forget_deadline()
        if self._unanswered():
            self.transport.write(_raw(error, status, self.scheme or "http"))
        self.transport.close()

    def _unanswered(self) -> bool:
        """Say whether an answer would be taken for that to the request that is under way."""
        if self._phase is _Phase.BODY:
            return not self.cycle.response_started
        return self.cycle is None or self.cycle.response_complete


def peer_uid(caller: socket.socket) -> int:
    """Return whose process is at the other end of a Unix socket, as the kernel knows it.

    Source: Linux, unix(7), SO_PEERCRED.
    """
    said = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    return int(uid)


def _plain(client: tuple[str, int] | None) -> tuple[str, int] | None:
    """Write an IPv4 client of a socket for both as one."""
    if client is None:
        return None
    address = ipaddress.ip_address(client[0].partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), client[1]


@lru_cache(maxsize=1024)
def _home(host: str) -> str:
    """Return what counts as one: an IPv4 address, or a network of IPv6, which one person may have.

    >>> _home("192.0.2.7"), _home("2001:db8::7")
    ('192.0.2.7/32', '2001:db8::/64')
    """
    bits = 64 if ":" in host else 32
    return str(ipaddress.ip_network(f"{host}/{bits}", strict=False))


def _is_in(host: str, networks: tuple[str, ...]) -> bool:
    address = ipaddress.ip_address(host)
    return any(address in ipaddress.ip_network(one) for one in networks)


def _crowd(most: int) -> Unavailable:
    return Unavailable(
        f"{most} connections come from your address, which is as many as one may have",
        hint="close what is not needed, or ask again in a moment",
    )


def _too_large(most_bytes: int) -> UsageError:
    return UsageError(f"address and headers of the request are larger than {most_bytes} bytes")


def _busy(most: int) -> Unavailable:
    return Unavailable(
        f"{most} others are connected, which is as many as are let in at a time",
        hint="close what is not needed, or ask again in a moment",
    )


def _refusing(error: AndonError, status: int = 0) -> ASGIApp:
    response = problem(error, status)
    response.headers["Connection"] = "close"
    if error.retry:
        response.headers["Retry-After"] = "5"
    return SecurityHeaders(response)


def _raw(error: AndonError, status: int, scheme: str) -> bytes:
    response: Any = problem(error, status)
    headers = (
        *response.raw_headers,
        *security_headers("/api/", scheme),
        (b"connection", b"close"),
    )
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in dict(headers).items()]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
