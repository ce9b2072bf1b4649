"""What people read of traces."""

from __future__ import annotations

from typing import Any

import click

from andon.cli.commands.traces import _draw, _tell, _tell_calls


def span(name: str, depth: int, offset: float, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "service": "shop",
        "depth": depth,
        "offsetSeconds": offset,
        "seconds": seconds,
        "status": "unset",
        "attributes": {},
        **more,
    }


def test_a_waterfall_stands_where_its_spans_were(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "79")
    failed = {"status": "error", "attributes": {"status.message": "no \x1b[2Jcard"}}
    spans = [span("GET /", 0, 0, 0.4), span("pay", 1, 0.2, 0.2, **failed)]
    trace = {"trace": "a" * 32, "startedAt": 1e9, "seconds": 0.4, "spans": spans}
    head, _, first, second, said = map(click.unstyle, _draw(trace))
    assert "400.0 ms" in head
    assert len(first) <= 79
    assert first.count("━") == 2 * second.count("━")
    assert second.index("━") == first.index("━") + second.count("━")
    assert said == "    ✗ no card"


def test_a_list_shows_strangers_words_as_words() -> None:
    row = {
        "trace": "a" * 32,
        "root": "GET \x1b]0;x\x07/",
        "service": "shop",
        "startedAt": 1e9,
        "seconds": 0.00042,
        "spans": 3,
        "failed": True,
    }
    told = click.unstyle(_tell([row])[1])
    assert "shop: GET /" in told
    assert "420 µs" in told
    assert told.endswith("failed")


def test_calls_from_outside_are_named() -> None:
    call = {"caller": "", "callee": "shop", "calls": 2000, "failed": 5, "meanSeconds": 0.02}
    told = click.unstyle(_tell_calls({"calls": [call]})[1])
    assert told.split() == ["(outside)", "shop", "2,000", "0.25%", "20.0", "ms"]
