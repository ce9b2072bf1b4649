"""What is counted fires alerts, and alerts are told: once, to who should know, and over when they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from andon.adapters.outbound import LOCAL
from andon.api.v1.access import Grant, Identity
from andon.api.v1.alerts import (
    AlertHold,
    AlertRoute,
    AlertsSpec,
    ReceiverSpec,
    WebhookReceiver,
)
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.installation import MailSpec
from andon.api.v1.objectives import BurnAlert, ObjectiveSpec, RuleStatus
from andon.api.v1.records import Object
from andon.app.events.couriers import outgoing
from andon.app.telemetry.alerting import MOST_ACTIVE
from andon.app.telemetry.alerts import Alerts
from andon.app.telemetry.budgets import Budgets
from andon.app.telemetry.receivers import OWN, ROUTED, ensure_receivers, open_alert_sink
from andon.app.telemetry.watch import Watch
from andon.kernel.errors import (
    Conflict,
    Denied,
    InvalidDocument,
    NotLoggedIn,
    Unavailable,
    UsageError,
)
from andon.ports.asking import Asked
from andon.ports.sinks import NotTaken, Receiver
from andon.ports.store import LedgerRow
from andon.testing.promises import PromiseWorld
from andon.testing.webhook import WebhookReceiver as Listener

ANN = Asked(by="person:ann")
PAGER = Asked(by="service:pager")
HOUR = 3600.0
DOWN = {
    "status": "firing",
    "labels": {"alertname": "Down", "severity": "critical", "service": "db"},
}


class Door:
    """Knows two tokens, and remembers who was refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def of_token(self, secret: str) -> Identity | None:
        roles = {"t0ken": "reporter", "looker": "viewer"}
        if secret not in roles:
            return None
        return Identity(name=f"service:{secret}", grants=(Grant(role=roles[secret]),))

    async def denied(self, who: str, operation: str, environment: str, *, via: str = "") -> None:
        self.refused.append(who)


class Room:
    """Objectives that are really counted, and what watches them."""

    def __init__(self, folder: Path, spec: AlertsSpec) -> None:
        self.world = PromiseWorld(folder)
        self.spec = spec
        self.door = Door()
        self.seq = 0
        self.begin()

    def begin(self) -> None:
        """Begin anew with what lies in the store."""
        world = self.world
        self.budgets = Budgets(world.store, world.turns, world.clock)
        parts = (world.store, world.turns, world.clock)
        self.watch = Watch(*parts, world.objectives, self.budgets, self.spec)
        self.alerts = Alerts(*parts, self.watch, self.spec, self.door)

    def live(self, seconds: float, **traffic: Any) -> None:
        """Let time pass, and look."""
        self.world.live(seconds, **traffic)
        self.look()

    def look(self) -> None:
        self.do(self.watch.turn())

    def do(self, wish: Any) -> Any:
        return asyncio.run(wish)

    def told(self, *events: Any) -> Any:
        return self.do(
            self.alerts.take_alertmanager({"version": "4", "alerts": [*events]}, asked=PAGER)
        )

    def page(self, action: str, key: str = "k", token: str = "t0ken", **payload: Any) -> Any:
        body = {"routing_key": token, "event_action": action, "dedup_key": key, "payload": payload}
        return self.do(self.alerts.take_pagerduty(body, asked=Asked(by=""), who=None))

    def list(self, **which: Any) -> list[dict[str, Any]]:
        return self.do(self.alerts.list(**{"all": False, "limit": 50} | which))["alerts"]

    def conditions(self) -> dict[str, str]:
        """Return what fires of availability, by condition: the severity."""
        mine = (one for one in self.list() if one["labels"].get("target") == "availability")
        return {one["labels"]["condition"]: one["severity"] for one in mine}

    def events(self, beginning: str = "") -> list[LedgerRow]:
        rows = self.world.transact(lambda tx: tx.events(limit=10_000))
        return [row for row in rows if row.type.startswith(beginning)]

    def names(self, beginning: str = "dev.cdeventsx.andon-alert.") -> list[str]:
        return [row.type.split(".")[3] for row in self.events(beginning)]

    def holds(self) -> list[Object]:
        return self.world.transact(
            lambda tx: tx.list(Selector(kind="Hold", labels={"state": "active"}))
        )

    def routed(self) -> list[dict[str, Any]]:
        return [json.loads(row.body)["data"]["subject"]["content"] for row in self.events(ROUTED)]


@pytest.fixture
def open_room(tmp_path: Path) -> Iterator[Any]:
    opened = []

    def make(**settings: Any) -> Room:
        opened.append(Room(tmp_path, AlertsSpec(**settings)))
        return opened[-1]

    yield make
    for room in opened:
        room.world.close()


