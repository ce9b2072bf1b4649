"""The client against a server of one's own that answers what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from andon.client import Andon
from andon.kernel.errors import Conflict, InternalError, Stale, TimedOut, Unavailable, UsageError
from andon.testing.line import a_change, a_hold, an_event


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers one thing after another; the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                length = int(self.headers.get("content-length", 0))
                names = {name.lower(): value for name, value in self.headers.items()}
                mine.asked.append(Asked(self.command, self.path, names, self.rfile.read(length)))
                status, headers, body = mine.answers[0]
                if len(mine.answers) > 1:
                    mine.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def says(self, *values: Any, status: int = 200, **headers: str) -> None:
        self.answers = [(status, headers, json.dumps(value).encode()) for value in values]


def problem(code: str, status: int) -> Answer:
    return (status, {}, json.dumps({"code": code, "detail": "so it is", "hint": ""}).encode())


def stream(*events: str) -> Answer:
    return (200, {"Content-Type": "text/event-stream"}, "".join(events).encode())


def told(seq: int) -> str:
    return f"event: event\nid: {seq}\ndata: {json.dumps(an_event(seq))}\n\n"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=lambda: server.http.serve_forever(0.01))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def andon(server: Server, pauses: list[float]) -> Andon:
    return Andon(server.url, token="secret-token", pause=pauses.append)


def hold(**different: Any) -> dict[str, Any]:
    return a_hold(revision="7", **different)


def test_an_answer_of_another_shape_fails_loudly(server: Server, andon: Andon) -> None:
    server.says(hold() | {"createdAt": "noon"})
    with pytest.raises(InternalError, match="GET /holds/hold-1 is not what this client knows"):
        andon.holds_show("hold-1")


def test_fields_that_came_later_are_no_harm(server: Server, andon: Andon) -> None:
    server.says(hold() | {"more": 1})
    assert andon.holds_show("hold-1")["revision"] == "7"


def test_names_are_quoted_and_empty_parameters_left_out(server: Server, andon: Andon) -> None:
    server.says([])
    andon.runs_list(service="a b", limit=3)
    assert server.asked[0].path == "/api/v1/runs?service=a+b&limit=3"
    server.says(hold())
    andon.holds_show("a/b?c")
    assert server.asked[1].path == "/api/v1/holds/a%2Fb%3Fc"


def test_a_token_goes_with_every_request(server: Server, andon: Andon) -> None:
    server.says([])
    andon.holds_list()
    assert server.asked[0].headers["authorization"] == "Bearer secret-token"


def test_a_write_is_sent_again_with_the_same_key_while_andon_is_away(
    server: Server, andon: Andon, pauses: list[float]
) -> None:
    server.says(hold(), status=201)
    server.answers[:0] = [problem("Unavailable", 503), problem("TimedOut", 504)]
    said = andon.hold(scope={"environment": "prod"}, reason="freeze")
    assert said["name"] == "hold-1"
    assert len({one.headers["idempotency-key"] for one in server.asked}) == 1
    assert len({one.body for one in server.asked}) == 1
    assert pauses == [0.25, 0.5]
    andon.hold(scope={"environment": "prod"}, reason="freeze")
    assert len({one.headers["idempotency-key"] for one in server.asked}) == 2


def test_a_write_without_a_key_is_sent_once(server: Server, andon: Andon) -> None:
    server.answers = [problem("Unavailable", 503)]
    with pytest.raises(Unavailable):
        andon.watches_add(repository="/srv/shop")
    assert len(server.asked) == 1


def test_reading_is_given_up_after_some_tries(server: Server, andon: Andon) -> None:
    server.answers = [problem("Unavailable", 503)]
    with pytest.raises(Unavailable):
        andon.holds_list()
    assert len(server.asked) == 4


def test_what_is_refused_is_not_asked_again(server: Server, andon: Andon) -> None:
    server.answers = [problem("Conflict", 409)]
    with pytest.raises(Conflict, match="so it is"):
        andon.runs_cancel("build-1", reason="no")
    assert len(server.asked) == 1


def test_a_revision_is_expected_as_a_tag(server: Server, andon: Andon) -> None:
    server.answers = [problem("Stale", 412)]
    with pytest.raises(Stale):
        andon.lift("hold-1", reason="over", if_match="7")
    assert server.asked[0].headers["if-match"] == '"7"'


def test_all_pages_are_gone_through_by_their_links(server: Server, andon: Andon) -> None:
    after_one = {"Link": '</api/v1/changes?limit=1&after=shop-3>; rel="next"'}
    hidden = {"Link": '</api/v1/changes?limit=1&after=shop-2>; rel="next"'}
    server.answers = [
        (200, after_one, json.dumps([a_change(name="shop-3")]).encode()),
        (200, hidden, b"[]"),  # all of that page is in environments this token may not see
        (200, {}, json.dumps([a_change(name="shop-1")]).encode()),
    ]
    assert [one["name"] for one in andon.changes(page=1)] == ["shop-3", "shop-1"]
    assert [one.path.partition("?")[2] for one in server.asked] == [
        "limit=1",
        "limit=1&after=shop-3",
        "limit=1&after=shop-2",
    ]


def test_a_stream_that_is_cut_goes_on_where_it_was(
    server: Server, andon: Andon, pauses: list[float]
) -> None:
    server.answers = [
        stream("retry: 1000\n\n", "id: 4\n\n", told(5), told(6)[:-9]),
        problem("Unavailable", 503),
        stream(": still here\n\n"),
        stream(told(6), told(7)),
    ]
    heard = andon.events()
    assert [next(heard)["seq"] for _ in range(3)] == [5, 6, 7]
    asked = [one.path.partition("?")[2] for one in server.asked]
    assert asked == ["after=-1", "after=5", "after=5", "after=5"]


def test_who_is_cut_off_before_anything_happens_misses_nothing(
    server: Server, andon: Andon
) -> None:
    server.answers = [stream("id: 4\n\n"), stream(told(5))]
    assert next(andon.events())["seq"] == 5
    assert server.asked[1].path.endswith("after=4")


def test_a_stream_is_given_up_where_nobody_answers_for_long(server: Server, andon: Andon) -> None:
    server.answers = [problem("Unavailable", 503)]
    with pytest.raises(Unavailable):
        next(andon.events(away_seconds=0))


def test_a_stream_that_may_not_be_heard_is_not_asked_for_again(
    server: Server, andon: Andon
) -> None:
    server.answers = [problem("Conflict", 409)]
    with pytest.raises(Conflict):
        next(andon.events())


def why(**different: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("missing", "holds", "approvals", "story", "evidence"))
    empty = dict.fromkeys(nothing, ())
    return {
        "subject": "shop-2",
        "kind": "change",
        "open": True,
        "summary": "",
        **empty,
        **different,
    }


def change(phase: str) -> dict[str, Any]:
    return a_change(phase=phase, runs=[], approvals=[])


def test_waiting_ends_with_the_change(server: Server, andon: Andon, pauses: list[float]) -> None:
    server.says(change("Running"), why(), change("Succeeded"))
    assert andon.wait("shop-2")["phase"] == "Succeeded"
    assert pauses == [1.0]


def test_waiting_ends_where_only_a_person_goes_on(server: Server, andon: Andon) -> None:
    lack = {"check": "approval", "environment": "prod", "reason": "", "since": 0, "opens": "x"}
    server.says(change("Running"), why(missing=[{**lack, "person": True}]))
    assert andon.wait("shop-2")["phase"] == "Running"


def test_waiting_has_an_end(server: Server, andon: Andon) -> None:
    server.says(change("Running"), why())
    server.answers *= 50
    with pytest.raises(TimedOut, match="andon why shop-2"):
        andon.wait("shop-2", timeout_seconds=0)


def test_the_environment_names_the_control_plane(server: Server, tmp_path: Path) -> None:
    server.says([])
    there = Andon.from_environment({"ANDON_SERVER": server.url, "ANDON_TOKEN": "t"})
    assert there.holds_list() == []
    assert server.asked[0].headers["authorization"] == "Bearer t"
    here = Andon.from_environment({"ANDON_STATE": str(tmp_path)}, tries=1)
    with pytest.raises(Unavailable, match="no control plane is running"):
        here.holds_list()
    with pytest.raises(UsageError, match="ANDON_SERVER or ANDON_STATE"):
        Andon.from_environment({})


@pytest.mark.parametrize("make", [Andon, lambda: Andon("https://x", state="y")])
def test_exactly_one_place_is_named(make: Callable[[], Andon]) -> None:
    with pytest.raises(UsageError, match="address or by its state folder"):
        make()
