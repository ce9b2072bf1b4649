"""Serving: over a Unix socket with mode 0600, and over TCP where nobody can overhear it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.types import ASGIApp

from andon.adapters import unixsocket
from andon.api.configuration import Address, check_listening
from andon.api.v1.installation import InstallationSpec
from andon.kernel.errors import AndonError, Conflict, Unavailable, UsageError
from andon.runtime.system import SystemClock
from andon.runtime.together import end
from andon.web import tls
from andon.web.connection import Connection, Limits
from andon.web.guard import guarded

_BACKLOG = 128
_LAST_ANSWERS_SECONDS = 2
_HANDSHAKE_SECONDS = 10.0
_FIRST_FREE_PORT = 1024


class _Server(uvicorn.Server):
    """A uvicorn server of our connections, that leaves signals to whoever runs the event loop."""

    def __init__(self, app: ASGIApp, limits: Limits, encryption: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,  # strangers who talk nonsense must not fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=limits.keep_alive_seconds,
            timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
        )
        super().__init__(config)
        self._limits = limits
        self._encryption = encryption

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                lambda: Connection(self.config, self.server_state, self._limits),
                sock=one,
                ssl=self._encryption,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._encryption else None,
                backlog=_BACKLOG,
            )
            for one in sockets or ()
        ]
        self.started = True


async def serve(
    app: Starlette,
    *,
    socket_path: Path,
    installation: InstallationSpec | None = None,
    port: int | None = None,
    ready: Callable[[str], None] = lambda url: None,
    limits: Limits | None = None,
    look_seconds: float = tls.PACE_SECONDS,
) -> None:
    """Serve until cancelled, then let running requests end.

    Args:
        app: From ``create_app``.
        socket_path: Unix socket for the command line; created with mode 0600, removed at the end.
        installation: Where to listen besides, and how it is encrypted; default: loopback.
        port: Instead of the installation's; 0 chooses a free one.
        ready: Called with the address of the page once both answer.
        limits: How large and slow requests may be.
        look_seconds: Pause between two looks at the certificate.

    Raises:
        Unavailable: The port is taken.
        UsageError: The address may not be used, or would be overheard; the certificate is no good.
        Conflict: Another control plane answers on the socket.
    """
    installation, limits = installation or InstallationSpec(), limits or Limits()
    if installation.proxy:
        limits = limits._replace(uncounted=limits.uncounted + installation.proxy.trusted)
    address = check_listening(installation)
    address = address if port is None else address._replace(port=port)
    keys = tls.Certificates(installation.tls, SystemClock()) if installation.tls else None
    # Over TCP only reading, until requests there say who asks.
    public = guarded(app, installation, address)
    with contextlib.ExitStack() as sockets:
        tcp = sockets.enter_context(_listen_tcp(address))
        unix = sockets.enter_context(_listen_unix(socket_path))
        inner = _Server(app, limits, None)
        outer = _Server(public, limits, keys.context if keys else None)
        tasks = [
            asyncio.ensure_future(server.serve(sockets=[one]))
            for server, one in ((inner, unix), (outer, tcp))
        ]
        looking = [asyncio.ensure_future(keys.keep_fresh(look_seconds))] if keys else []
        ready(f"{'https' if keys else 'http'}://{address._replace(port=tcp.getsockname()[1])}")
        try:
            await asyncio.wait([*tasks, *looking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            app.state.closing.set()
            await end(*looking)
            for server in (inner, outer):
                server.should_exit = True
            await asyncio.gather(*tasks)


@contextlib.contextmanager
def reserved(installation: InstallationSpec) -> Iterator[InstallationSpec]:
    """Yield an installation with the port that it gets where it asks for any, and keep that for it.

    Links and statuses then lead there from the beginning. A bound socket that does not listen keeps
    the port from others, and lets one with SO_REUSEADDR listen.
    """
    address = check_listening(installation)
    if address.port:
        yield installation
        return
    with _bound(address) as kept:
        yield replace(installation, listen=str(address._replace(port=kept.getsockname()[1])))


def _listen_tcp(address: Address) -> socket.socket:
    listener = _bound(address)
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(address, error) from None
    return listener


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        found.bind((address.host, address.port))
    except OSError as error:
        found.close()
        raise _cannot_listen(address, error) from None
    return found


def _cannot_listen(address: Address, error: OSError) -> AndonError:
    free = "`andon up --port 0` chooses a free one"
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            f"port {address.port} of {address.host} is taken by another program",
            hint=f"`andon up --port {address.port + 1}`, or `--port 0` to choose a free one",
        )
    if error.errno == errno.EACCES and address.port < _FIRST_FREE_PORT:
        return UsageError(
            f"port {address.port} is for administrators of this machine only",
            hint="`--port` 1024 or above; or, in a systemd unit, "
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"this machine has no address {address.host}", hint="`ip address` lists those it has"
        )
    return UsageError(
        f"port {address.port} of {address.host} cannot be used: {error.strerror}", hint=free
    )


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
