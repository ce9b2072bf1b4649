"""The promises of the API, kept by a real control plane over TCP: pages, revisions, keys, streams, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from api_world import World

from andon.api.v1.access import Grant
from andon.api.v1.answers import Change
from andon.client import Andon
from andon.client.wire import Client
from andon.kernel.errors import Denied, NotLoggedIn, Stale, Unavailable, UsageError
from andon.web.api import OPERATIONS
from andon.web.operations import Operation

KEY = "a-key-of-my-own"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("api"))
    try:
        world.up()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def andon(world: World) -> Andon:
    return world.andon


@pytest.fixture(scope="module")
def changes(world: World, andon: Andon) -> list[str]:
    """Five commits that are on the line."""
    names = []
    for number in range(5):
        world.commit(f"change {number}")
        names.append(andon.ship(repository=str(world.repository), until="@build")["change"])
    return names


def ask(world: World, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {world.token}", **more.pop("headers", {})}
    return requests.request(
        method, f"{world.url}/api/v1{path}", headers=headers, timeout=90, **more
    )


def test_pages_show_every_row_once_though_rows_are_added(
    world: World, andon: Andon, changes: list[str]
) -> None:
    pages: Iterator[Change] = andon.changes(page=2)
    seen = [next(pages)["name"]]
    world.commit("meanwhile")
    late = andon.ship(repository=str(world.repository), until="@build")["change"]
    seen += [one["name"] for one in pages]
    assert seen == changes[::-1]
    assert next(andon.changes())["name"] == late


def test_a_page_links_to_the_next_and_the_last_one_to_none(
    world: World, changes: list[str]
) -> None:
    said = ask(world, "GET", "/changes?limit=4")
    link = re.fullmatch(r'<(/api/v1/changes\?[^>]*)>; rel="next"', said.headers["Link"])
    assert link
    rest = requests.get(world.url + link[1], headers=said.request.headers, timeout=90)
    assert {one["name"] for one in rest.json()}.isdisjoint(one["name"] for one in said.json())
    assert "Link" not in ask(world, "GET", "/changes?limit=1000").headers


def test_the_ledger_is_gone_through_in_order_without_a_gap(
    andon: Andon, changes: list[str]
) -> None:
    found = [event["seq"] for event in andon.ledger(page=3)]
    assert found == list(range(1, len(found) + 1))


def test_a_cursor_that_points_nowhere_says_so(world: World) -> None:
    said = ask(world, "GET", "/changes?after=never-was")
    assert (said.status_code, said.json()["code"]) == (404, "NotFound")


def test_names_stay(andon: Andon, changes: list[str]) -> None:
    shown = andon.changes_show(changes[0])
    assert shown["name"] == changes[0]
    assert andon.changes_show(shown["sha"])["name"] == changes[0]


def test_what_has_not_changed_is_not_sent_again(world: World, andon: Andon) -> None:
    hold = andon.hold(scope={"service": "one"}, reason="look")
    first = ask(world, "GET", f"/holds/{hold['name']}")
    assert first.headers["ETag"] == f'"{hold["revision"]}"'
    tag = {"If-None-Match": first.headers["ETag"]}
    again = ask(world, "GET", f"/holds/{hold['name']}", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    andon.lift(hold["name"], reason="seen")
    assert ask(world, "GET", f"/holds/{hold['name']}", headers=tag).status_code == 200


def test_who_decides_on_an_old_sight_is_stopped(andon: Andon) -> None:
    user = andon.users_add(name="eve", emails=["eve@example.org"])
    changed = andon.users_change("eve", disabled=True, if_match=user["revision"])
    assert changed["revision"] != user["revision"]
    with pytest.raises(Stale, match="somebody changed it meanwhile"):
        andon.users_change("eve", disabled=False, if_match=user["revision"])
    assert andon.users_show("eve")["disabled"]


def test_the_same_wish_with_the_same_key_is_carried_out_once(andon: Andon) -> None:
    wish: dict[str, Any] = {"scope": {"service": "two"}, "reason": "once"}
    one = andon.hold(**wish, idempotency_key=KEY)
    andon.lift(one["name"], reason="done")
    assert andon.hold(**wish, idempotency_key=KEY) == one
    assert one["name"] not in {hold["name"] for hold in andon.holds_list()}
    with pytest.raises(UsageError, match="was sent with another request before"):
        andon.hold(scope={"service": "two"}, reason="another", idempotency_key=KEY)


def test_a_secret_that_is_shown_once_is_not_shown_to_who_asks_again(andon: Andon) -> None:
    wish: dict[str, Any] = {"name": "ci", "grants": [Grant(role="viewer")]}
    made = andon.tokens_make(**wish, idempotency_key="the-token")
    again = andon.tokens_make(**wish, idempotency_key="the-token")
    assert "secret" in made
    assert "secret" not in again
    assert again["revision"] == made["revision"]


def test_a_definition_is_not_written_here(world: World) -> None:
    said = ask(world, "PUT", "/objects/Environment/prod", json={"spec": {}})
    assert said.status_code == 403
    assert said.json()["hint"] == "change andon.yaml, commit, and `andon ship`"


def test_a_stranger_learns_how_to_get_in(world: World) -> None:
    with pytest.raises(NotLoggedIn) as refused:
        Andon(world.url, token="andon_unknown").status()
    assert "andon admin token create" in refused.value.hint
    assert Andon(world.url).health() == {"ok": True}


def test_who_may_only_view_writes_nothing(world: World, andon: Andon) -> None:
    made = andon.tokens_make(name="viewer", grants=[Grant(role="viewer")])
    viewer = Andon(world.url, token=made["secret"])
    assert viewer.status()["environments"] is not None
    with pytest.raises(Denied, match="may not hold"):
        viewer.hold(scope={"service": "three"}, reason="no")


def test_every_event_is_heard_once_though_andon_is_killed_meanwhile(world: World) -> None:
    andon = Andon(world.url, token=world.token)
    port = int(world.url.rpartition(":")[2])
    last = max(event["seq"] for event in andon.ledger())
    stream = (item for item in andon.events(after=last) if item["kind"] == "event")
    andon.hold(scope={"service": "four"}, reason="before")
    heard = [next(stream)]
    world.kill()
    world.up(port)
    andon.hold(scope={"service": "four"}, reason="after", expires_seconds=60)
    andon.hold(scope={"service": "five"}, reason="after")
    while not any("five" in item["text"] for item in heard):
        heard += islice(stream, 1)
    stream.close()
    told = [event["seq"] for event in andon.ledger(after=last)]
    assert [item["seq"] for item in heard] == told[: len(heard)]


def test_a_wish_whose_answer_was_lost_in_a_crash_is_not_carried_out_again(world: World) -> None:
    andon = Andon(world.url, token=world.token, tries=1)
    port = int(world.url.rpartition(":")[2])

    class Deaf(Client):
        """Sends, and has the control plane killed once it has acted, before anybody hears of it."""

        def ask(self, *words: Any, **more: Any) -> Any:
            super().ask(*words, **more)
            world.kill()
            raise Unavailable("the answer was lost")

    wish: dict[str, Any] = {"scope": {"service": "six"}, "reason": "crash"}
    deaf = Andon(world.url, token=world.token, tries=1)
    deaf._client = Deaf(deaf._client.place)
    with pytest.raises(Unavailable):
        deaf.hold(**wish, idempotency_key="lost")
    world.up(port)
    first = next(one for one in andon.holds_list() if one["scope"] == {"service": "six"})
    andon.lift(first["name"], reason="over")
    assert andon.hold(**wish, idempotency_key="lost")["name"] == first["name"]
    assert all(one["scope"] != {"service": "six"} for one in andon.holds_list())


# --- what nobody should send --------------------------------------------------------------------

NASTY = ["\0", "a\0b", "\ud800", "../../etc/passwd", "%2e%2e%2f", "-x", "", " ", "x" * 20_000, "🧨"]
SENT = {
    "ship": {"repository": "/nowhere", "ref": "?"},
    "hold": {"scope": {"service": "?"}, "reason": "?"},
    "lift": {"reason": "?"},
    "unlatch": {"environment": "?", "subject": "?", "reason": "?"},
    "approve": {"change": "?", "environment": "prod", "reason": "?"},
    "users_add": {"name": "?", "emails": ["?"], "password": "?"},
    "tokens_make": {"name": "?", "owner": "?", "grants": [{"role": "viewer", "environment": "?"}]},
    "secrets_put": {"value": "?"},
    "subscriptions_add": {"name": "?", "url": "?", "stream": "?"},
    "hooks_add": {"name": "?", "forge": "github", "repository": "?", "secret": "?"},
    "session_begin": {"name": "?", "password": "?"},
    "queue_drop": {"queue": "?", "subject": "?", "reason": "?"},
    "ledger_compare": {"heads": {"?": [10**30, "?"]}},
}
BY_NAME = {one.name: one for one in OPERATIONS}


def _reads_by_name(one: Operation) -> bool:
    """Say whether it returns what has a name.

    What workers ask is for their tokens alone (tests/integration/test_workers_elsewhere.py). A label that
    nothing has is no error: it has no values, as Prometheus says it.
    """
    named = one.method == "GET" and "{" in one.path and one.rule.verb != "work"
    return named and one.name != "prometheus_label_values"


@pytest.mark.parametrize("name", sorted(SENT))
def test_texts_that_nobody_should_send_are_no_trouble(world: World, name: str) -> None:
    template = json.dumps(SENT[name])
    for text in NASTY:
        body = template.replace('"?"', json.dumps(text))
        path = path_of(BY_NAME[name], text or "x")
        said = ask(world, BY_NAME[name].method, path, data=body)
        assert said.status_code < 500, (text[:20], said.text)
        assert said.status_code < 300 or said.json()["code"], (text[:20], said.text)


@pytest.mark.parametrize("name", sorted(one.name for one in OPERATIONS if _reads_by_name(one)))
def test_names_that_nothing_has_are_not_found(world: World, name: str) -> None:
    for text in NASTY:
        said = ask(world, "GET", path_of(BY_NAME[name], text or " "))
        assert said.status_code in (400, 404, 414, 431), (text[:20], said.status_code, said.text)
        assert said.json()["code"], said.text


def path_of(one: Operation, text: str) -> str:
    written = quote(text.encode("utf-8", "surrogatepass"), safe="")
    return re.sub(r"{\w+(:path)?}", lambda _: written, one.path.replace("{kind}/", "Run/"))


@pytest.mark.parametrize(
    "query", ["limit=0", f"limit={'9' * 400}", "limit=NaN", "more=1", "after=%00"]
)
def test_a_query_that_cannot_be_read_says_why(world: World, query: str) -> None:
    said = ask(world, "GET", f"/runs?{query}")
    assert (said.status_code, said.json()["code"]) == (400, "UsageError")


@pytest.mark.parametrize("host", ["evil.example", "", "localhost@evil.example", "[::1", "x" * 300])
def test_an_address_under_another_name_answers_nothing(world: World, host: str) -> None:
    said = ask(world, "GET", "/status", headers={"Host": host})
    assert said.status_code in (400, 403)
    assert "environments" not in said.text


def test_the_client_reaches_it_by_the_socket_as_well(world: World) -> None:
    here = Andon(state=Path(world.state))
    assert here.session_show()["identity"]
    assert here.health()["ok"]


def test_links_lead_to_the_port_that_was_free(world: World, andon: Andon) -> None:
    made = andon.hooks_add(name="port", forge="github", repository=str(world.repository))
    assert made["url"] == f"{world.url}/api/v1/hooks/port/deliveries"
    andon.hooks_remove("port")
