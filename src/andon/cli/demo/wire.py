"""A minimal HTTP/1.1 client for load: few instructions a request, connections kept open.

A server may close an idle connection at the very moment a client uses it again. Then no byte of an answer
comes, and nobody can tell whether the request was read. A GET may be repeated without harm, so it is sent
once more, on a new connection, as browsers and proxies do. A POST may not: it always goes out on a
connection of its own, which nobody closes for being idle, and is never repeated.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from typing import NamedTuple
from urllib.parse import urlsplit

from andon.kernel.errors import UsageError

IDLE_LIMIT = 256
"""Connections kept open while unused."""


class Unanswered(Exception):
    """No whole answer came: refused, reset, too late or not HTTP."""


class Reply(NamedTuple):
    """What came back.

    Args:
        status: HTTP status.
        retried: Whether the request was sent a second time because its first connection was stale.
    """

    status: int
    retried: bool = False


class _Stale(Exception):
    """The connection was closed without a byte of an answer."""


class _Link(NamedTuple):
    reader: StreamReader
    writer: StreamWriter

    @property
    def usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()


class Wire:
    """Connections to one server.

    Args:
        url: Address such as ``http://127.0.0.1:8080``.
        timeout_seconds: Longest wait for an answer, connecting included.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise UsageError(f"{url!r} is not an http:// address.", hint="http://127.0.0.1:8080")
        self.timeout_seconds = timeout_seconds
        self._host, self._port = parts.hostname, parts.port or 80
        self._idle: list[_Link] = []

    async def send(self, method: str, path: str, client: str, body: bytes = b"") -> Reply:
        """Send a request and wait for its whole answer.

        Args:
            method: ``GET``, which may be repeated, or another, which is not.
            path: Path with query.
            client: Value of the header ``X-Client``.
            body: JSON; none if empty.

        Raises:
            Unanswered: No whole answer came.
        """
        message = self._render(method, path, client, body)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._exchange(message, repeatable=method == "GET")
        except TimeoutError:
            raise Unanswered(f"no answer within {self.timeout_seconds:g} s") from None
        except asyncio.IncompleteReadError:
            raise Unanswered("closed in the middle of an answer") from None
        except _Stale:
            raise Unanswered("closed without an answer") from None
        except OSError as error:
            raise Unanswered(type(error).__name__) from error
        except (ValueError, KeyError, IndexError, asyncio.LimitOverrunError) as error:
            raise Unanswered("the answer is not understood") from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().writer.close()

    def _render(self, method: str, path: str, client: str, body: bytes) -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nX-Client: {client}\r\n"
        )
        if not body:
            return f"{head}\r\n".encode()
        kind = "Content-Type: application/json\r\n"
        return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def _exchange(self, message: bytes, *, repeatable: bool) -> Reply:
        link = self._reused() if repeatable else None
        if link is not None:
            try:
                return Reply(await self._try(link, message, keep=True))
            except _Stale:
                pass
        fresh = _Link(*await asyncio.open_connection(self._host, self._port))
        status = await self._try(fresh, message, keep=repeatable)
        return Reply(status, retried=link is not None)

    def _reused(self) -> _Link | None:
        """Return the connection used last that is still open; the busiest is the least likely stale."""
        while self._idle:
            link = self._idle.pop()
            if link.usable:
                return link
            link.writer.close()
        return None

    async def _try(self, link: _Link, message: bytes, *, keep: bool) -> int:
        reusable = False
        try:
            link.writer.write(message)
            status, last = await _read_reply(link.reader)
            reusable = keep and not last and len(self._idle) < IDLE_LIMIT
        finally:
            if reusable:
                self._idle.append(link)
            else:
                link.writer.close()
        return status


async def _read_reply(reader: StreamReader) -> tuple[int, bool]:
    """Read an answer; return its status and whether the server closes the connection after it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        raise _Stale from None
    except (ConnectionResetError, BrokenPipeError):
        raise _Stale from None
    lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(":", 1) for line in lines[1:] if line)
    await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split(" ", 2)[1]), headers.get("connection", "").strip() == "close"
