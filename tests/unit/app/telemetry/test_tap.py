"""Lines are kept, then counted and passed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from andon.adapters.telemetry.logs import SqliteLogStore
from andon.adapters.telemetry.logs.asked import Asked
from andon.app.telemetry.line_counts import MOST_SPLIT, LineCounts
from andon.app.telemetry.tap import Tails, Tap
from andon.ports.telemetry import LogLine, Series
from andon.testing.log_suite import asked, line


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[Tap]:
    tap = Tap(SqliteLogStore(tmp_path / "logs.db"))
    yield tap
    tap.close()


def test_lines_are_counted_by_service_environment_and_severity(tap: Tap) -> None:
    counts = LineCounts([{"source": "otlp", "service": "bank", "environment": "dev"}])
    tap.listeners.append(counts)
    tap.append([line(1, "a", severity="error"), line(2, "b"), line(3, "c", severity="error")])
    # What the gateway says of a service is not said by the service.
    tap.append([line(4, "status 500", severity="error", labels={"source": "gateway"})])
    rows = {tuple(sorted(dict(labels).items())): value for labels, value in counts.rows()}

    def count(service: str, environment: str, severity: str) -> float:
        return rows[
            (
                ("__name__", "andon_log_lines_total"),
                ("environment", environment),
                ("service", service),
                ("severity", severity),
            )
        ]

    assert count("shop", "prod", "error") == 2
    assert count("shop", "prod", "unknown") == 1
    assert count("shop", "prod", "fatal") == 0
    assert count("bank", "dev", "error") == 0


def test_counters_go_on_where_an_earlier_process_was(tap: Tap) -> None:
    before = LineCounts()
    before([line(1, "a", severity="error"), line(2, "b", severity="error")])
    told = [Series(labels, np.array([1]), np.array([value])) for labels, value in before.rows()]
    after = LineCounts()
    after([line(3, "c", severity="error")])
    after.go_on(told)
    assert [value for labels, value in after.rows() if ("severity", "error") in labels] == [3]


def coded(code: object, **labels: str) -> LogLine:
    return line(1, json.dumps({"msg": "x", "error.code": str(code)}), severity="error", **labels)


def by_code(counts: LineCounts) -> dict[str, float]:
    rows = [(dict(labels), value) for labels, value in counts.rows()]
    return {
        labels.get("error_code", ""): value
        for labels, value in rows
        if labels["severity"] == "error" and labels["service"] == "shop"
    }


def test_lines_are_counted_by_what_somebody_asks_for_and_nothing_else() -> None:
    counts = LineCounts()
    counts([coded("E1")])
    assert by_code(counts) == {"": 1}
    counts.split({"shop": [{"severity": "error", "error_code": "E42"}, {}]})
    assert by_code(counts) == {"": 1, "E42": 0}, "nothing yet, and that is told"
    counts([coded("E42"), coded("E7"), line(2, "no code", severity="error")])
    assert by_code(counts) == {"": 2, "E42": 1, "E7": 0}, "what is new begins with nothing"
    assert by_code(counts) == {"": 2, "E42": 1, "E7": 1}


def test_counters_of_further_labels_go_on_after_a_restart() -> None:
    before, after = LineCounts(by=["error_code"]), LineCounts(by=["error_code"])
    before([coded("E1")])
    before.rows()
    told = [Series(labels, np.array([1]), np.array([value])) for labels, value in before.rows()]
    after([coded("E1")])
    after.go_on(told)
    assert by_code(after)["E1"] == 2


def test_values_beyond_what_is_bounded_are_others_and_the_sum_stays_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts = LineCounts()
    counts.split({"shop": [{"error_code": "E42"}]})
    for number in range(3 * MOST_SPLIT):
        counts([coded(number), coded("E42")])
    counts([coded("x" * 1000)])
    counts.rows()
    told = by_code(counts)
    assert told["E42"] == 3 * MOST_SPLIT, "what an Objective asks for is always counted"
    assert len(told) <= MOST_SPLIT + 3
    assert sum(told.values()) == 6 * MOST_SPLIT + 1
    assert len(caplog.messages) == 1
    assert "the rest counts as `other`" in caplog.text


def test_a_listener_that_fails_loses_no_line(tap: Tap) -> None:
    def fail(_: object) -> None:
        raise ValueError

    tap.listeners.append(fail)
    assert tap.append([line(1, "a")]) == 1
    assert [one.text for one in tap.search(asked()).lines] == ["a"]


async def test_who_looks_on_hears_what_they_want(tap: Tap) -> None:
    tails = Tails(tap)
    tap.listeners.append(tails)
    told = tails.follow(Asked(asked(severity="warn", text="card"), frozenset()))
    heard = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0)
    await asyncio.to_thread(
        tap.append,
        [
            line(1, "no card", severity="error"),
            line(2, "card", severity="info"),
            line(3, "CARD", severity="warn"),
            line(4, "else", severity="error"),
        ],
    )
    found = await heard
    assert [one.text for one in found] == ["no card", "CARD"]
    assert found[0].template == tap.search(asked(text="no card")).lines[0].template
    await told.aclose()
    assert not tails._tails


async def test_who_reads_too_slowly_misses_the_oldest(tap: Tap) -> None:
    tails = Tails(tap)
    tap.listeners.append(tails)
    told = tails.follow(Asked(asked(), frozenset()))
    heard = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0)
    tap.append([line(n, f"{n}") for n in range(2500)])
    found = await heard
    assert len(found) == 2000
    assert found[-1].text == "2499"
    await told.aclose()
