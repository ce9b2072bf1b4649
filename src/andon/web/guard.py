"""What the local TCP address lets through: reading, and only for pages of this very machine.

Any local user, and any web page in a local browser, can reach a loopback port. So nothing that
changes the line is taken there, and a name that merely resolves to the loopback address (DNS
rebinding) is refused. Writing goes over the Unix socket, which only its owner can open.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from andon.kernel.errors import AndonError, Denied
from andon.web.answers import problem

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING = frozenset({"GET", "HEAD"})


class ReadOnly:
    """An ASGI application that passes on only what may be asked over TCP."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refused = _refusal(scope) if scope["type"] == "http" else None
        app = problem(refused) if refused else self._app
        await app(scope, receive, send)


def _refusal(scope: Scope) -> AndonError | None:
    host = Headers(scope=scope).get("host", "")
    if _name(host) not in LOCAL_NAMES:
        return Denied(
            f"this address answers only to localhost and 127.0.0.1, not to {host!r}",
            hint="open http://127.0.0.1 with the port that `andon up` printed",
        )
    if scope["method"] not in READING:
        return Denied(
            f"{scope['method']} {scope['path']} is refused: this address is for reading",
            hint="use the andon command, which speaks over the state folder's socket",
        )
    return None


def _name(host: str) -> str:
    """Return the host without its port.

    >>> _name("127.0.0.1:7411"), _name("[::1]:7411"), _name("localhost")
    ('127.0.0.1', '[::1]', 'localhost')
    """
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
