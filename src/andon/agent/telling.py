"""Where processes of this host tell what they see: a loopback port that outlives the control plane.

Services know it by their environment, which no restart changes; so the port and its token stay the same for
as long as the state folder. What comes is passed on through the control plane's Unix socket, wherever that
listens besides: nothing but OTLP, and a body only whole. The request that goes on is written here, from the
few things taken out of the one that came, so that nobody smuggles another one past this door.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from andon.adapters import unixsocket
from andon.adapters.process.files import read_json, write_json
from andon.adapters.process.layout import Layout
from andon.adapters.process.telling import Address
from andon.kernel.errors import Unavailable

LARGEST_BYTES = 8 << 20
_HEAD_BYTES = 16 << 10
_BODIES_AT_ONCE = 8
_PATIENCE_SECONDS = 60.0
_LINGER_SECONDS = 2.0
_AGAIN_SECONDS = 5
_TOKEN_BYTES = 24
_SIGNALS = frozenset({b"/v1/traces", b"/v1/metrics", b"/v1/logs"})
_PASSED_ON = ("content-type", "content-encoding")
_PASSED_BACK = ("content-type", "retry-after")
_SAID = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    413: "Content Too Large",
    503: "Service Unavailable",
}
_LENGTH = re.compile(r"\d{1,12}")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n")

_log = logging.getLogger("andon.agent")


class _Refused(Exception):
    """It is answered with a status, and the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Head(NamedTuple):
    path: bytes
    headers: Mapping[str, str]


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = b""


class TellingDoor:
    """Takes OTLP on a loopback port.

    Args:
        layout: The state folder.
    """

    def __init__(self, layout: Layout) -> None:
        self._control = layout.control
        self._file = layout.agent / "telling.json"
        self._address: Address | None = None
        self._server: asyncio.Server | None = None
        self._places = asyncio.Semaphore(_BODIES_AT_ONCE)

    def address(self) -> Address | None:
        """Return where to tell; None: nothing listens."""
        return self._address

    async def open(self) -> None:
        """Listen where the last agent did; a host without this door still carries everything."""
        known = read_json(self._file, Address)
        try:
            self._server = await self._listen(known.port if known else 0)
            port = self._server.sockets[0].getsockname()[1]
            token = known.token if known else secrets.token_urlsafe(_TOKEN_BYTES)
            if known is None or known.port != port:
                write_json(self._file, Address(port=port, token=token))
        except (OSError, Unavailable) as error:
            _log.warning("services are not told where to tell: %s", error)
            self.close()
            return
        self._address = Address(port=port, token=token)

    async def _listen(self, port: int) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._converse, "127.0.0.1", port, limit=_HEAD_BYTES)
        except OSError as error:
            if not port:
                raise
            _log.warning(
                "port %d is taken (%s): services that run tell nothing until they start again",
                port,
                error,
            )
            return await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=_HEAD_BYTES)

    def close(self) -> None:
        """Listen no more."""
        self._address = None
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
            await _linger(reader, writer)
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # They have gone, or speak no HTTP: exporters come again by themselves.
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow on this connection."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            raw = await reader.readuntil(b"\r\n\r\n")
        try:
            head = self._admit(raw)
            last = head.headers.get("connection", "").lower() == "close"
            async with self._places, asyncio.timeout(_PATIENCE_SECONDS):
                if head.headers.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await _body(reader, head.headers)
                answer = await self._pass_on(head, body)
        except _Refused as refused:
            answer, last = _Answer(refused.status, _SAID[refused.status], {}), True
        writer.write(_written(answer, last=last))
        await writer.drain()
        return not last

    def _admit(self, raw: bytes) -> _Head:
        """Read a request's head.

        Raises:
            _Refused: It asks for something else, or has no token.
        """
        if self._address is None:
            raise _Refused(503)
        head = _read_head(raw)
        expected = f"Bearer {self._address.token}".encode()
        given = head.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, expected):
            raise _Refused(401)
        if head.path not in _SIGNALS:
            raise _Refused(404)
        return head

    async def _pass_on(self, head: _Head, body: bytes) -> _Answer:
        """Have the control plane take it; while there is none, exporters keep it and come again."""
        lines = [
            f"POST /api/v1/otlp{head.path.decode()} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Content-Length: {len(body)}",
            *(f"{name}: {head.headers[name]}" for name in _PASSED_ON if name in head.headers),
        ]
        try:
            with unixsocket.address(self._control) as where:
                reader, writer = await asyncio.open_unix_connection(where)
            try:
                writer.write("\r\n".join([*lines, "\r\n"]).encode("latin-1") + body)
                said = await reader.read()
            finally:
                writer.close()
            return _read_answer(said)
        except (OSError, ValueError):
            return _Answer(503, _SAID[503], {"retry-after": str(_AGAIN_SECONDS)})


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the last answer be read: closed over a body that nobody read, a connection is reset."""
    writer.write_eof()
    async with asyncio.timeout(_LINGER_SECONDS):
        while await reader.read(_HEAD_BYTES):
            pass


def _read_head(raw: bytes) -> _Head:
    first, *lines = raw[:-4].split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or words[0] != b"POST" or not words[2].startswith(b"HTTP/1."):
        raise _Refused(404 if len(words) == 3 else 400)
    return _Head(words[1], _headers(lines))


def _headers(lines: list[bytes]) -> dict[str, str]:
    """Read headers; what two could read differently is refused."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        key = name.lower()
        if (
            not colon
            or not name
            or name != name.strip()
            or {"\r", "\n", "\0"} & set(line.decode("latin-1"))
        ):
            raise _Refused(400)
        if key in found and key in ("content-length", "transfer-encoding", "authorization"):
            raise _Refused(400)
        found[key] = value.strip()
    return found


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length", "0")
    if coding is not None:
        if coding.lower() != "chunked" or "content-length" in headers:
            raise _Refused(400)
        return await _chunks(reader)
    if not _LENGTH.fullmatch(length):
        raise _Refused(400)
    if int(length) > LARGEST_BYTES:
        raise _Refused(413)
    return await reader.readexactly(int(length))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = _CHUNK.fullmatch(await reader.readuntil(b"\r\n"))
        if line is None:
            raise _Refused(400)
        size = int(line[1], 16)
        if len(body) + size > LARGEST_BYTES:
            raise _Refused(413)
        if not size:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # Trailers, which say nothing that matters here.
            return bytes(body)
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise _Refused(400)


def _read_answer(said: bytes) -> _Answer:
    """Read an answer of our own server, which ends it by closing.

    Raises:
        ValueError: It was cut off.
    """
    head, end, body = said.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = _headers(lines)
    _, status, reason = (first.decode("latin-1") + "  ").split(" ", 2)
    if not end or len(body) != int(headers.get("content-length", "0")):
        raise ValueError("an answer that ends early")
    back = {name: headers[name] for name in _PASSED_BACK if name in headers}
    return _Answer(int(status), reason.strip(), back, body)


def _written(answer: _Answer, *, last: bool) -> bytes:
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if last:
        headers["connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + answer.body
