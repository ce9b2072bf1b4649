from __future__ import annotations

import pytest

from andon.api.v1.spans import BOUNDS_SECONDS, Edge, Span
from andon.domains.observability.spans import (
    MOST_OPERATIONS,
    OTHER,
    Sampling,
    calls,
    count,
    is_sampled,
    waterfall,
    why_kept,
)

RULE = Sampling(ratio=0.1, slow_seconds=1)
SECOND = 10**9


def span(id: str = "a", parent: str = "", **more) -> Span:
    given = {"trace": "0" * 32, "start_ns": 0, "end_ns": SECOND // 10, "service": "shop"} | more
    return Span(id=id, parent=parent, **given)


def trace(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def test_failed_and_slow_traces_stay_whatever_the_share() -> None:
    never = Sampling(ratio=0, slow_seconds=1)
    assert why_kept([span(), span("b", "a", status="error")], [], never) == "error"
    assert why_kept([span(), span("b", "a", end_ns=SECOND)], [], never) == "slow"
    assert why_kept([span()], [span("b")], never) == "known"
    assert why_kept([span()], [], never) == ""


def test_the_share_of_the_rest_is_that_of_the_rule_and_every_time_the_same() -> None:
    kept = [number for number in range(20_000) if is_sampled(trace(number), 0.1)]
    assert 1800 < len(kept) < 2200
    assert all(is_sampled(trace(number), 0.2) for number in kept), "a greater share keeps them too"
    assert all(why_kept([span(trace=trace(n))], [], RULE) == "sampled" for n in kept[:50])


def test_requests_are_counted_and_what_happens_within_is_not() -> None:
    spans = [
        span("a", kind="server", name="GET /", end_ns=20_000_000),
        span("b", "x", kind="server", name="GET /", status="error", end_ns=SECOND),
        span("c", "a", name="render"),
        span("d", "a", kind="client", name="call"),
        span("e", kind="client", name="alone"),
    ]
    found = count(spans, {})
    (tally,) = found.values()
    assert (tally.service, tally.operation, tally.ok, tally.failed) == ("shop", "GET /", 1, 1)
    assert tally.seconds == pytest.approx(1.02)
    assert tally.buckets == tuple((bound >= 0.02) + (bound >= 1) for bound in BOUNDS_SECONDS)
    again = count(spans, found)
    assert again["", "shop", "GET /"].ok == 2
    assert found["", "shop", "GET /"].ok == 1


def test_of_too_many_operations_the_rest_is_one() -> None:
    found = count([span(name=f"GET /{n}") for n in range(MOST_OPERATIONS + 7)], {})
    assert len(found) == MOST_OPERATIONS + 1
    assert found["", "shop", OTHER].ok == 7
    known = count([span(name="GET /3"), span(name="new")], found)
    assert set(known) == {("", "shop", "GET /3"), ("", "shop", OTHER)}


def test_calls_lead_from_whom_asks_to_whom_answers() -> None:
    spans = [
        span("a", "of the gateway", kind="server"),
        span("b", "a", kind="client"),
        span("c", "b", kind="server", service="cart", status="error"),
        span("d", "c", service="cart"),
        span("e", "d", kind="client", service="cart", attributes={"db.system": "postgresql"}),
    ]
    edges = {(one.caller, one.callee): one for one in calls([(spans, [])])}
    assert set(edges) == {("", "shop"), ("shop", "cart"), ("cart", "postgresql")}
    assert edges["shop", "cart"].failed == 1


def test_a_late_span_finds_its_caller_among_those_counted_before() -> None:
    late = span("c", "b", kind="server", service="cart")
    known = [span("a", kind="server"), span("b", "a", kind="client")]
    assert [(one.caller, one.callee) for one in calls([([late], known)])] == [("shop", "cart")]
    assert calls([([], known)]) == list[Edge]()


def test_a_waterfall_draws_each_span_once_below_its_parent() -> None:
    spans = [
        span("c", "b", start_ns=3, end_ns=4),
        span("b", "a", start_ns=2, end_ns=5),
        span("a", start_ns=0, end_ns=10),
        span("d", "a", start_ns=1, end_ns=3),
        span("e", "nobody", start_ns=6, end_ns=7),
    ]
    bars = waterfall(spans)
    assert [(bar.span.id, bar.depth) for bar in bars] == [
        ("a", 0),
        ("d", 1),
        ("b", 1),
        ("c", 2),
        ("e", 0),
    ]
    assert [bar.orphan for bar in bars] == [False] * 4 + [True]
    assert [round(bar.self_seconds * SECOND) for bar in bars] == [6, 2, 2, 1, 1]


def test_spans_that_are_their_own_ancestors_are_drawn_nonetheless() -> None:
    circle = [span("a", "b", start_ns=1), span("b", "a", start_ns=2), span("c", "c", start_ns=3)]
    assert sorted(bar.span.id for bar in waterfall(circle)) == ["a", "b", "c"]
    assert waterfall([]) == []


def test_a_chain_of_very_many_spans_is_no_trouble() -> None:
    chain = [span(str(n), str(n - 1) if n else "", start_ns=n) for n in range(5000)]
    assert waterfall(chain)[-1].depth == 4999


def through_the_gateway(id: str, to: str, parent: str = "") -> Span:
    return span(id, parent, service="gateway", kind="client", attributes={"peer.service": to})


def test_services_that_tell_nothing_are_called_as_the_gateway_saw_it() -> None:
    spans = [
        through_the_gateway("a", "storefront"),
        through_the_gateway("b", "catalogue", "a"),
        through_the_gateway("c", "stock", "a"),
    ]
    assert {(one.caller, one.callee) for one in calls([(spans, [])])} == {
        ("gateway", "storefront"),
        ("storefront", "catalogue"),
        ("storefront", "stock"),
    }
    assert count(spans, {}) == {}, "the gateway has counts of its own"


def test_a_call_through_the_gateway_that_is_told_counts_once() -> None:
    spans = [
        through_the_gateway("a", "shop"),
        span("s", "a", kind="server", service="shop"),
        span("c", "s", kind="client", service="shop"),
        through_the_gateway("g", "cart", "c"),
        span("t", "c", kind="server", service="cart"),
    ]
    assert [(one.caller, one.callee, one.calls) for one in calls([(spans, [])])] == [
        ("gateway", "shop", 1),
        ("shop", "cart", 1),
    ]
