"""What every TraceStore must do.

The tests of a store subclass ``TraceSuite`` and provide the fixture ``opened``: it returns the store anew,
as a process that comes after the last one would have it.
"""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from andon.api.v1.spans import Edge, Span, SpanEvent, Tally
from andon.kernel.errors import Unavailable
from andon.ports.telemetry import Settled, TraceQuestion, TraceStore, TraceSummary

BEGAN_NS = 1_780_000_000 * 10**9
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS


def trace_id(number: int) -> str:
    """Return the id of a trace."""
    return f"{number + 1:032x}"


def make_span(
    trace: int, number: int = 0, *, at: float = 0, seconds: float = 0.1, **more: Any
) -> Span:
    """Return a span of a trace; the first has no parent, the others are its children.

    Args:
        trace: Number of the trace.
        number: Of the span.
        at: When it begins, in seconds.
        seconds: How long it takes.
        **more: Other fields.
    """
    start = BEGAN_NS + int(at * SECOND_NS)
    given: dict[str, Any] = {
        "service": "shop",
        "name": "GET /" if number == 0 else f"step {number}",
        "parent": "" if number == 0 else f"{trace * 1000 + 1:016x}",
        "kind": "server" if number == 0 else "internal",
    }
    return Span(
        trace=trace_id(trace),
        id=f"{trace * 1000 + number + 1:016x}",
        start_ns=start,
        end_ns=start + int(seconds * SECOND_NS),
        **(given | more),
    )


def asking(**more: Any) -> TraceQuestion:
    """Return a question about all the time there is."""
    return TraceQuestion(**({"start_ns": 0, "end_ns": 2**62} | more))


Open = Callable[..., TraceStore]


