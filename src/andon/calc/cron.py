"""When a cron expression fires, in a time zone with its changes of the clock.

A *slot* is a wall-clock minute that the expression names. Where the clock changes:

- An expression with fixed hours (``0 3 * * *``) means a time of day. A slot that the clock leaps over
  fires once, at the moment the gap ends: the work of that night is done, and no earlier than asked.
  All slots of one gap are that one moment. A slot whose wall time comes twice fires at the first.
- An expression for every hour (``*/15 * * * *``) means a rhythm. It fires whenever the wall clock
  shows a slot: in both passes of an hour that comes twice, and not in one that is leapt over, so that
  the time between two firings stays what it was.

Vixie cron does the same (it calls the two kinds fixed-time and wildcard jobs); what differs is that
``*/2`` counts as fixed hours here, so that no slot of it fires twice or is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from andon.kernel.cron import Cron, parse_cron, time_zone

_DAY = timedelta(days=1)
_LONGEST_WAIT_DAYS = 366 * 41
"""A 29 February on a given weekday comes within 40 years, even over a century without a leap day."""


def next_time(expression: str, zone: str, after_seconds: float) -> float:
    """Return the first moment after another at which an expression fires.

    Args:
        expression: Five fields, or a name such as ``@daily``.
        zone: IANA time zone.
        after_seconds: Seconds since the Unix epoch; the answer is later than this.

    Raises:
        ValueError: No such expression or zone.

    >>> one_o_clock_before_a_gap = 1_774_742_400.0
    >>> next_time("30 2 * * *", "Europe/Berlin", one_o_clock_before_a_gap) - one_o_clock_before_a_gap
    3600.0
    """
    cron, where = parse_cron(expression), time_zone(zone)
    first = _day_of(after_seconds, where) - _DAY
    for number in range(_LONGEST_WAIT_DAYS):
        day = first + number * _DAY
        if _fits(cron, day):
            later = [moment for moment in _moments(cron, where, day) if moment > after_seconds]
            if later:
                return min(later)
    raise AssertionError(f"{expression} never fires")


def last_time(
    expression: str, zone: str, until_seconds: float, after_seconds: float
) -> float | None:
    """Return the last moment at which an expression fired within (after, until]; None if it did not.

    Args:
        expression: Five fields, or a name such as ``@daily``.
        zone: IANA time zone.
        until_seconds: End of the time looked at.
        after_seconds: Its beginning, which does not belong to it.

    Raises:
        ValueError: No such expression or zone.

    >>> last_time("@hourly", "UTC", 7300.0, 0.0), last_time("@hourly", "UTC", 7300.0, 7200.0)
    (7200.0, None)
    """
    cron, where = parse_cron(expression), time_zone(zone)
    day, first = _day_of(until_seconds, where) + _DAY, _day_of(after_seconds, where) - _DAY
    while day >= first:
        if _fits(cron, day):
            moments = _moments(cron, where, day)
            passed = [moment for moment in moments if after_seconds < moment <= until_seconds]
            if passed:
                return max(passed)
        day -= _DAY
    return None


def _day_of(seconds: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(seconds, zone).date()


def _fits(cron: Cron, day: date) -> bool:
    if day.month not in cron.months:
        return False
    of_month, of_week = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    return of_month or of_week if cron.either_day else of_month and of_week


def _moments(cron: Cron, zone: tzinfo, day: date) -> Iterator[float]:
    """Yield the moments of a day's slots."""
    for hour in cron.hours:
        for minute in cron.minutes:
            wall = datetime.combine(day, time(hour, minute), zone)
            yield from _both(wall) if cron.every_hour else (_once(wall),)


def _exists(wall: datetime) -> bool:
    """Say whether the clock of its zone ever shows a wall time (in this of two passes)."""
    back = wall.astimezone(UTC).astimezone(wall.tzinfo)
    return back.replace(tzinfo=None) == wall.replace(tzinfo=None)


def _both(wall: datetime) -> Iterator[float]:
    """Yield every moment at which the clock shows a wall time: none, one or two."""
    if not _exists(wall):
        return
    first, second = wall.timestamp(), wall.replace(fold=1).timestamp()
    yield first
    if second != first:
        yield second


def _once(wall: datetime) -> float:
    """Return the first moment at which the clock shows a wall time, or has leapt over it."""
    return wall.timestamp() if _exists(wall) else _end_of_gap(wall)


def _end_of_gap(wall: datetime) -> float:
    """Return the moment at which the clock leaps over a wall time.

    Read with the offset before the gap, the wall time lies after the leap; read with the offset after
    it (``fold=1``), before.
    """
    before, after = int(wall.replace(fold=1).timestamp()), int(wall.timestamp())
    offset = datetime.fromtimestamp(before, wall.tzinfo).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, wall.tzinfo).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return float(after)
