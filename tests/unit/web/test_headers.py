from __future__ import annotations

from typing import Any

import pytest
from asgi import ask
from starlette.responses import Response

from andon.ports.offices import Offices
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import create_app
from andon.web.headers import SecurityHeaders


@pytest.mark.parametrize(
    "path", ["/", "/static/andon.js", "/nothing", "/api/v1/health", "/api/v1/status", "/api/v1/no"]
)
async def test_every_answer_is_believed_framed_and_told_no_further(path: str) -> None:
    got = await ask(create_app(Offices(line=StillLine(), access=FixedDoor())), "GET", path)
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in got.headers["content-security-policy"]
    assert "unsafe" not in got.headers["content-security-policy"]
    assert got.headers["referrer-policy"] == "no-referrer"
    assert got.headers["cross-origin-resource-policy"] == "same-origin"
    assert got.headers["cross-origin-opener-policy"] == "same-origin"
    assert "strict-transport-security" not in got.headers


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/status", "/api/v1/no"])
async def test_nobody_keeps_an_answer_of_the_api(path: str) -> None:
    got = await ask(create_app(Offices(line=StillLine(), access=FixedDoor())), "GET", path)
    assert got.headers["cache-control"] == "no-store"


async def started(scheme: str, response: Response, path: str = "/") -> dict[str, str]:
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "scheme": scheme, "headers": []}
    await SecurityHeaders(response)(scope, None, send)
    return {name.decode(): value.decode() for name, value in messages[0]["headers"]}


async def test_where_it_is_encrypted_it_stays_so() -> None:
    assert "max-age=" in (await started("https", Response()))["strict-transport-security"]


async def test_what_an_answer_says_itself_counts() -> None:
    headers = {"Cache-Control": "max-age=5", "Content-Security-Policy": "default-src 'self'"}
    got = await started("http", Response(headers=headers), "/api/v1/x")
    assert got["cache-control"] == "max-age=5"
    assert got["content-security-policy"] == "default-src 'self'"
