"""Cron over zones and years: nothing fires early, twice or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from andon.calc.cron import last_time, next_time
from andon.kernel.cron import parse_cron, time_zone

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Asia/Gaza",
    "America/St_Johns",
]
BEGIN, END = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1975, 2035))

moments = st.floats(BEGIN, END).map(lambda second: round(second, 3))
zones = st.sampled_from(ZONES)
minutes = st.sampled_from(["0", "30", "*/15", "5,55", "59"])
fixed_hours = st.sampled_from(["0", "1", "2", "3", "23", "1-3", "*/2", "0,2,12"])
days = st.sampled_from([("*", "*"), ("1", "*"), ("*", "sun"), ("13", "fri"), ("31", "*")])


@st.composite
def expressions(draw, hours=fixed_hours):
    day, weekday = draw(days)
    return f"{draw(minutes)} {draw(hours)} {day} * {weekday}"


def wall(moment: float, zone: str) -> datetime:
    return datetime.fromtimestamp(moment, time_zone(zone))


def fits(expression: str, shown: datetime) -> bool:
    cron = parse_cron(expression)
    of_month = shown.day in cron.days
    of_week = shown.isoweekday() % 7 in cron.weekdays
    today = of_month or of_week if cron.either_day else of_month and of_week
    return today and shown.hour in cron.hours and shown.minute in cron.minutes


@settings(deadline=None, max_examples=60)
@given(expressions(), zones, moments)
def test_it_fires_later_and_on_a_slot_or_where_a_gap_ends(expression, zone, after):
    moment = next_time(expression, zone, after)
    assert moment > after
    before = wall(moment - 1, zone)
    gap = wall(moment, zone).replace(tzinfo=None) - before.replace(tzinfo=None)
    assert fits(expression, wall(moment, zone)) or gap > timedelta(seconds=1)


@settings(deadline=None, max_examples=25)
@given(expressions(st.one_of(fixed_hours, st.just("*"))), zones, moments)
def test_no_slot_between_is_left_out(expression, zone, after):
    """Every minute before the next firing either is no slot, or is the second pass of one."""
    moment = next_time(expression, zone, after)
    minute = (int(after) // 60 + 1) * 60
    while minute < min(moment, after + 3 * 86400):
        shown = wall(minute, zone)
        repeated = shown.fold == 1 and not parse_cron(expression).every_hour
        assert not fits(expression, shown) or repeated
        minute += 60


@settings(deadline=None, max_examples=60)
@given(expressions(), zones, moments)
def test_a_wall_time_never_fires_twice(expression, zone, after):
    seen = set()
    for _ in range(12):
        after = next_time(expression, zone, after)
        shown = wall(after, zone).replace(tzinfo=None, fold=0)
        assert shown not in seen
        seen.add(shown)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["0", "30", "5"]), zones, moments)
def test_every_hour_is_never_further_away_than_an_hour_and_a_half(minute, zone, after):
    # An hour, unless the clock is changed by half an hour or the slot's minute moves with the zone.
    moment = next_time(f"{minute} * * * *", zone, after)
    assert moment - after <= 5400 or zone == "Pacific/Apia"


@settings(deadline=None, max_examples=40)
@given(expressions(st.one_of(fixed_hours, st.just("*"))), zones, moments)
def test_the_last_time_is_the_next_time_seen_from_behind(expression, zone, after):
    moment = next_time(expression, zone, after)
    assert last_time(expression, zone, moment, after) == moment
    assert last_time(expression, zone, moment - 0.001, after) is None
