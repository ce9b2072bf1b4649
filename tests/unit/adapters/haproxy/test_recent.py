from __future__ import annotations

from typing import Any

import pytest

from andon.adapters.haproxy.counters import Line
from andon.adapters.haproxy.recent import MOST_FAILED, MOST_OTHERS, Recent
from andon.domains.observability.own import gateway_span


def line(**more: Any) -> Line:
    given = {
        "b": "prod.shop.v1",
        "s": 200,
        "t": 25,
        "c": "1",
        "i": "a" * 32,
        "e": "--",
        "p": 1,
        "d": 1_780_000_000_025,
        "x": "b" * 16,
        "y": "1",
    }
    return Line(**(given | more))


def test_each_request_is_told_once_from_where_somebody_began_to_listen() -> None:
    recent = Recent()
    recent.add(line())
    begun = recent.since("", 0)
    assert begun.requests == ()
    recent.add(line(s=503))
    recent.add(line(t=7))
    seen = recent.since(begun.source, begun.upto)
    assert [(one.status, one.failed, one.duration_ms) for one in seen.requests] == [
        (503, True, 25),
        (200, False, 7),
    ]
    assert recent.since(seen.source, seen.upto).requests == ()
    assert Recent().since(seen.source, seen.upto).requests == (), "another agent counts anew"


def test_of_very_many_the_failed_ones_stay_longest() -> None:
    recent = Recent()
    begun = recent.since("", 0)
    recent.add(line(s=500))
    for _ in range(MOST_OTHERS + 10):
        recent.add(line())
    seen = recent.since(begun.source, begun.upto).requests
    assert len(seen) == MOST_OTHERS + 1 <= MOST_FAILED + MOST_OTHERS
    assert seen[0].failed


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (b"/orders/4711/items", "/orders/4711/items"),
        (b"/users/ann%40example.com", "/users/*"),
        (b'/a"},{"b":"\xff\n', '/a"},{"b":"??'),
        (b"/" + b"x" * 160, "/*"),
    ],
)
def test_path_is_told_without_who_asked(asked: bytes, told: str) -> None:
    recent = Recent()
    begun = recent.since("", 0)
    recent.add(line(u=asked.hex().upper()))
    (one,) = recent.since(begun.source, begun.upto).requests
    assert one.path == told
    assert gateway_span(one, "s").attributes["url.path"] == told


@pytest.mark.parametrize("odd", ["", "-", "xyz", "abc"])
def test_line_without_a_path_is_a_request_all_the_same(odd: str) -> None:
    recent = Recent()
    begun = recent.since("", 0)
    recent.add(line(u=odd))
    (one,) = recent.since(begun.source, begun.upto).requests
    assert one.path == ""


def test_lines_without_a_version_or_an_id_are_no_requests() -> None:
    recent = Recent()
    begun = recent.since("", 0)
    for odd in ({"b": "nowhere"}, {"i": "-"}, {"x": ""}):
        recent.add(line(**odd))
    assert recent.since(begun.source, begun.upto).requests == ()


def test_a_span_stands_where_the_traceparent_says() -> None:
    recent = Recent()
    begun = recent.since("", 0)
    recent.add(line())
    recent.add(line(y="0", s=502))
    outer, inner = (
        gateway_span(one, begun.source) for one in recent.since(begun.source, 0).requests
    )
    assert (outer.id, outer.parent, outer.status) == ("b" * 16, "", "unset")
    assert (inner.parent, inner.status) == (outer.id, "error")
    assert inner.id != outer.id
    assert (outer.start_ns, outer.seconds) == (1_780_000_000_000_000_000, 0.025)
    assert outer.attributes["deployment.environment.name"] == "prod"
