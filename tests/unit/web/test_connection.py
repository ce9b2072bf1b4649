"""Real connections to a real server whose application says what it was told of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from andon.api.v1.installation import InstallationSpec, ProxySpec
from andon.testing.polling import DEADLINE_SECONDS
from andon.web.connection import Limits
from andon.web.serve import serve

GET = b"GET /told HTTP/1.1\r\nHost: localhost\r\n\r\n"
Serving = Callable[..., Awaitable[int]]


async def _told(request: Request) -> Response:
    scope = request.scope
    return JSONResponse(
        {"client": scope["client"], "scheme": scope["scheme"], "state": scope["state"]}
    )


async def _size(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


def application() -> Starlette:
    app = Starlette(
        routes=[Route("/told", _told), Route("/size", _size)],
    )
    app.state.closing = asyncio.Event()
    return app


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    async with contextlib.AsyncExitStack() as stack:

        async def one(**more: Any) -> int:
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            path = tmp_path / "s"
            task = asyncio.ensure_future(
                serve(application(), socket_path=path, port=0, ready=ready.set_result, **more)
            )
            stack.push_async_callback(ended, task)
            both: set[asyncio.Future[Any]] = {task, ready}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return int(ready.result().rpartition(":")[2])

        yield one


async def ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def exchange(port: int, *sent: bytes) -> bytes:
    """Send, and read until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in sent:
        writer.write(part)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), DEADLINE_SECONDS)
    finally:
        writer.close()


async def told(port: int, *headers: str) -> dict[str, Any]:
    lines = ["GET /told HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    answer = await exchange(port, "\r\n".join(lines).encode())
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def test_the_kernel_says_who_is_at_the_socket(serving: Serving, tmp_path: Path) -> None:
    await serving()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    writer.write(b"GET /told HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    body = (await asyncio.wait_for(reader.read(), DEADLINE_SECONDS)).partition(b"\r\n\r\n")[2]
    writer.close()
    assert json.loads(body) == {
        "client": None,
        "scheme": "http",
        "state": {"peer_uid": os.getuid()},
    }


@pytest.mark.parametrize(
    "claim",
    ["X-Peer-Uid: 0", "X-Forwarded-For: unix:", "X-Forwarded-For: 10.9.8.7", "Forwarded: for=unix"],
)
async def test_over_tcp_nobody_is_a_socket_peer(serving: Serving, claim: str) -> None:
    found = await told(await serving(), claim, "X-Forwarded-Proto: https")
    assert found["state"] == {"tcp": True}
    assert found["client"][0] == "127.0.0.1"
    assert found["scheme"] == "http"


async def test_behind_a_proxy_too_nobody_is_a_socket_peer(serving: Serving) -> None:
    port = await serving(installation=InstallationSpec(proxy=ProxySpec(trusted=("127.0.0.1",))))
    found = await told(port, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    assert found == {"client": ["192.0.2.7", 0], "scheme": "https", "state": {"tcp": True}}


async def test_an_untrusted_proxy_is_not_believed(serving: Serving) -> None:
    port = await serving(installation=InstallationSpec(proxy=ProxySpec(trusted=("10.0.0.0/8",))))
    found = await told(port, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    assert (found["client"][0], found["scheme"]) == ("127.0.0.1", "http")


async def test_a_client_over_ipv4_has_an_ipv4_address_on_a_socket_for_both(
    serving: Serving,
) -> None:
    here = InstallationSpec(listen="[::]:0", proxy=ProxySpec(trusted=("127.0.0.1",)))
    assert (await told(await serving(installation=here)))["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /told HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /told HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 8_000 + b"\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /told HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 400_000,
    ],
    ids=["long", "many", "address", "endless"],
)
async def test_a_header_has_a_largest_size(serving: Serving, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", await serving())
    writer.write(head)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_SECONDS)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /told HTTP/1.1\r\nHost: loc",
        b"\r\n\r\n\r\n",
        b"GET /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab",
        b"GET /size HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        b"GET /told HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab",
    ],
    ids=["nothing", "half a header", "empty lines", "half a body", "a chunk", "unread body"],
)
async def test_what_does_not_arrive_is_cut_off(serving: Serving, sent: bytes) -> None:
    port = await serving(limits=Limits(head_seconds=0.1, body_seconds=0.1))
    answer = await exchange(port, sent)
    first = (
        b"HTTP/1.1 200 OK" if sent.startswith(b"GET /told") and b"ab" in sent else b"HTTP/1.1 408 "
    )
    assert answer.startswith(first)
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_large_body_that_arrives_is_let_through(serving: Serving) -> None:
    port = await serving(limits=Limits(body_seconds=0.05, body_bytes=1), installation=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n")
    for _ in range(40):
        writer.write(b"x" * 100_000)
        await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"4000000"), DEADLINE_SECONDS)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_on_the_socket_a_request_may_take_its_time(serving: Serving, tmp_path: Path) -> None:
    port = await serving(limits=Limits(head_seconds=0.05))
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    writer.write(GET[:10])
    await exchange(port, GET[:10])  # the same over TCP is cut off, and that took longer
    writer.write(GET[10:])
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_SECONDS)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_who_is_too_many_is_told_so_and_the_socket_stays_open(
    serving: Serving, tmp_path: Path
) -> None:
    port = await serving(limits=Limits(connections=2))
    taken = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    for reader, writer in taken:
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    answer = (await exchange(port, GET)).lower()
    assert answer.startswith(b"http/1.1 503 ")
    assert b"retry-after:" in answer
    assert b'"code":"unavailable"' in answer
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    writer.write(GET)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    for _, one in [*taken, (reader, writer)]:
        one.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /told HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /t\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["no path", "TLS", "space in a name", "two lengths", "not ASCII"],
)
async def test_what_is_no_http_is_refused(serving: Serving, nonsense: bytes) -> None:
    answer = await exchange(await serving(), nonsense)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-content-type-options: nosniff" in answer


