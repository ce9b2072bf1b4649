"""Windows of the calendar begin and end by the clock of their time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from andon.kernel.cron import time_zone
from andon.kernel.periods import calendar_window, length_seconds, parse_length, parse_moment

BERLIN = time_zone("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "hours"), [("2026-03-29 12:00", 23), ("2026-10-25 12:00", 25), ("2026-07-01 12:00", 24)]
)
def test_a_day_is_as_long_as_its_time_zone_makes_it(now: str, hours: float):
    begin, end = calendar_window("1d", "2025-01-01", BERLIN, at(now))
    assert begin <= at(now) < end
    assert (end - begin) / 3600 == hours
    local = [datetime.fromtimestamp(edge, BERLIN).hour for edge in (begin, end)]
    assert local == [0, 0]


@pytest.mark.parametrize(
    ("length", "begin", "end"),
    [
        ("1M", "2026-02-28", "2026-03-31"),
        ("1Q", "2026-01-31", "2026-04-30"),
        ("1Y", "2026-01-31", "2027-01-31"),
    ],
)
def test_months_end_with_their_last_day(length: str, begin: str, end: str):
    found = calendar_window(length, "2025-01-31", UTC, at("2026-03-15"))
    assert found == (at(begin), at(end))


def test_weeks_begin_where_they_were_told_to():
    begin, end = calendar_window("1w", "2022-01-01 12:00:00", BERLIN, at("2026-01-03 10:59"))
    assert (end - begin) / 86400 == 7
    assert end == at("2026-01-03 11:00")


def test_hours_are_the_same_everywhere():
    begin, end = calendar_window("6h", "2026-01-01", BERLIN, at("2026-03-29 02:00"))
    assert (end - begin) / 3600 == 6


def test_windows_before_the_start_are_windows_too():
    begin, end = calendar_window("1d", "2030-01-01", UTC, at("2026-01-01 05:00"))
    assert (begin, end) == (at("2026-01-01"), at("2026-01-02"))


@pytest.mark.parametrize("text", ["", "5", "0d", "1x", "-1d", "1d1h", "9999999999d"])
def test_what_is_no_length_is_refused(text: str):
    with pytest.raises(ValueError, match="no length of time"):
        parse_length(text)


def test_a_month_counts_thirty_days_where_nothing_says_which():
    assert length_seconds("2M") == 60 * 86400


@pytest.mark.parametrize("text", ["2026-02-30", "9999-12-31", "1900-01-01", "soon"])
def test_what_is_no_moment_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        parse_moment(text, UTC)
