from __future__ import annotations

import asyncio
import socket
import stat
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.installation import InstallationSpec, ProxySpec
from andon.client.wire import Client
from andon.kernel.errors import Conflict, Unavailable, UsageError
from andon.ports.offices import Offices
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.serve import reserved, serve


def request(port: int, method: str, path: str, host: str = "") -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


async def get(port: int, method: str, path: str, host: str = "") -> tuple[HTTPResponse, bytes]:
    return await asyncio.to_thread(request, port, method, path, host)


async def test_only_the_owner_may_open_the_socket(served: Any) -> None:
    assert stat.S_IMODE((served.state / "control.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_strangers_over_tcp_change_nothing(served: Any, method: str) -> None:
    answer, _ = await get(served.port, method, "/api/v1/ship")
    assert answer.status in {401, 403, 405}
    assert served.line.asked == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7411", "10.0.0.1"])
async def test_a_foreign_host_name_is_denied(served: Any, host: str) -> None:
    answer, _ = await get(served.port, "GET", "/api/v1/health", host)
    assert answer.status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:7411", "[::1]:7411"])
async def test_a_local_host_name_may_read(served: Any, host: str) -> None:
    answer, _ = await get(served.port, "GET", "/api/v1/health", host)
    assert answer.status == 200


async def test_the_page_allows_nothing_from_elsewhere(served: Any) -> None:
    answer, body = await get(served.port, "GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert b"<script src=" in body
    assert b"http://" not in body


@pytest.mark.parametrize(
    ("name", "kind"),
    [("andon.js", "text/javascript"), ("andon.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
async def test_static_parts_have_their_type(served: Any, name: str, kind: str) -> None:
    answer, _ = await get(served.port, "GET", f"/static/{name}")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e%2fapp.py", "none.js"])
async def test_nothing_else_is_served(served: Any, name: str) -> None:
    answer, _ = await get(served.port, "GET", f"/static/{name}")
    assert answer.status == 404


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=str(port)) as raised:
            await serve(
                create_app(Offices(line=StillLine(), access=FixedDoor())),
                socket_path=tmp_path / "s",
                port=port,
            )
    assert "--port" in raised.value.hint


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"])
async def test_others_may_not_overhear(tmp_path: Path, listen: str) -> None:
    with pytest.raises(UsageError, match="not encrypted") as raised:
        await serve(
            create_app(Offices(line=StillLine(), access=FixedDoor())),
            socket_path=tmp_path / "s",
            installation=InstallationSpec(listen=listen),
        )
    assert "tls" in raised.value.hint
    assert "proxy" in raised.value.hint
    assert not (tmp_path / "s").exists()


async def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    told = InstallationSpec(listen="192.0.2.1:0", proxy=ProxySpec(trusted=("10.0.0.1",)))
    with pytest.raises(UsageError, match=r"no address 192\.0\.2\.1"):
        await serve(
            create_app(Offices(line=StillLine(), access=FixedDoor())),
            socket_path=tmp_path / "s",
            installation=told,
        )


async def test_a_served_socket_is_refused_and_left_alone(served: Any) -> None:
    with pytest.raises(Conflict):
        await serve(
            create_app(Offices(line=StillLine(), access=FixedDoor())),
            socket_path=served.state / "control.sock",
            port=0,
        )
    answer = await asyncio.to_thread(Client(served.state).get, "/health")
    assert answer["ok"]


async def _serve_once(path: Path) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task: asyncio.Future[Any] = asyncio.ensure_future(
        serve(
            create_app(Offices(line=StillLine(), access=FixedDoor())),
            socket_path=path,
            port=0,
            ready=ready.set_result,
        )
    )
    both: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    assert (await asyncio.to_thread(Client(path.parent).get, "/health"))["ok"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_socket_left_behind_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    await _serve_once(path)
    assert not path.exists()


async def test_a_socket_may_lie_deeper_than_an_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10)
    folder.mkdir(parents=True)
    await _serve_once(folder / "control.sock")


async def test_an_open_stream_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    line = StillLine()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    path = tmp_path / "control.sock"
    task: asyncio.Future[Any] = asyncio.ensure_future(
        serve(
            create_app(Offices(line=line, access=FixedDoor())),
            socket_path=path,
            port=0,
            ready=ready.set_result,
        )
    )
    await ready
    events = Client(tmp_path).events(0)
    await asyncio.to_thread(next, events)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert line.streams == 0
    events.close()


async def test_a_free_port_is_kept_until_it_is_listened_on() -> None:
    with reserved(InstallationSpec(listen="127.0.0.1:0")) as installation:
        port = int(installation.listen.rpartition(":")[2])
        assert port
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.socket() as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ours.bind(("127.0.0.1", port))
            ours.listen()


def test_a_port_that_is_named_stays() -> None:
    named = InstallationSpec(listen="127.0.0.1:7411")
    with reserved(named) as installation:
        assert installation == named