class TraceSuite:
    """The promises of a TraceStore."""

    def test_a_trace_is_read_as_it_was_told(self, opened: Open) -> None:
        store = opened()
        whole = make_span(
            1,
            1,
            status="error",
            kind="client",
            attributes={"http.route": "/ü", "n": "1"},
            events=(SpanEvent(BEGAN_NS, "exception", {"type": "E"}),),
            links=((trace_id(9), "0" * 15 + "1"),),
        )
        assert store.append([whole, make_span(1, 0), make_span(2, 0)]) == 3
        assert store.trace(trace_id(1)) == [make_span(1, 0), whole]

    def test_what_there_is_not_is_empty(self, opened: Open) -> None:
        store = opened()
        assert store.trace(trace_id(7)) == store.trace("no id at all") == []
        assert not store.search(asking())
        assert not store.edges(0, 2**62)
        assert not store.tallies()
        assert store.mark("runs") == ""

    def test_a_summary_tells_of_all_spans_of_a_trace_however_they_arrive(
        self, opened: Open
    ) -> None:
        store = opened()
        store.append([make_span(1, 1, at=1, seconds=3, service="cart", status="error")])
        store.append([make_span(1, 0, at=0.5, seconds=1)])
        assert store.search(asking()) == [
            TraceSummary(
                trace=trace_id(1),
                root="GET /",
                service="shop",
                start_ns=BEGAN_NS + SECOND_NS // 2,
                seconds=3.5,
                spans=2,
                failed=True,
            )
        ]

    def test_traces_are_found_by_what_they_have_newest_first(self, opened: Open) -> None:
        store = opened()
        store.append([make_span(n, 0, at=n) for n in range(10)])
        store.append([make_span(3, 1, at=3, service="cart", name="add", attributes={"sku": "7"})])
        store.append([make_span(4, 1, at=4, seconds=9, status="error")])

        def found(**more: Any) -> list[str]:
            return [one.trace for one in store.search(asking(**more))]

        assert found() == [trace_id(n) for n in reversed(range(10))]
        assert found(limit=2) == [trace_id(9), trace_id(8)]
        assert found(start_ns=BEGAN_NS + 2 * SECOND_NS, end_ns=BEGAN_NS + 4 * SECOND_NS) == [
            trace_id(3),
            trace_id(2),
        ]
        assert found(service="cart") == found(service="cart", name="add") == [trace_id(3)]
        assert found(service="shop", name="add") == found(name="nothing") == []
        assert found(failed=True) == found(min_seconds=8) == [trace_id(4)]
        assert found(attributes={"sku": "7"}) == [trace_id(3)]
        assert (
            found(attributes={"sku": "8"}) == found(service="shop", attributes={"sku": "7"}) == []
        )

    def test_what_is_received_is_readable_and_stays_only_if_that_is_decided(
        self, opened: Open
    ) -> None:
        store = opened()
        store.receive([make_span(n, k) for n in (1, 2) for k in (0, 1)], BEGAN_NS)
        assert len(store.trace(trace_id(1))) == 2
        assert store.search(asking()) == []
        assert store.ripe(BEGAN_NS).traces == {}
        ripe = store.ripe(BEGAN_NS + 1)
        assert {trace: len(one.spans) for trace, one in ripe.traces.items()} == {
            trace_id(1): 2,
            trace_id(2): 2,
        }
        kept = ripe.traces[trace_id(1)].spans
        store.settle(Settled(ripe=ripe, kept=kept, at_ns=BEGAN_NS))
        assert [one.trace for one in store.search(asking())] == [trace_id(1)]
        assert len(store.trace(trace_id(1))) == 2
        assert store.trace(trace_id(2)) == []
        assert store.ripe(2**62).traces == {}

    def test_spans_that_arrive_while_it_is_decided_are_decided_on_later(self, opened: Open) -> None:
        store = opened()
        store.receive([make_span(1, 0)], BEGAN_NS)
        ripe = store.ripe(BEGAN_NS + 1)
        store.receive([make_span(1, 1)], BEGAN_NS)
        store.settle(Settled(ripe=ripe, kept=ripe.traces[trace_id(1)].spans, at_ns=BEGAN_NS))
        late = store.ripe(BEGAN_NS + 1).traces[trace_id(1)]
        assert late.spans == (make_span(1, 1),)
        assert late.known == (make_span(1, 0),)

    def test_a_span_sent_twice_is_there_once(self, opened: Open) -> None:
        store = opened()
        store.receive([make_span(1, 0)], BEGAN_NS)
        store.receive([make_span(1, 0)], BEGAN_NS)
        ripe = store.ripe(2**62)
        assert ripe.traces[trace_id(1)].spans == (make_span(1, 0),)
        store.settle(Settled(ripe=ripe, kept=ripe.traces[trace_id(1)].spans, at_ns=BEGAN_NS))
        store.receive([make_span(1, 0)], BEGAN_NS)
        assert store.ripe(2**62).traces[trace_id(1)].spans == ()
        assert store.trace(trace_id(1)) == [make_span(1, 0)]

    def test_a_limit_leaves_the_rest_for_the_next_time(self, opened: Open) -> None:
        store = opened()
        for number in range(5):
            store.receive([make_span(number, 0)], BEGAN_NS)
        seen = []
        while ripe := store.ripe(2**62, limit=2).traces and store.ripe(2**62, limit=2):
            seen += list(ripe.traces)
            store.settle(Settled(ripe=ripe, at_ns=BEGAN_NS))
        assert seen == [trace_id(number) for number in range(5)]

    def test_counts_and_calls_are_kept_with_what_was_decided(self, opened: Open) -> None:
        store = opened()
        tally = Tally(
            service="shop",
            operation="GET /",
            ok=3,
            failed=1,
            seconds=0.5,
            buckets=(1, 4),
            last_ns=BEGAN_NS,
        )
        edge = Edge(caller="shop", callee="cart", calls=2, failed=1, seconds=0.25)
        for at in (BEGAN_NS, BEGAN_NS + SECOND_NS, BEGAN_NS + DAY_NS):
            ripe = store.ripe(0)
            store.settle(Settled(ripe=ripe, at_ns=at, tallies=(tally,), edges=(edge,)))
        assert store.tallies() == [tally]
        assert store.edges(BEGAN_NS, BEGAN_NS + 60 * SECOND_NS) == [
            Edge(caller="shop", callee="cart", calls=4, failed=2, seconds=0.5)
        ]
        assert store.edges(0, 2**62)[0].calls == 6
        assert store.edges(0, BEGAN_NS - 60 * SECOND_NS) == []

    def test_who_comes_later_finds_everything(self, opened: Open) -> None:
        store = opened()
        store.append([make_span(1, 0)], mark=("runs", "17"))
        store.receive([make_span(2, 0)], BEGAN_NS)
        again = opened()
        assert again.mark("runs") == "17"
        assert again.trace(trace_id(1)) == [make_span(1, 0)]
        assert list(again.ripe(2**62).traces) == [trace_id(2)]

    def test_what_is_old_is_forgotten(self, opened: Open) -> None:
        store = opened(keep_days=2)
        store.append([make_span(1, 0)])
        store.append([make_span(2, 0, at=86_400)])
        assert store.upkeep(BEGAN_NS + 2 * DAY_NS + SECOND_NS) == 1
        assert [one.trace for one in store.search(asking())] == [trace_id(2)]
        assert store.trace(trace_id(1)) == []

    def test_beyond_its_size_the_oldest_is_forgotten(self, opened: Open) -> None:
        store = opened(max_bytes=1 << 20)
        for number in range(40):
            noise = {f"k{k}": str(hash((number, k)) * 10**18) for k in range(20)}
            store.append([make_span(number * 1000 + n, 0, attributes=noise) for n in range(1000)])
        assert store.upkeep(BEGAN_NS + SECOND_NS) > 0
        found = store.search(asking(limit=10**6))
        assert 0 < len(found) < 40_000
        assert all(store.trace(one.trace) for one in found[:3])
        assert store.trace(trace_id(0)) == []

    def test_a_full_disk_is_unavailable_and_what_is_there_is_readable(
        self, opened: Open, full: Callable[[], None]
    ) -> None:
        store = opened()
        store.append([make_span(1, 0)])
        full()
        noise = {str(k): f"{hash((k, k))}" for k in range(2000)}
        many = [make_span(number, 0, attributes=noise) for number in range(2, 100)]
        with pytest.raises(Unavailable):
            store.receive(many, BEGAN_NS)
        assert store.trace(trace_id(1)) == [make_span(1, 0)]
        assert len(store.search(asking())) == 1
