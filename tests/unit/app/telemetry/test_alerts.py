"""What is counted fires alerts, other tools tell theirs, and people take them on or silence them."""

from __future__ import annotations

from typing import Any

import pytest
from alert_room import ANN, DOWN, HOUR, PAGER, Room

from andon.api.v1.alerts import AlertHold, AlertRoute, ReceiverSpec
from andon.api.v1.budgets import BudgetPolicySpec
from andon.api.v1.control import NewObject
from andon.api.v1.objectives import BurnAlert, ObjectiveSpec, RuleStatus
from andon.app.telemetry.alerting import MOST_ACTIVE
from andon.kernel.errors import (
    Conflict,
    Denied,
    InvalidDocument,
    NotLoggedIn,
    Unavailable,
    UsageError,
)

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
