"""Asks an ASGI application without a socket."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import unquote


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    path: str,
    *,
    body: Any = None,
    peer: int | None = None,
    scheme: str = "http",
    hangs_up: bool = False,
    **headers: str,
) -> Answered:
    """Send one request; header names have ``_`` for ``-``; ``peer``: come by the Unix socket.

    ``hangs_up``: before the body is there.
    """
    path, _, query = path.partition("?")
    data = b"" if body is None else json.dumps(body).encode()
    sent: list[dict[str, Any]] = []
    inbox: list[dict[str, Any]] = (
        [] if hangs_up else [{"type": "http.request", "body": data, "more_body": False}]
    )
    names = {"host": "localhost", "content_type": "application/json"} | headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode())
            for name, value in names.items()
        ],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 7411),
        "state": {} if peer is None else {"peer_uid": peer},
    }

    async def receive() -> dict[str, Any]:
        return inbox.pop(0) if inbox else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(one for one in sent if one["type"] == "http.response.start")
    content = b"".join(one.get("body", b"") for one in sent)
    return Answered(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, content)