@pytest.fixture
def room(open_room: Any) -> Room:
    return open_room()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    listener.start()
    yield listener
    listener.kill()


# --- objectives -----------------------------------------------------------------------------------


def test_budget_that_burns_fires_and_is_over_once_the_short_window_is_good(room: Room):
    room.live(4 * HOUR)
    assert room.list() == []
    room.live(2 * HOUR, failed=15)
    assert room.conditions() == {
        "page-1h": "page",
        "page-6h": "page",
        "ticket-1d": "ticket",
        "ticket-3d": "ticket",
    }
    page = next(one for one in room.list() if one["labels"]["condition"] == "page-1h")
    assert page["summary"].startswith("shop in prod, availability: the budget burns ")
    ticket = next(one for one in room.list() if one["severity"] == "ticket")
    assert ticket["inhibitedBy"], "its page says it already"
    loud = [one["labels"]["condition"] for one in room.list() if not one["inhibitedBy"]]
    assert loud == ["page-1h"]
    room.live(600)
    assert "page-1h" not in room.conditions()
    room.live(6 * HOUR + 60)
    assert room.list() == []
    assert sorted(set(room.names())) == ["fired", "resolved"]


def test_own_alert_fires_once_it_lasted_and_tells_whom_it_names(open_room: Any):
    receivers = tuple(ReceiverSpec(name=n, mail=(f"{n}@b.example",)) for n in ("ann", "bob"))
    room = open_room(receivers=receivers, routes=(AlertRoute(receivers=("ann",)),))
    own = BurnAlert(
        name="creeping", burn=0.5, window="10m", after="20m", receivers=("bob",), severity="info"
    )
    spec = ObjectiveSpec(service="shop", availability=0.9, pages=False, alerts=(own,))
    room.world.promise("slo", spec)
    room.live(HOUR)
    room.live(900, failed=1)
    assert room.conditions() == {}, "it has not lasted"
    room.live(1200, failed=1)
    assert room.conditions() == {"creeping": "info"}
    room.live(15, failed=1)
    assert [one["receiver"] for one in room.routed()] == ["bob"]
    room.live(900)
    assert room.conditions() == {}


def test_nothing_is_written_while_an_alert_goes_on(room: Room):
    room.live(900, failed=15)
    before = room.world.store.commits
    for _ in range(5):
        room.look()
    assert room.world.store.commits == before


def test_what_cannot_be_seen_any_more_neither_fires_nor_resolves_and_says_so(room: Room):
    room.live(HOUR)
    room.live(900, failed=15)
    firing = room.conditions()
    room.live(1800, scraped=False)
    assert room.conditions().items() >= firing.items()
    assert room.conditions()["silence"] == "ticket"
    page = next(one for one in room.list() if one["labels"]["condition"] == "page-1h")
    assert page["unknownSince"] > 0
    assert "unseen" in room.names()
    assert "resolved" not in room.names()
    room.live(1800)
    assert "page-1h" not in room.conditions()
    assert "silence" not in room.conditions()


def test_objectives_that_nobody_evaluates_any_more_resolve_nothing(room: Room):
    room.live(900, failed=15)
    room.world.clock.advance(600)
    room.look()
    assert room.conditions()
    assert all(one["unknownSince"] for one in room.list())


def test_alert_that_could_never_fire_is_refused_and_told(room: Room):
    room.world.promise("low", ObjectiveSpec(service="shop", availability=0.9))
    room.live(HOUR, failed=15)
    told = room.do(room.alerts.list(all=False, limit=50))
    refused = {(one["objective"], one["name"]) for one in told["refused"]}
    assert ("low", "page-1h") in refused
    low = {one["labels"]["condition"] for one in room.list() if "low" in one["source"]}
    assert "page-1h" not in low


def test_goal_that_is_gone_fires_no_more(room: Room):
    room.live(900, failed=15)
    room.world.forget_running()
    room.live(15)
    assert room.list() == []
    over = room.list(all=True)[0]
    assert over["resolution"] == "nothing of the kind is promised any more"


def test_short_burst_is_pending_and_no_alert(room: Room):
    room.live(6 * HOUR, each=150)
    room.live(60, each=150, failed=150)
    told = room.do(room.alerts.list(all=False, limit=50))
    assert told["alerts"] == []
    assert {one["name"] for one in told["pending"]} >= {"page-1h"}


