"""Counters are cumulative: any window is two look-ups, and thinning loses no event."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from andon.adapters.telemetry.tallies import DAY_MS, HOUR_MS, Counter, Moment, Tallies

START = 1_700_000_000_000 // HOUR_MS * HOUR_MS


@pytest.fixture
def tallies(tmp_path: Path):
    tallies = Tallies(tmp_path / "objectives.db")
    yield tallies
    tallies.close()


def grown(tallies: Tallies, days: int, step_ms: int = 300_000) -> Counter:
    """Count an event every second for some days."""
    counter = tallies.begin([("key", START)])["key"]
    rows = []
    for at in range(START + step_ms, START + days * DAY_MS + 1, step_ms):
        seconds = (at - START) / 1000
        rows.append(replace(counter, last_ms=at, heard_ms=at, total=seconds, covered=seconds))
    tallies.advance(rows)
    return tallies.counters()["key"]


def test_a_window_is_the_difference_of_two_rows(tallies: Tallies):
    counter = grown(tallies, 1)
    with tallies.looking() as lookup:
        found = lookup.between(counter, START + HOUR_MS, START + 3 * HOUR_MS)
    assert found == (0, 7200, 7200)


def test_before_the_beginning_there_is_nothing(tallies: Tallies):
    counter = grown(tallies, 1)
    with tallies.looking() as lookup:
        found = lookup.between(counter, START - DAY_MS, START + HOUR_MS)
    assert found == (0, 3600, 3600)


def test_thinning_keeps_all_counts_and_most_of_the_disk(tallies: Tallies):
    counter = grown(tallies, 40)
    now = START + 40 * DAY_MS
    before, after = _rows(tallies), 0
    with tallies.looking() as lookup:
        whole = lookup.between(counter, START, now)
        day = lookup.between(counter, START + DAY_MS, START + 2 * DAY_MS)
    tallies.thin(now)
    after = _rows(tallies)
    with tallies.looking() as lookup:
        assert lookup.between(counter, START, now) == whole
        assert lookup.between(counter, START + DAY_MS, START + 2 * DAY_MS) == day
    assert after < before
    tallies.thin(now)
    assert _rows(tallies) == after


def test_what_is_too_old_is_forgotten(tallies: Tallies):
    counter = grown(tallies, 3)
    tallies.remember([("a", Moment(START, "met", 1.0, 0.0))])
    tallies.thin(START + 500 * DAY_MS)
    assert _rows(tallies) == 0
    assert tallies.history("a", 0, START) == []
    with tallies.looking() as lookup:
        assert lookup.between(counter, START, START + 3 * DAY_MS)[1] == 3 * 86_400


def test_a_counter_begins_once(tallies: Tallies):
    first = tallies.begin([("key", START)])["key"]
    assert tallies.begin([("key", START + 5)])["key"] == first


def _rows(tallies: Tallies) -> int:
    with tallies._db.read() as db:
        return int(db.execute("SELECT count(*) FROM tally").fetchone()[0])