@pytest.mark.parametrize("other", [b"websocket", b"h2c"])
async def test_nobody_is_talked_out_of_http(
    serving: Serving, caplog: pytest.LogCaptureFixture, other: bytes
) -> None:
    wish = b"\r\nConnection: Upgrade\r\nUpgrade: " + other + b"\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", await serving())
    writer.write(GET.replace(b"\r\n\r\n", wish))
    assert (await asyncio.wait_for(reader.readuntil(b"}}"), DEADLINE_SECONDS)).startswith(
        b"HTTP/1.1 200 "
    )
    writer.write(GET)
    answer = await asyncio.wait_for(reader.readuntil(b"}"), DEADLINE_SECONDS)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    assert caplog.text == ""


async def test_two_names_at_once_are_refused(serving: Serving) -> None:
    sent = b"GET /told HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert (await exchange(await serving(), sent)).startswith(b"HTTP/1.1 400 ")


async def test_several_requests_may_be_sent_at_once(serving: Serving) -> None:
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = await exchange(await serving(), GET * 3 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4


def test_the_socket_of_a_pair_knows_its_maker() -> None:
    from andon.web.connection import peer_uid

    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) == os.getuid()


async def connected(port: int) -> asyncio.StreamWriter | None:
    """Connect and ask; None: it was refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    if b" 200 " in await asyncio.wait_for(reader.readline(), DEADLINE_SECONDS):
        return writer
    writer.close()
    return None


async def test_no_address_takes_all_connections(serving: Serving) -> None:
    port = await serving(limits=Limits(connections_each=2, uncounted=()))
    first, second = await connected(port), await connected(port)
    assert first
    assert second
    assert b" 503 " in (await exchange(port, GET)).splitlines()[0]
    first.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (again := await connected(port)):
            pass
    for one in (second, again):
        one.close()


@pytest.mark.parametrize(
    "more",
    [
        {"limits": Limits(connections_each=1)},
        {
            "limits": Limits(connections_each=1, uncounted=()),
            "installation": InstallationSpec(proxy=ProxySpec(trusted=("127.0.0.1",))),
        },
    ],
    ids=["loopback", "proxy"],
)
async def test_who_stands_for_many_may_have_all(serving: Serving, more: dict[str, Any]) -> None:
    port = await serving(**more)
    for one in [await connected(port) for _ in range(3)]:
        assert one
        one.close()