def test_burnt_budget_holds_the_service_by_its_policy_and_lets_go_with_it(room: Room):
    rule = NewObject(kind="BudgetPolicy", name="all", spec=BudgetPolicySpec(), status=RuleStatus())
    room.world.transact(lambda tx: tx.create(rule, "policy", 0.0))
    room.live(HOUR)
    assert room.holds() == []
    room.live(900, failed=15)
    (hold,) = room.holds()
    assert hold.spec.source == "budget:all"
    assert str(hold.spec.scope) == "service shop, environment prod"
    assert hold.spec.reason.startswith("exhausted: shop-availability's error budget is spent")


# --- other tools ----------------------------------------------------------------------------------


def test_alert_of_another_tool_is_taken_once_and_ends_when_that_says_so(room: Room):
    (first,) = room.told(DOWN)["alerts"]
    (again,) = room.told(DOWN)["alerts"]
    assert (again["name"], again["told"], again["severity"]) == (first["name"], 2, "page")
    room.told({**DOWN, "status": "resolved"})
    assert room.list() == []
    assert room.told({**DOWN, "status": "resolved"})["alerts"] == []
    (anew,) = room.told(DOWN)["alerts"]
    assert anew["name"] != first["name"], "what is over absorbs nothing"


def test_critical_alert_of_another_tool_holds_the_service_until_it_is_resolved(open_room: Any):
    rule = AlertHold(match=('severity="page"', 'service="db"'))
    room = open_room(holds=(rule,))
    (alert,) = room.told({**DOWN, "labels": {**DOWN["labels"], "environment": "prod"}})["alerts"]
    (hold,) = room.holds()
    assert (hold.name, hold.spec.reason) == (alert["hold"], f"{alert['name']} fires: Down")
    assert str(hold.spec.scope) == "service db, environment prod"
    room.told({"status": "resolved", "labels": {**DOWN["labels"], "environment": "prod"}})
    assert room.holds() == []


def test_nobody_ends_an_alert_of_andons_own_by_its_labels(room: Room):
    room.live(900, failed=15)
    ours = room.list()
    room.told(*({"status": "resolved", "labels": one["labels"]} for one in ours))
    assert [one["name"] for one in room.list()] == [one["name"] for one in ours]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"alerts": "x"},
        {"version": "3", "alerts": []},
        {"alerts": [{"status": "?", "labels": {"a": "b"}}]},
        {"alerts": [{"status": "firing", "labels": {}}]},
        {"alerts": [{"status": "firing", "labels": {"a": 1}}]},
        {"alerts": [DOWN] * 501},
        {"alerts": [{"status": "firing", "labels": {f"l{n}": "v" for n in range(65)}}]},
    ],
)
def test_what_is_no_webhook_of_alertmanager_is_refused(room: Room, document: Any):
    with pytest.raises(InvalidDocument):
        room.do(room.alerts.take_alertmanager(document, asked=PAGER))


def test_labels_of_strangers_make_no_chain_of_their_own(room: Room):
    room.told({**DOWN, "labels": {"alertname": "x", "environment": "made-up"}})
    (row,) = room.events("dev.cdeventsx.andon-alert.fired")
    assert row.stream == "org"


def test_pagerduty_client_triggers_acknowledges_and_resolves(room: Room):
    details = {"service": "db", "environment": "prod"}
    answer = room.page(
        "trigger", summary="disk full", source="db1", severity="critical", custom_details=details
    )
    assert answer == {"status": "success", "message": "Event processed", "dedup_key": "k"}
    (alert,) = room.list()
    assert (alert["service"], alert["environment"], alert["severity"]) == ("db", "prod", "page")
    room.page("acknowledge")
    assert room.list()[0]["acknowledgedBy"] == "service:t0ken"
    room.page("resolve")
    assert room.list() == []


@pytest.mark.parametrize(
    ("token", "error"), [("wrong", NotLoggedIn), ("looker", Denied), (3, NotLoggedIn)]
)
def test_routing_key_must_be_a_token_that_may_tell(room: Room, token: Any, error: type):
    with pytest.raises(error):
        room.page("trigger", token=token, summary="s", source="x")
    assert len(room.door.refused) == 1
    assert room.list() == []


def test_event_without_dedup_key_is_told_which_it_has(room: Room):
    first = room.page("trigger", key="", summary="s", source="x")["dedup_key"]
    assert first
    assert room.page("trigger", key="", summary="s", source="x")["dedup_key"] == first
    assert len(room.list()) == 1
    room.page("resolve", key=first)
    assert room.list() == []


# --- people ---------------------------------------------------------------------------------------


