"""Small real HTTP servers and clients around a real gateway."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from andon.api.v1.actions import AddBackend, Counts, Intent, ObserveTraffic, SetWeights
from andon.api.v1.definitions import ClientKey, Health, RouteSpec
from andon.api.v1.records import Version

INTENT = Intent(key="t/1/step/0", epoch=1)
HEALTH = Health(path="/health", interval_seconds=0.2, timeout_seconds=1)


class WallClock:
    def now(self) -> float:
        return time.time()


class SetClock:
    at = 1000.0

    def now(self) -> float:
        return self.at


def version(letter: str) -> Version:
    return Version(digest="sha256:" + letter * 64, config_hash=letter * 12)


class Server:
    """Answers with its name; ``behave`` may answer otherwise (status, body)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.behave: Callable[[str, dict[str, str]], Awaitable[tuple[int, str]]] | None = None
        self.seen: list[dict[str, str]] = []
        self.writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self.server.close()
        for writer in list(self.writers):
            writer.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                headers = dict(
                    line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
                )
                status, body = 200, self.name
                if path != "/health":
                    self.seen.append(headers)
                    if self.behave:
                        status, body = await self.behave(path, headers)
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        self.writers.discard(writer)
        writer.close()


class Client:
    """A keep-alive client; a fresh connection when the server said to close."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\n{lines}\r\n".encode("latin-1"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        if "connection: close" in head:
            self.close()
        return int(head.split(" ")[1]), body

    def close(self) -> None:
        if self.streams:
            self.streams[1].close()
            self.streams = None


async def get(port: int, path: str = "/", **headers: str) -> tuple[int, str]:
    client = Client(port)
    try:
        return await client.get(path, **headers)
    finally:
        client.close()


def backend(
    letter: str,
    *endpoints: str,
    service: str = "shop",
    key: ClientKey | None = None,
    timeout: float = 5,
    listen: int | None = None,
) -> AddBackend:
    return AddBackend(
        environment="prod",
        service=service,
        version=version(letter),
        endpoints=endpoints,
        route=RouteSpec(
            service=service,
            client_key=key or ClientKey(header="x-user"),
            timeout_seconds=timeout,
            listen={"prod": listen} if listen else {},
        ),
        health=HEALTH,
    )


def weights(service: str = "shop", **shares: float) -> SetWeights:
    by_key = {version(letter).key: share for letter, share in shares.items()}
    return SetWeights(environment="prod", service=service, weights=by_key)


async def counts(gateway, letter: str, service: str = "shop") -> Counts:
    seen = await gateway.observe_traffic(
        ObserveTraffic(environment="prod", service=service), INTENT
    )
    assert seen.consistent, seen.message
    return seen.versions[version(letter).key]


async def names(port: int, count: int, client: str = "client") -> Counter[str]:
    keep = Client(port)
    try:
        return Counter([(await keep.get(x_user=f"{client}{i}"))[1] for i in range(count)])
    finally:
        keep.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)
