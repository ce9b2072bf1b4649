"""Serving: everything over a Unix socket with mode 0600, reading over a loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from andon.adapters import unixsocket
from andon.kernel.errors import Conflict, Unavailable, UsageError
from andon.web.guard import ReadOnly

DEFAULT_PORT = 7411
_BACKLOG = 128
_LAST_ANSWERS_SECONDS = 2


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs the event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Starlette,
    *,
    socket_path: Path,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until cancelled, then let running requests end.

    Args:
        app: From ``create_app``.
        socket_path: Unix socket for the command line; created with mode 0600, removed at the end.
        host: Loopback address of the read-only page and API.
        port: Its port; 0 chooses a free one.
        ready: Called with the page's address once both answer.

    Raises:
        Unavailable: The port is taken.
        UsageError: The port may not be used.
        Conflict: Another control plane answers on the socket.
    """
    with contextlib.ExitStack() as sockets:
        tcp = sockets.enter_context(_listen_tcp(host, port))
        unix = sockets.enter_context(_listen_unix(socket_path))
        servers = [(_server(app), unix), (_server(ReadOnly(app)), tcp)]
        tasks = [asyncio.ensure_future(s.serve(sockets=[sock])) for s, sock in servers]
        ready(f"http://{host}:{tcp.getsockname()[1]}")
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            app.state.closing.set()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


def _server(app: ASGIApp) -> _Server:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
    )
    return _Server(config)


def _listen_tcp(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {port} of {host} is taken by another program",
                hint=f"`andon up --port {port + 1}`, or `--port 0` to choose a free one",
            ) from None
        raise UsageError(
            f"port {port} of {host} cannot be used: {error.strerror}",
            hint="`andon up --port 0` chooses a free one",
        ) from None
    return listener


@contextlib.contextmanager
def _listen_unix(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket, having removed one that nobody serves any more."""
    with (
        unixsocket.address(path) as address,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        if path.exists():
            _refuse_if_served(path, address)
            path.unlink()
        before = os.umask(0o177)
        try:
            listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _refuse_if_served(path: Path, address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(address) == 0:
            raise Conflict(f"another control plane answers on {path}", hint="`andon down` ends it")