def test_alert_is_taken_on_by_a_person(room: Room):
    room.told(DOWN)
    name = room.list()[0]["name"]
    taken = room.do(room.alerts.acknowledge(name, asked=ANN, reason="looking"))
    assert (taken["acknowledgedBy"], taken["acknowledgedFor"]) == ("person:ann", "looking")
    room.told({**DOWN, "status": "resolved"})
    with pytest.raises(Conflict, match="is over"):
        room.do(room.alerts.acknowledge(name, asked=ANN, reason="late"))
    shown = room.do(room.alerts.show(name))
    assert [one["text"] for one in shown["story"]]


def silence(room: Room, *matchers: str, seconds: float = 60, reason: str = "r") -> dict[str, Any]:
    return room.do(room.alerts.silence(matchers, seconds=seconds, asked=ANN, reason=reason))


def test_silence_ends_by_itself_or_by_hand(room: Room):
    room.told(DOWN)
    made = silence(room, 'service="db"')
    assert room.list()[0]["silencedBy"] == made["name"]
    room.world.clock.advance(61)
    assert room.list()[0]["silencedBy"] == ""
    assert room.do(room.alerts.silences(all=False)) == []
    other = silence(room, 'service="db"')
    ended = room.do(room.alerts.unsilence(other["name"], asked=ANN))
    assert (ended["inForce"], ended["endedBy"]) == (False, "person:ann")


@pytest.mark.parametrize(
    ("matchers", "more"),
    [
        (('service="db"',), {"seconds": 0}),
        (('service="db"',), {"seconds": -5}),
        (('service="db"',), {"seconds": 31 * 86400.0}),
        (('service="db"',), {"seconds": float("inf")}),
        (('service="db"',), {"seconds": float("nan")}),
        (('service="db"',), {"reason": " "}),
        (('service=~".*"',), {}),
        (("what",), {}),
        ((), {}),
    ],
)
def test_silence_without_end_reason_or_bound_is_refused(room: Room, matchers: Any, more: Any):
    with pytest.raises(UsageError):
        silence(room, *matchers, **more)


# --- receivers ------------------------------------------------------------------------------------


def settings(listener: Listener, folder: Path) -> dict[str, Any]:
    chat = folder / "chat"
    chat.write_text(f"http://127.0.0.1:{listener.port}/chat/s3cret\n")
    receivers = (
        ReceiverSpec(name="hook", webhook=WebhookReceiver(url=listener.url)),
        ReceiverSpec(name="chat", chat_file=str(chat)),
    )
    route = AlertRoute(
        receivers=("hook", "chat"), match=('severity="page"',), wait_seconds=0, interval_seconds=0
    )
    return {"receivers": receivers, "routes": (route,)}


def deliver(room: Room, mail: MailSpec | None = None) -> None:
    """Hand new events to every subscriber, as couriers do."""
    rows = room.events(ROUTED)[room.seq :]
    room.seq += len(rows)
    room.world.transact(lambda tx: ensure_receivers(tx, room.spec, 0.0))
    for one in room.world.transact(lambda tx: tx.subscribers()):
        sink = sink_of(room, one.spec.name, one.spec.url, mail)
        for row in rows:
            room.do(sink.deliver(outgoing(row)))


def sink_of(room: Room, name: str, url: str, mail: MailSpec | None = None) -> Any:
    return open_alert_sink(
        Receiver(name=name, url=url),
        room.spec,
        store=room.world.store,
        clock=room.world.clock,
        guard=LOCAL,
        mail=mail,
        url="https://andon.example",
    )


def test_each_receiver_is_told_once_of_each_transition(open_room, listener: Listener, tmp_path):
    room = open_room(**settings(listener, tmp_path))
    for _ in range(3):
        room.told(DOWN)
        room.look()
    deliver(room)
    assert sorted(one.path for one in listener.requests) == ["/chat/s3cret", "/events"]
    hook = next(one for one in listener.requests if one.path == "/events")
    body = json.loads(hook.body)
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "hook")
    assert body["alerts"][0]["labels"]["severity"] == "page"
    assert hook.headers["idempotency-key"]
    listener.requests.clear()
    room.told({**DOWN, "status": "resolved"})
    room.look()
    deliver(room)
    told = {one.path: json.loads(one.body) for one in listener.requests}
    assert told["/events"]["status"] == "resolved"
    assert told["/chat/s3cret"]["text"].startswith("resolved: Down")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mail_and_apprise_are_ways_to_tell(open_room, listener: Listener, tmp_path, mailbox):
    urls = tmp_path / "apprise"
    urls.write_text(f"# ours\njson://127.0.0.1:{listener.port}/apprise\n")
    receiver = ReceiverSpec(name="sre", mail=("sre@b.example",), apprise_file=str(urls))
    route = AlertRoute(receivers=("sre",), wait_seconds=0)
    room = open_room(receivers=(receiver,), routes=(route,))
    room.told(DOWN)
    told = MailSpec(server=mailbox.address, sender="a@b.example", start_tls=False)
    deliver(room, told)
    (letter,) = mailbox.letters
    assert letter.recipients == ("sre@b.example",)
    assert letter.message["Subject"].startswith("page: Down")
    (sent,) = listener.requests
    assert sent.path == "/apprise"
    assert "andon alerts ack" in json.loads(sent.body)["message"]


