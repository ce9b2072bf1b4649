"""Events of others, from the request to the ledger: taken whole or refused, and then nothing is kept."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import every, files, mutated
from starlette.requests import Request

from andon.app.events.intake import Intake, check
from andon.kernel.errors import AndonError, UsageError
from andon.store import open_store, verify_ledger
from andon.testing.postgres import programs, running_postgres
from andon.testing.scenario import Scenario
from andon.web.api.intake import BATCH, STRUCTURED, read_events

PLAYS = Path(__file__).parents[1] / "scenario"
PIECES = [
    b"[" * 40, b'{"a":' * 40, b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"-0", b"null", b"true", b'""',
    b'"\\ud800"', b"\xff", b"\xed\xa0\x80", b"\\u0000", b'"data":', b'"id":"1",', b'"data_base64":"eA==",',
    b'"chainId":"x",', b'"links":[{"linkType":"END"}],', b'"version":"0.4.1",', b"dev.cdeventsx.a-b.c.0.1.0",
    b"2020-01-01T00:00:00Z", b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:60+99:99",
]  # fmt: skip
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**18, "", "x" * 600, "\0", "\x1b[2J", "\u2028", "../..", "%00", "a/b", [], {},
    [[]], {"": ""}, [None], {"id": {}}, [{"linkType": "PATH", "from": {"contextId": "x" * 3000}}],
    "sha256:" + "0" * 64, "2020-01-01T00:00:00Z", "dev.cdevents.change.merged.0.3.0", "0001-01-01T00:00:00+23:59",
]  # fmt: skip
CONTENT_TYPES = [
    STRUCTURED,
    BATCH,
    f"{STRUCTURED}; charset=utf-8",
    "application/json",
    "",
    "\xff",
    ";",
]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    play = {"play": [{"ship": "v1"}, {"wait": "until change v1 is over"}]}
    opened = Scenario(play, PLAYS, tmp_path_factory.mktemp("events") / "a.db")
    assert not opened.play()
    yield opened
    opened.close()


def events_of(body: bytes, headers: dict[str, str]) -> list[Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}
    return asyncio.run(read_events(Request(scope, receive)))


def send(scenario: Scenario, body: bytes, headers: dict[str, str]) -> None:
    """Send a request; whatever comes of it, the ledger stays sound."""
    line = scenario.line
    before = line._runner.run(line.store.read(lambda tx: tx.last_seq()))
    try:
        documents = events_of(body, headers)
        taken = line._runner.run(Intake(line.store, line.turns, line.clock).take(documents))
    except AndonError as error:
        refusal = error
    else:
        assert len(taken["events"]) == len(documents)
        assert json.dumps(taken)
        return
    assert refusal.exit_code != 1, refusal
    assert len(str(refusal)) < 200_000
    assert line._runner.run(line.store.read(lambda tx: tx.last_seq())) == before


def kept() -> list[dict[str, Any]]:
    found = []
    for path in files("events"):
        try:
            value = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("data"), dict) and not check(value):
            found.append(value)
    assert found
    return found


KEPT = kept()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, part in parts:
        found.append((*path, name))
        if isinstance(part, dict | list):
            found += places(part, (*path, name))
    return found


@st.composite
def odd_events(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid event with a few parts replaced by odd ones, where the envelope mostly still fits."""
    event = copy.deepcopy(draw(st.sampled_from(KEPT)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(event)))
        where = event
        for name in path[:-1]:
            where = where[name]
        where[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
    for name in ("id", "source", "type"):
        context = event["data"].get("context") if isinstance(event.get("data"), dict) else None
        if isinstance(context, dict) and name in context:
            event[name] = context[name]
    return event


@every("events")
def test_kept_event_is_taken_or_refused(scenario: Scenario, path: Path) -> None:
    for content_type in CONTENT_TYPES:
        send(scenario, path.read_bytes(), {"content-type": content_type})


@given(mutated("events", PIECES), st.sampled_from(CONTENT_TYPES))
def test_changed_bytes_are_taken_or_refused(
    scenario: Scenario, body: bytes, content_type: str
) -> None:
    send(scenario, body, {"content-type": content_type})


@given(odd_events())
def test_event_with_odd_parts_is_taken_or_refused(
    scenario: Scenario, event: dict[str, Any]
) -> None:
    send(scenario, json.dumps(event).encode(), {"content-type": STRUCTURED})


@given(
    st.dictionaries(
        st.sampled_from(
            ["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-data", "ce-", "ce-\xff"]
        ),
        st.sampled_from(["1.0", "", "%00", "%ff", "\xff", "x" * 600, "%E2%80%A8", "/ci"]),
    ),
    st.sampled_from([b"{}", b"[]", b'"x"', b"", b'{"context": {}}']),
)
def test_any_headers_are_taken_or_refused(
    scenario: Scenario, headers: dict[str, str], body: bytes
) -> None:
    send(scenario, body, {"content-type": "application/json", **headers})


def test_ledger_is_sound_after_all_of_it(scenario: Scenario) -> None:
    line = scenario.line
    for event in KEPT:
        send(scenario, json.dumps(event).encode(), {"content-type": STRUCTURED})
    assert line._runner.run(line.store.read(verify_ledger)).findings == ()


@pytest.mark.postgres
def test_what_postgres_cannot_hold_is_the_asker_s_fault() -> None:
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    with running_postgres(where) as server, asyncio.Runner() as runner:
        store = open_store(server.new_schema(), source="/andon/test")
        with pytest.raises(UsageError, match="cannot look up"):
            runner.run(store.read(lambda tx: tx.get("Run", "a\0b")))
        assert runner.run(store.read(lambda tx: tx.get("Run", "a"))) is None
        store.close()
