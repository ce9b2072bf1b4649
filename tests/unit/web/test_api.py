from __future__ import annotations

import asyncio
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from andon.client.wire import Client
from andon.kernel.errors import AndonError, Held, InternalError, NotFound, UsageError
from andon.testing.line import StillLine
from andon.testing.polling import eventually


async def ask(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


async def failure(call: Callable[..., Any], *arguments: Any) -> AndonError:
    with pytest.raises(AndonError) as raised:
        await ask(call, *arguments)
    return raised.value


@pytest.fixture
def client(served: Any) -> Client:
    return Client(served.state)


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/status",
        "/why?subject=shop-2",
        "/diff?repository=x&environment=dev",
        "/runs",
        "/runs/rollout-prod-storefront-2",
        "/changes",
        "/changes/shop-2",
        "/schedules",
        "/incidents",
        "/ledger",
        "/ledger/verify",
        "/ledger/event-1",
        "/watches",
        "/objects/Run",
        "/objects/Run/one",
    ],
)
async def test_every_question_is_answered_with_json(client: Client, path: str) -> None:
    assert isinstance(await ask(client.get, path), dict | list)


async def test_metrics_are_plain_text(client: Client) -> None:
    assert await ask(client.get, "/metrics") == "andon_ledger_events 5\n"


async def test_every_command_reaches_the_line_with_what_was_said(
    client: Client, served: Any
) -> None:
    ada = {"by": "person:ada"}
    await ask(client.post, "/ship", {"repository": "r"})
    hold = {"scope": {"environment": "prod"}, "reason": "freeze"}
    await ask(client.post, "/holds", hold)
    await ask(client.post, "/holds/hold-1/lift", {"reason": "over"})
    latch = {"environment": "prod", "reason": "mended"}
    await ask(client.post, "/unlatch", latch | {"subject": "shop"})
    await ask(client.post, "/rollback", latch | {"service": "shop"})
    await ask(client.post, "/runs/build-2/cancel", {"reason": "wrong"})
    await ask(client.post, "/approvals", latch | {"change": "shop-2"})
    await ask(client.post, "/approvals/withdraw", latch | {"change": "shop-2"})
    await ask(client.post, "/watches", {"repository": "r"})
    await ask(client.delete, "/watches", {"repository": "r", "branch": "main"})
    assert served.line.asked == [
        ("ship", {"repository": "r", "ref": "HEAD", "until": ""} | ada),
        ("hold", hold | {"expires_seconds": 0} | ada),
        ("lift", {"name": "hold-1", "reason": "over"} | ada),
        ("unlatch", latch | {"subject": "shop"} | ada),
        ("rollback", latch | {"service": "shop"} | ada),
        ("cancel", {"run": "build-2", "reason": "wrong"} | ada),
        ("approve", latch | {"change": "shop-2", "job": "", "fix": ""} | ada),
        ("withdraw", latch | {"change": "shop-2", "job": ""} | ada),
        ("watch", {"repository": "r", "branch": "main", "interval_seconds": 5}),
        ("unwatch", {"repository": "r", "branch": "main"}),
    ]


async def test_who_asks_is_known_and_not_said(client: Client) -> None:
    error = await failure(client.post, "/ship", {"repository": "r", "by": "somebody else"})
    assert isinstance(error, UsageError)


async def test_a_privilege_that_is_used_is_written_down_before(client: Client, served: Any) -> None:
    await ask(client.post, "/watches", {"repository": "r"})
    assert served.line.privileges == [("person:ada", "watches_add")]


async def test_an_error_keeps_its_code_message_and_hint(client: Client) -> None:
    error = await failure(client.post, "/ship", {"repository": "r", "ref": "held"})
    assert (type(error), error.message, error.hint) == (Held, "prod is held", "andon why prod")


async def test_an_unknown_subject_is_not_found(client: Client) -> None:
    assert isinstance(await failure(client.get, "/runs/none"), NotFound)


async def test_an_unknown_address_is_not_found(client: Client) -> None:
    assert isinstance(await failure(client.get, "/nothing"), NotFound)


async def test_a_fault_of_the_control_plane_is_an_internal_error(client: Client) -> None:
    error = await failure(client.get, "/changes/broken")
    assert isinstance(error, InternalError)
    assert "a fault in the control plane" in error.message


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/why", "subject"),
        ("/ledger?after=many", "after"),
        ("/runs?limit=0", "limit"),
        ("/events?after=x", "after"),
    ],
)
async def test_a_wrong_question_says_what_is_wrong(client: Client, path: str, names: str) -> None:
    error = await failure(client.get, path)
    assert isinstance(error, UsageError)
    assert names in error.message


@pytest.mark.parametrize(
    "body", [{}, {"repository": 1}, {"repository": "r", "unknown": 1}, {"repository": "r" * 2**21}]
)
async def test_a_wrong_body_is_a_usage_error(client: Client, body: dict[str, Any]) -> None:
    assert isinstance(await failure(client.post, "/ship", body), UsageError)


async def test_filters_reach_the_line(client: Client) -> None:
    (run,) = await ask(client.get, "/runs", {"service": "shop", "limit": 3})
    assert run["message"] == "{'service': 'shop'} 3 "


def _stream(state: Path, after: int, count: int) -> list[dict[str, Any]]:
    events = Client(state).events(after)
    return [next(events) for _ in range(count)]


async def test_the_stream_goes_on_after_the_event_that_was_seen_last(served: Any) -> None:
    items = await ask(_stream, served.state, 3, 3)
    assert [item.get("seq") for item in items] == [4, 5, None]
    assert items[-1]["kind"] == "progress"


def _raw_stream(port: int) -> list[bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Last-Event-ID": "4", "Authorization": "Bearer guest"}
    connection.request("GET", "/api/v1/events?after=0", headers=headers)
    answer = connection.getresponse()
    lines = [answer.readline() for _ in range(8)]
    connection.close()
    return lines


async def test_last_event_id_wins_and_only_ledger_events_have_ids(served: Any) -> None:
    lines = await ask(_raw_stream, served.port)
    assert [line for line in lines if line.startswith(b"id:")] == [b"id: 5\n"]
    assert [line for line in lines if line.startswith(b"event:")] == [
        b"event: event\n",
        b"event: progress\n",
    ]


async def test_a_reader_who_leaves_ends_the_stream_of_the_line(served: Any) -> None:
    await ask(_raw_stream, served.port)
    line: StillLine = served.line
    await eventually(lambda: not line.streams)
