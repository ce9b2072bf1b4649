"""Logs over HTTP: who sees what, also of what is counted, and live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgi import ask

from andon.api.v1.access import Grant, Identity
from andon.api.v1.telemetry import LogsSpec
from andon.app.telemetry.logs import Logs
from andon.ports.offices import Offices
from andon.ports.telemetry import LogLine
from andon.testing.clock import FakeClock
from andon.testing.door import FixedDoor
from andon.testing.line import StillLine
from andon.web.app import API, create_app

NOW = 1_772_300_000
BASE = f"{API}/telemetry/logs"
GUESTS = {
    "all": Identity(name="person:ann", grants=(Grant(role="viewer", environment="*"),)),
    "dev": Identity(name="person:ben", grants=(Grant(role="viewer", environment="dev"),)),
}


def said(second: int, text: str, environment: str = "", **more: Any) -> LogLine:
    labels = {"source": "service", "service": "shop"} | more.pop("labels", {})
    if environment:
        labels["environment"] = environment
    return LogLine(at_ns=(NOW - second) * 10**9, text=text, labels=labels, **more)


class Room:
    """Logs behind a door."""

    def __init__(self, logs: Logs) -> None:
        self.logs = logs
        line: Any = StillLine(endless=False)
        self.app = create_app(Offices(line=line, access=FixedDoor(GUESTS), logs=logs))

    async def get(self, who: str, path: str) -> Any:
        answer = await ask(self.app, "GET", BASE + path, authorization=f"Bearer {who}")
        return answer.json if answer.status == 200 else answer.status


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    nobody: Any = None
    logs = Logs(tmp_path, tmp_path, LogsSpec(), nobody, nobody, FakeClock(NOW))
    logs.lines.append(
        [
            said(1, "in prod", "prod", severity="error"),
            said(2, "in dev", "dev", trace="0" * 31 + "1"),
            said(3, "of a job", labels={"source": "job", "run": "r"}),
            said(4, "of andon", labels={"source": "andon"}),
            said(7200, "long ago", "dev"),
        ]
    )
    yield Room(logs)
    logs.close()


def texts(found: Any) -> list[str]:
    return [one["text"] for one in found["lines"]]


async def test_who_sees_everything_finds_everything(room: Room) -> None:
    found = await room.get("all", "")
    assert texts(found) == ["in prod", "in dev", "of a job", "of andon"]
    first = found["lines"][0]
    assert (first["environment"], first["service"], first["severity"]) == ("prod", "shop", "error")
    assert first["at"] == NOW - 1
    assert texts(await room.get("all", "?sinceSeconds=9000&service=shop&text=AGO")) == ["long ago"]


async def test_what_may_not_be_seen_is_neither_found_nor_counted(room: Room) -> None:
    assert texts(await room.get("dev", "")) == ["in dev", "of a job"]
    assert await room.get("dev", "?environment=prod") == 403
    templates = await room.get("dev", "/templates")
    assert {one["text"] for one in templates} == {"in dev", "of a job"}
    assert {one["example"] for one in templates} == {""}
    bars = await room.get("dev", "/histogram?bars=4")
    assert sum(sum(one["counts"].values()) for one in bars["bars"]) == 2
    sneaky = "?label=environment%3D~.%2A&label=environment%3Dprod"
    assert texts(await room.get("dev", sneaky)) == []


async def test_pages_follow_each_other(room: Room) -> None:
    page = await room.get("all", "?limit=3")
    rest = await room.get("all", f"?limit=3&before={page['next']}")
    assert texts(page) + texts(rest) == ["in prod", "in dev", "of a job", "of andon"]
    assert rest["next"] == ""


@pytest.mark.parametrize(
    "query",
    ["pattern=(", "severity=loud", "label=x", "before=x", "start=9&end=8", "limit=0", "template=x"],
)
async def test_questions_put_wrongly_are_refused(room: Room, query: str) -> None:
    assert await room.get("all", f"?{query}") in (400, 422)


async def test_lines_are_followed_until_the_server_closes(room: Room) -> None:
    asking = asyncio.ensure_future(_stream(room, "dev", "/tail?severity=error"))
    while not room.logs._tails._tails:
        await asyncio.sleep(0)
    await asyncio.to_thread(
        room.logs.lines.append,
        [
            said(0, "seen", "dev", severity="error"),
            said(0, "not severe", "dev"),
            said(0, "not mine", "prod", severity="error"),
        ],
    )
    body = b""
    async for part in await asking:
        body += part
        if b"data: " in body:
            room.app.state.closing.set()
    rows = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert [one["text"] for one in rows] == ["seen"]
    assert not room.logs._tails._tails


async def _stream(room: Room, who: str, path: str) -> AsyncIterator[bytes]:
    """Ask without hanging up; return the parts of the answer."""
    parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    target, _, query = (BASE + path).partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": target,
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {who}".encode())],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.ensure_future(room.app(scope, receive, parts.put))

    async def bodies() -> AsyncIterator[bytes]:
        while True:
            part = await parts.get()
            if part["type"] == "http.response.body":
                yield part.get("body", b"")
                if not part.get("more_body"):
                    break
        await task

    return bodies()
