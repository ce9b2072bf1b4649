"""Whoever should know is told once for each thing that happens, and nobody of what is kept quiet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from andon.api.v1.alerts import (
    AlertHold,
    AlertRoute,
    AlertSpec,
    AlertsSpec,
    AlertStatus,
    Inhibition,
    ReceiverSpec,
    SilenceSpec,
    SilenceStatus,
    WebhookReceiver,
)
from andon.api.v1.records import Object, Subject
from andon.domains.reliability.quiet import fingerprint, labels_of, quiet
from andon.domains.reliability.routing import (
    check_settings,
    decide_notifications,
    held_by,
    matching_routes,
)
from andon.kernel.errors import UsageError

ANN, BOB = (ReceiverSpec(name=name, mail=(f"{name}@b.example",)) for name in ("ann", "bob"))
ROUTE = AlertRoute(receivers=("ann",), wait_seconds=10, interval_seconds=300, repeat_seconds=3600)
SPEC = AlertsSpec(receivers=(ANN,), routes=(ROUTE,))


def alert(name: str, severity: str = "page", at: float = 0, acknowledged: float = 0, **labels):
    labels = {"environment": "prod", "service": "shop", "alertname": name, **labels}
    spec = AlertSpec(
        fingerprint=fingerprint(labels),
        labels=labels,
        source="test",
        severity=severity,
        summary=name,
    )
    status = AlertStatus(fired_at=at, acknowledged_at=acknowledged)
    return Object(kind="Alert", name=name, uid=f"{at:09}-{name}", spec=spec, status=status)


def silence(*matchers: str, until: float = 1000, ended: float = 0):
    spec = SilenceSpec(matchers=matchers, reason="r", by="person:ann", created_at=0, until=until)
    return Object(
        kind="Silence", name="silence-1", uid="s", spec=spec, status=SilenceStatus(ended_at=ended)
    )


class Line:
    """Decides again and again, as the loop does, and remembers."""

    def __init__(self, spec: AlertsSpec = SPEC) -> None:
        self.spec = spec
        self.memory = {}

    def at(self, now, *alerts, silences=()):
        told, changed = decide_notifications(alerts, silences, self.spec, self.memory, now)
        self.memory = {k: v for k, v in (self.memory | changed).items() if v is not None}
        return [(one.occasion, sorted(one.firing), sorted(one.resolved)) for one in told]


# --- whom an alert names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "source", "told"),
    [
        ("bob", "objective:slo", ["bob"]),
        ("ann,bob", "objective:slo", ["ann", "bob"]),
        ("bob,carol", "objective:slo", ["ann"]),
        ("", "objective:slo", ["ann"]),
        ("bob", "alertmanager", ["ann"]),
    ],
)
def test_own_alert_tells_whom_it_names_if_all_are_there_and_what_strangers_send_names_nobody(
    named: str, source: str, told: list[str]
):
    spec = AlertsSpec(receivers=(ANN, BOB), routes=(ROUTE,))
    one = alert("a", receivers=named)
    one = replace(one, spec=replace(one.spec, source=source))
    found, _ = decide_notifications((one,), (), spec, {}, 10)
    assert sorted(each.receiver for each in found) == told


# --- grouping -------------------------------------------------------------------------------------


def test_alerts_of_one_group_are_one_message_once():
    line, both = Line(), (alert("a"), alert("b", at=5))
    assert line.at(9, *both) == []
    assert line.at(10, *both) == [("firing", ["a", "b"], [])]
    assert line.at(11, *both) == [] == line.at(3000, *both)


def test_group_that_changed_is_told_again_after_its_interval():
    line = Line()
    line.at(10, alert("a"))
    assert line.at(100, alert("a"), alert("b")) == []
    assert line.at(310, alert("a"), alert("b")) == [("changed", ["a", "b"], [])]


def test_something_worse_does_not_wait_for_the_interval():
    line = Line()
    line.at(10, alert("a", "ticket"))
    worse = alert("a", "ticket"), alert("b", "page", at=20)
    assert line.at(30, *worse) == [("changed", ["a", "b"], [])]


def test_end_is_told_once():
    line = Line()
    line.at(10, alert("a"), alert("b"))
    assert line.at(320, alert("a")) == [("changed", ["a"], ["b"])]
    assert line.at(400) == []
    assert line.at(620) == [("resolved", [], ["a"])]
    assert line.at(1000) == []
    assert not line.memory


def test_what_was_over_before_anybody_was_told_is_not_told():
    line = Line()
    assert line.at(5, alert("a")) == [] == line.at(6)


def test_what_goes_on_is_repeated_unless_somebody_took_it_on():
    line = Line()
    line.at(10, alert("a"))
    assert line.at(3700, alert("a")) == [("repeated", ["a"], [])]
    assert line.at(9000, alert("a", acknowledged=4000)) == []


def test_each_receiver_is_told_and_different_groups_are_apart():
    both = AlertRoute(receivers=("ann", "bob"), wait_seconds=0, group_by=("service",))
    receivers = (ANN, BOB)
    spec = AlertsSpec(receivers=receivers, routes=(both,))
    told, _ = decide_notifications((alert("a"), alert("b", service="cart")), (), spec, {}, 0)
    assert {(one.receiver, one.labels["service"]) for one in told} == {
        (receiver, service) for receiver in ("ann", "bob") for service in ("shop", "cart")
    }
    assert len({one.group for one in told}) == 4


def test_receiver_that_is_gone_is_told_of_no_end():
    line = Line()
    line.at(10, alert("a"))
    line.spec = AlertsSpec(receivers=(BOB,))
    assert line.at(1000) == []
    assert not line.memory


# --- routes ---------------------------------------------------------------------------------------


def test_first_route_counts_and_others_behind_it_on_wish():
    routes = (
        AlertRoute(receivers=("a",), match=('service="shop"',), go_on=True),
        AlertRoute(receivers=("b",), match=('severity="page"',)),
        AlertRoute(receivers=("c",)),
    )
    found = matching_routes(labels_of(alert("x")), routes)
    assert [one.receivers[0] for one in found] == ["a", "b"]


def test_question_is_nobodys_message_unless_a_route_asks_for_it_by_severity():
    question = labels_of(alert("odd", "question"))
    assert matching_routes(question, (AlertRoute(receivers=("a",)),)) == ()
    asks = AlertRoute(receivers=("a",), match=('severity="question"',))
    assert matching_routes(question, (asks,)) == (asks,)


def test_without_routes_receivers_are_told_of_pages_and_tickets():
    line = Line(AlertsSpec(receivers=(ANN,)))
    assert line.at(60, alert("a"), alert("b", "info"), alert("c", "question", service="x")) == [
        ("firing", ["a"], [])
    ]


def test_matcher_that_is_none_is_refused():
    with pytest.raises(UsageError, match="is no matcher"):
        matching_routes({}, (AlertRoute(receivers=("a",), match=("what ever",)),))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"routes": (AlertRoute(receivers=("bob",)),)}, "names bob, who is no receiver"),
        ({"routes": (AlertRoute(receivers=("ann",), match=("x",)),)}, "is no matcher"),
        ({"holds": (AlertHold(match=('a=~"("',)),)}, "is no regular expression"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        check_settings(AlertsSpec(receivers=(ANN,), **settings))
    check_settings(SPEC)


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        (ANN, "there is no mail server"),
        (ReceiverSpec(name="ann"), "is told in no way"),
        (ReceiverSpec(name="ann", webhook=WebhookReceiver()), "needs one address"),
    ],
)
def test_receiver_that_cannot_be_told_is_refused(receiver, said):
    with pytest.raises(UsageError, match=said):
        check_settings(AlertsSpec(receivers=(receiver,)), mail=False)


# --- silences and inhibition ----------------------------------------------------------------------


def test_silenced_alert_is_told_once_its_silence_ends():
    line, hush = Line(), silence('service="shop"', until=500)
    assert line.at(60, alert("a"), silences=(hush,)) == []
    assert line.at(500, alert("a"), silences=(hush,)) == [("firing", ["a"], [])]


def test_silence_that_was_ended_hushes_nobody():
    found = quiet([alert("a")], [silence('service="shop"', ended=5)], (), 60)
    assert found == {}


def test_page_inhibits_its_ticket_and_no_other():
    page = alert("p", "page", objective="shop")
    mine, other = (alert(n, "ticket", objective=o) for n, o in (("t", "shop"), ("u", "slow")))
    assert {k: v.inhibited for k, v in quiet([page, mine, other], (), (), 0).items()} == {"t": "p"}


def test_upstream_inhibits_downstream_as_configured_where_both_are():
    rule = Inhibition(source=('service="db"',), target=('service=~"shop|cart"',))
    up, down = alert("up", service="db"), alert("down", service="cart")
    elsewhere = alert("far", service="cart", environment="test")
    found = quiet([up, down, elsewhere], (), (rule,), 0)
    assert {k: v.inhibited for k, v in found.items()} == {"down": "up"}


def test_of_alerts_that_inhibit_each_other_the_oldest_is_told():
    rules = (
        Inhibition(source=('service="a"',), target=('service="b"',)),
        Inhibition(source=('service="b"',), target=('service="a"',)),
    )
    old, new = alert("old", service="b", at=1), alert("new", service="a", at=2)
    assert set(quiet([new, old], (), rules, 5)) == {"new"}


# --- Holds ----------------------------------------------------------------------------------------


def test_alert_holds_what_its_rule_says_or_what_it_is_about():
    rule = AlertHold(match=('severity="page"',))
    assert held_by(alert("a"), (rule,)) == Subject(service="shop", environment="prod")
    assert held_by(alert("a", "ticket"), (rule,)) is None
    fixed = AlertHold(match=('severity="page"',), service="cart", environment="test")
    assert held_by(alert("a"), (fixed,)) == Subject(service="cart", environment="test")
    nowhere = alert("a", service="", environment="")
    assert held_by(nowhere, (rule,)) is None, "an alert about nothing does not hold everything"
