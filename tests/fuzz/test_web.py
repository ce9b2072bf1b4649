"""The whole web application: any request is answered, and never by 500 or with what is inside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import every, mutated

from andon.adapters.agentclient import AgentClient
from andon.app.access.door import Door
from andon.app.compose import open_database
from andon.app.control_plane import ControlPlane
from andon.app.ledger.bookkeeping import ledger_book
from andon.app.parts import assemble
from andon.app.secrets.safe import Vault
from andon.app.settings import Settings
from andon.ports.offices import Offices
from andon.runtime.system import SystemRandomness
from andon.web.app import create_app

PIECES = [
    b"GET ", b"POST ", b"/api/v1/", b"?after=", b"&limit=-1", b"%00", b"%ff", b"%2e%2e/", b"..", b"\r\n", b"\0",
    b"[" * 40, b'{"a":' * 40, b"null", b"9" * 400, b'"\\ud800"', b"\xff", b'"by":', b"1e999", b"NaN",
    b"Last-Event-ID: 9999999999999999999\n", b"Content-Type: text/plain\n", b"Transfer-Encoding: chunked\n",
]  # fmt: skip
Ask = Callable[[bytes], tuple[int, bytes]]


def asked(raw: bytes) -> tuple[str, bytes, bytes, list[tuple[bytes, bytes]], bytes]:
    """Read ``METHOD TARGET``, headers, an empty line and a body, however little is there."""
    head, _, body = raw.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs if name.strip()]
    return method.decode("latin-1") or "GET", path or b"/", query, headers, body


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A real control plane whose engine and agent do not run: nothing is carried out."""
    state = tmp_path_factory.mktemp("state")
    settings = Settings(state=state, database_url=str(state / "a.db"))
    store = open_database(settings, state)
    parts = assemble(settings, state, store, "fuzz")
    plane = ControlPlane(
        state=state,
        store=store,
        book=ledger_book(state, store),
        turns=parts.turns,
        engine=parts.engine,
        source=parts.source,
        agent=AgentClient(state / "nobody.sock", parts.clock),
        clock=parts.clock,
        vault=Vault(parts.safe),
    )
    door = Door(state, store, parts.clock, SystemRandomness(), vault=Vault(parts.safe))
    app = create_app(Offices(line=plane, access=door))
    app.state.closing.set()
    with asyncio.Runner() as runner:
        yield lambda raw: runner.run(answer(app, raw))
    store.close()


async def answer(app: Any, raw: bytes) -> tuple[int, bytes]:
    """Put a request to the application itself; what a server would refuse reaches it here."""
    method, path, query, headers, body = asked(raw)
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path.decode("utf-8", "replace"),
        "raw_path": quote(path).encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {"peer_uid": 0},
    }

    told = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(told, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return int(sent[0]["status"]), content


def check(ask: Ask, raw: bytes) -> None:
    status, content = ask(raw)
    assert status < 500 or status in (501, 503), (status, content)
    assert b"Traceback" not in content
    if status >= 400 and content:
        problem = json.loads(content)
        assert problem["status"] == status
        assert problem["code"] != "InternalError"


@every("requests")
def test_kept_request_is_answered(ask: Ask, path: Path) -> None:
    check(ask, path.read_bytes())


@given(mutated("requests", PIECES), st.booleans())
def test_changed_request_is_answered(ask: Ask, raw: bytes, cut: bool) -> None:
    check(ask, raw[: len(raw) // 2] if cut else raw)
