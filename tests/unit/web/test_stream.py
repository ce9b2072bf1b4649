"""The stream itself, over the real news of a real store; how it is reached is told in ``test_api``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from andon.api.v1.control import Event
from andon.app.events.news import Newsroom
from andon.kernel.errors import UsageError
from andon.ports.news import HEARTBEAT_SECONDS
from andon.ports.store import Store
from andon.store import open_store
from andon.testing.clock import FakeClock
from andon.web.stream import BEGIN, SIGN_OF_LIFE, open_stream

NOW = 1_700_000_000.0


class Visit:
    """One reader of the stream, as a server passes it on."""

    def __init__(self, news: Newsroom, closing: asyncio.Event, **scope: Any) -> None:
        app = SimpleNamespace(state=SimpleNamespace(closing=closing))
        self.request = Request(
            {"type": "http", "method": "GET", "query_string": b"", "headers": [], "app": app}
            | scope
        )
        self.line: Any = SimpleNamespace(news=news)
        self.leaving = asyncio.Event()
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.task: asyncio.Future[None] | None = None

    async def begin(self, **how: Any) -> None:
        answer = await open_stream(self.line, self.request, **how)
        self.task = asyncio.ensure_future(answer(self.request.scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.sent.put_nowait(message["body"])

    async def hear(self) -> bytes:
        async with asyncio.timeout(60):
            return await self.sent.get()

    async def over(self) -> None:
        assert self.task is not None
        await asyncio.wait_for(self.task, 60)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(str(tmp_path / "a.db"), source="/andon/test")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def visit(store: Store, clock: FakeClock) -> Callable[..., Visit]:
    news, closing = Newsroom(store, clock), asyncio.Event()

    def come(**scope: Any) -> Visit:
        return Visit(news, closing, **scope)

    return come


async def append(store: Store, id: str, stream: str = "org") -> None:
    event = Event(id=id, stream=stream, type="dev.cdevents.service.deployed.0.3.0", subject="shop")
    await store.transact(lambda tx: tx.append(event, NOW))


async def test_an_event_carries_its_sequence_as_id(store: Store, visit: Any) -> None:
    await append(store, "one")
    reader = visit(query_string=b"after=0")
    await reader.begin()
    assert await reader.hear() == BEGIN
    first, second, rest = (await reader.hear()).split(b"\n", 2)
    assert (first, second) == (b"event: event", b"id: 1")
    assert rest.startswith(b'data: {"kind":"event","seq":1,')
    assert rest.endswith(b"}\n\n")
    reader.leaving.set()
    await reader.over()


async def test_the_last_event_id_wins(store: Store, visit: Any) -> None:
    await append(store, "one")
    await append(store, "two")
    reader = visit(query_string=b"after=0", headers=[(b"last-event-id", b"1")])
    await reader.begin()
    await reader.hear()
    assert b"id: 2\n" in await reader.hear()
    reader.leaving.set()
    await reader.over()


@pytest.mark.parametrize("how", ["leaving", "closing"])
async def test_a_stream_ends_when_its_reader_leaves_or_the_server_closes(
    visit: Any, how: str
) -> None:
    reader = visit()
    await reader.begin()
    await reader.hear()
    ends = {"leaving": reader.leaving, "closing": reader.request.app.state.closing}
    ends[how].set()
    await reader.over()


async def test_a_stream_that_is_asked_for_while_the_server_closes_is_empty(visit: Any) -> None:
    reader = visit()
    reader.request.app.state.closing.set()
    await reader.begin()
    await reader.over()
    assert await reader.hear() == b""


async def test_only_its_head_may_be_asked_for(visit: Any) -> None:
    reader = visit(method="HEAD")
    await reader.begin()
    await reader.over()
    assert await reader.hear() == b""


async def test_what_a_reader_may_not_see_is_left_out(store: Store, visit: Any) -> None:
    await append(store, "one", "env/prod")
    await append(store, "two", "env/dev")
    reader = visit(query_string=b"after=0")
    await reader.begin(sees=lambda environment: environment == "dev")
    await reader.hear()
    heard = await reader.hear()
    assert b"id: 2\n" in heard
    assert b"id: 1\n" not in heard
    reader.leaving.set()
    await reader.over()


async def test_a_stream_ends_once_its_reader_may_no_longer_read(
    store: Store, visit: Any, clock: FakeClock
) -> None:
    allowed = True
    await append(store, "zero")
    reader = visit(query_string=b"after=0")
    await reader.begin(still=lambda: allowed)
    assert await reader.hear() == BEGIN
    assert b"id: 1\n" in await reader.hear()
    await _pass_time(store, clock, "one")
    assert SIGN_OF_LIFE in [await reader.hear() for _ in range(2)]
    allowed = False
    await _pass_time(store, clock, "two")
    await reader.over()


async def _pass_time(store: Store, clock: FakeClock, id: str) -> None:
    clock.advance(HEARTBEAT_SECONDS)
    await append(store, id)


async def test_a_starting_point_that_is_no_number_is_refused(visit: Any) -> None:
    reader = visit(query_string=b"after=x")
    with pytest.raises(UsageError, match="Last-Event-ID"):
        await reader.begin()