def test_our_own_message_can_be_taken_in_by_another_andon(open_room, listener: Listener, tmp_path):
    room = open_room(**settings(listener, tmp_path))
    room.told(DOWN)
    deliver(room)
    body = next(json.loads(one.body) for one in listener.requests if one.path == "/events")
    assert room.do(room.alerts.take_alertmanager(body, asked=PAGER))["alerts"]


def test_group_is_written_down_with_its_alert_and_told_after_a_crash(
    open_room, listener: Listener, tmp_path
):
    room = open_room(**settings(listener, tmp_path))
    room.told(DOWN)
    assert [one["receiver"] for one in room.routed()] == ["hook", "chat"]
    room.begin()
    room.look()
    assert len(room.routed()) == 2, "nothing is told twice by who goes on"


def test_receiver_that_is_down_is_told_later_with_the_same_id(
    open_room, listener: Listener, tmp_path
):
    room = open_room(**settings(listener, tmp_path))
    room.told(DOWN)
    sink = sink_of(room, f"{OWN}hook.webhook", "alert://hook/webhook")
    row = room.events(ROUTED)[0]
    listener.status = lambda request: 500
    with pytest.raises(NotTaken):
        room.do(sink.deliver(outgoing(row)))
    listener.status = lambda request: 200
    room.do(sink.deliver(outgoing(row)))
    first, second = (one.headers["idempotency-key"] for one in listener.requests)
    assert first == second


def test_secret_of_a_receiver_is_in_no_message(open_room, listener: Listener, tmp_path):
    room = open_room(**settings(listener, tmp_path))
    room.told(DOWN)
    (tmp_path / "chat").unlink()
    sink = sink_of(room, f"{OWN}chat.chat", "alert://chat/chat")
    row = room.events(ROUTED)[1]
    with pytest.raises(Unavailable, match="cannot be read"):
        room.do(sink.deliver(outgoing(row)))
    assert not [one for one in room.events() if b"s3cret" in one.body]


def test_receivers_follow_the_settings(open_room, listener: Listener, tmp_path):
    room = open_room(**settings(listener, tmp_path))
    names = lambda: {one.spec.name for one in room.world.transact(lambda tx: tx.subscribers())}  # noqa: E731
    room.do(room.watch._ensure())
    assert names() == {f"{OWN}hook.webhook", f"{OWN}chat.chat"}
    room.spec = replace(room.spec, receivers=room.spec.receivers[:1], routes=())
    room.begin()
    room.do(room.watch._ensure())
    assert names() == {f"{OWN}hook.webhook"}
    with pytest.raises(Unavailable, match="no receiver chat"):
        sink_of(room, f"{OWN}chat.chat", "alert://chat/chat")


def test_flood_of_alerts_is_refused_whole(room: Room, monkeypatch: pytest.MonkeyPatch):
    from andon.app.telemetry import alerting
    from andon.kernel.errors import TooMany

    assert MOST_ACTIVE >= 10_000
    monkeypatch.setattr(alerting, "MOST_ACTIVE", 3)
    with pytest.raises(TooMany):
        room.told(*({"status": "firing", "labels": {"alertname": f"a{n}"}} for n in range(4)))
    assert room.list() == []


def test_what_was_over_long_ago_is_forgotten(room: Room):
    from andon.app.telemetry.alerting import sweep

    room.told(DOWN, {**DOWN, "labels": {"alertname": "Other"}})
    room.told({**DOWN, "status": "resolved"})
    silence(room, 'service="db"')
    now = room.world.clock.now()
    assert room.world.transact(lambda tx: sweep(tx, now)) == 0
    assert room.world.transact(lambda tx: sweep(tx, now + 61)) == 2
    assert [one["labels"]["alertname"] for one in room.list(all=True)] == ["Other"]


def test_who_cannot_say_what_is_odd_keeps_no_alert_waiting(room: Room):
    class Broken:
        async def look(self, firing: Any, now: float) -> Any:
            raise Unavailable("the samples are away")

    room.watch._asker = Broken()
    room.live(900, failed=15)
    assert room.conditions()
