"""Lengths of time as objectives have them, and windows that follow a calendar.

Days and longer units of a calendar are counted on the clock of their time zone, so that a window that
begins at midnight ends at midnight, whether or not an hour was put forward in between.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta, tzinfo

_LENGTH = re.compile(r"([0-9]+)([mhdwMQY])")
_SECONDS = {
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "M": 30 * 86_400,
    "Q": 90 * 86_400,
    "Y": 365 * 86_400,
}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"d": 1, "w": 7}
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def parse_length(text: str) -> tuple[int, str]:
    """Read a length such as ``30d`` into a number and its unit.

    Raises:
        ValueError: It is none, or nothing long.

    >>> parse_length("4w")
    (4, 'w')
    """
    read = _LENGTH.fullmatch(text)
    if read is None or not 1 <= int(read[1]) <= 1_000_000:
        raise ValueError(f"{text!r} is no length of time such as 30d, 4w or 1M")
    return int(read[1]), read[2]


def length_seconds(text: str) -> float:
    """Return how long that is; a month counts 30 days, a quarter 90, a year 365.

    >>> length_seconds("1h"), length_seconds("1M") / 86400
    (3600.0, 30.0)
    """
    number, unit = parse_length(text)
    return float(number * _SECONDS[unit])


def parse_moment(text: str, zone: tzinfo) -> float:
    """Read a day or a moment of a time zone into seconds since the Unix epoch.

    Raises:
        ValueError: There is no such day or time.

    >>> from datetime import UTC
    >>> parse_moment("2026-01-01 12:00:00", UTC)
    1767268800.0
    """
    read = datetime.fromisoformat(text)
    if not _FIRST_YEAR <= read.year <= _LAST_YEAR:
        raise ValueError(f"the year {read.year} is out of reach")
    return (read if read.tzinfo else read.replace(tzinfo=zone)).timestamp()


def calendar_window(text: str, start: str, zone: tzinfo, now: float) -> tuple[float, float]:
    """Return the window of the calendar that a moment lies in.

    Args:
        text: Its length, such as ``1M``.
        start: A moment at which one of the windows begins.
        zone: Whose clock is meant.
        now: Seconds since the Unix epoch.

    Returns:
        Its first moment and the first after it, seconds since the Unix epoch.

    >>> from datetime import UTC
    >>> begin, end = calendar_window("1d", "2026-01-01", UTC, 1767268800.0)
    >>> (1767268800.0 - begin) / 3600, (end - begin) / 3600
    (12.0, 24.0)
    """
    number, unit = parse_length(text)
    first = datetime.fromisoformat(start).replace(tzinfo=None)
    if unit in "mh":
        return _even_window(parse_moment(start, zone), number * _SECONDS[unit], now)
    count = _guess(first, number, unit, datetime.fromtimestamp(now, zone))
    while _edge(first, count, number, unit, zone) > now:
        count -= 1
    while _edge(first, count + 1, number, unit, zone) <= now:
        count += 1
    return (
        _edge(first, count, number, unit, zone),
        _edge(first, count + 1, number, unit, zone),
    )


def _even_window(begin: float, seconds: float, now: float) -> tuple[float, float]:
    count = (now - begin) // seconds
    return begin + count * seconds, begin + (count + 1) * seconds


def _guess(first: datetime, number: int, unit: str, now: datetime) -> int:
    """Return the window's number, or one beside it."""
    if unit in _MONTHS:
        months = (now.year - first.year) * 12 + now.month - first.month
        return months // (number * _MONTHS[unit])
    return (now.replace(tzinfo=None) - first).days // (number * _DAYS[unit])


def _edge(first: datetime, count: int, number: int, unit: str, zone: tzinfo) -> float:
    """Return when the window of that number begins."""
    if unit in _DAYS:
        local = first + timedelta(days=count * number * _DAYS[unit])
    else:
        local = _plus_months(first, count * number * _MONTHS[unit])
    return local.replace(tzinfo=zone).timestamp()


def _plus_months(first: datetime, months: int) -> datetime:
    """Go on by months; from the 31st to the last day of a shorter one."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    year = min(max(year, _FIRST_YEAR), _LAST_YEAR)
    day = min(first.day, calendar.monthrange(year, month + 1)[1])
    return first.replace(year=year, month=month + 1, day=day)
