"""Is a replica ready? One GET."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from andon.api.v1.definitions import Health


class Answer(Struct, frozen=True):
    """What a probe heard."""

    ready: bool
    text: str


async def probe(port: int, health: Health) -> Answer:
    """Ask a local port whether it is ready: 2xx or 3xx within the timeout."""
    try:
        async with asyncio.timeout(health.timeout_seconds):
            return _judge(await _status_line(port, health.path))
    except TimeoutError:
        return Answer(False, f"no answer within {health.timeout_seconds:g} s")
    except OSError:
        return Answer(False, f"nothing listens on port {port}")


async def _status_line(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        return await reader.readline()
    except ValueError:
        return b""
    finally:
        writer.close()


def _judge(line: bytes) -> Answer:
    parts = line.split()
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return Answer(False, "an answer that is not HTTP")
    return Answer(200 <= int(parts[1]) < 400, f"HTTP {int(parts[1])}")
