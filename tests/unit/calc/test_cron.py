from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from andon.calc.cron import last_time, next_time
from andon.kernel.cron import time_zone


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    wall = datetime.fromisoformat(text).replace(tzinfo=time_zone(zone), fold=fold)
    return wall.timestamp()


def firings(expression: str, zone: str, begin: str, end: str) -> list[str]:
    """Tell when it fires, as the clocks of UTC show it."""
    moment, last, told = at(begin), at(end), []
    while (moment := next_time(expression, zone, moment)) <= last:
        told.append(datetime.fromtimestamp(moment, UTC).strftime("%d %H:%M"))
    return told


BERLIN = "Europe/Berlin"


def test_a_time_of_day_is_the_zones() -> None:
    assert next_time("0 3 * * *", BERLIN, at("2026-01-10T00:00")) == at("2026-01-10T02:00")
    assert next_time("0 3 * * *", BERLIN, at("2026-07-10T00:00")) == at("2026-07-10T01:00")
    assert next_time("0 3 * * *", "Asia/Kolkata", at("2026-07-10T00:00")) == at("2026-07-10T21:30")


def test_the_moment_itself_is_over() -> None:
    assert next_time("@hourly", "UTC", at("2026-01-10T05:00")) == at("2026-01-10T06:00")
    assert next_time("@hourly", "UTC", at("2026-01-10T05:00") - 0.001) == at("2026-01-10T05:00")


def test_a_time_that_is_leapt_over_fires_once_when_the_gap_ends() -> None:
    told = firings("*/20 2 * * *", BERLIN, "2026-03-28T00:00", "2026-03-30T12:00")
    assert told == [
        "28 01:00",
        "28 01:20",
        "28 01:40",
        "29 01:00",
        "30 00:00",
        "30 00:20",
        "30 00:40",
    ]


def test_a_time_that_comes_twice_fires_at_the_first() -> None:
    told = firings("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-26T12:00")
    assert told == ["25 00:30", "26 01:30"]


def test_every_hour_keeps_its_rhythm_over_both_changes() -> None:
    spring = firings("30 * * * *", BERLIN, "2026-03-28T23:00", "2026-03-29T03:00")
    autumn = firings("30 * * * *", BERLIN, "2026-10-24T23:00", "2026-10-25T03:00")
    assert spring == ["28 23:30", "29 00:30", "29 01:30", "29 02:30"]
    assert autumn == ["24 23:30", "25 00:30", "25 01:30", "25 02:30"]


def test_every_second_hour_neither_loses_nor_repeats_a_slot() -> None:
    spring = firings("0 */2 * * *", BERLIN, "2026-03-28T22:30", "2026-03-29T04:30")
    autumn = firings("0 */2 * * *", BERLIN, "2026-10-24T21:30", "2026-10-25T05:30")
    assert spring == ["28 23:00", "29 01:00", "29 02:00", "29 04:00"]
    assert autumn == ["24 22:00", "25 00:00", "25 03:00", "25 05:00"]


def test_a_gap_of_half_an_hour() -> None:
    told = firings("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T18:00", "2026-10-05T00:00")
    assert told == ["03 15:30", "04 15:15"]


def test_a_whole_day_that_was_leapt_over() -> None:
    told = firings("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00", "2012-12-31T00:00")
    assert told == ["30 10:00", "29 19:00"]


def test_either_restricted_day_is_enough() -> None:
    told = firings("0 0 13 * fri", "UTC", "2026-02-01T00:00", "2026-02-28T00:00")
    assert told == ["06 00:00", "13 00:00", "20 00:00", "27 00:00"]
    told = firings("0 0 13 * *", "UTC", "2026-02-01T00:00", "2026-03-28T00:00")
    assert told == ["13 00:00", "13 00:00"]


@pytest.mark.parametrize(
    ("after", "year"), [("2026-01-01T00:00", 2028), ("2096-03-01T00:00", 2104)]
)
def test_a_leap_day_is_waited_for(after, year) -> None:
    assert next_time("0 0 29 2 *", "UTC", at(after)) == at(f"{year}-02-29T00:00")


def test_the_last_time_is_found_over_a_long_pause() -> None:
    now = at("2026-06-15T12:34")
    assert last_time("* * * * *", BERLIN, now, 0) == at("2026-06-15T12:34")
    assert last_time("0 3 1 1 *", BERLIN, now, 0) == at("2026-01-01T02:00")
    assert last_time("0 3 1 1 *", BERLIN, now, at("2026-01-01T02:00")) is None


def test_firings_of_a_year_are_all_different() -> None:
    moment, moments = at("2026-01-01T00:00"), []
    while moment < at("2027-01-01T00:00"):
        moment = next_time("30 1-3 * * *", "America/New_York", moment)
        moments.append(moment)
    assert all(later > earlier for earlier, later in pairwise(moments))
    assert len(moments) == 3 * 365 + 1
