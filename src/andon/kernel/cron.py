"""Cron expressions and time zones as people write them; ``andon.calc.cron`` says when they fire."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo

from msgspec import Struct

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


class Cron(Struct, frozen=True, kw_only=True):
    """A parsed expression: the values each field allows.

    Args:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: Of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 0 (Sunday) to 6.
        either_day: Both day fields are restricted: a day that fits one of them is enough.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @property
    def every_hour(self) -> bool:
        """Whether all hours fit: such an expression keeps a rhythm instead of a time of day."""
        return len(self.hours) == 24


class _Field(Struct, frozen=True):
    title: str
    low: int
    high: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


def parse_cron(text: str) -> Cron:
    """Read a cron expression: five fields or a name such as ``@daily``.

    A field is ``*`` or a list of numbers, names (``jan``, ``mon``) and ranges, each with a step if
    wanted. When both day fields are restricted (neither starts with ``*``), a day that fits one of
    them is enough.

    Source: crontab(5) of Vixie cron.

    Raises:
        ValueError: It is not one, or it never fires.

    >>> sorted(parse_cron("*/20 3 * * mon-fri").minutes)
    [0, 20, 40]
    """
    written = _MACROS.get(text.strip().lower(), text).split()
    if len(written) != len(_FIELDS):
        raise ValueError(_wrong_count(text, len(written)))
    minutes, hours, days, months, weekdays = (
        _read_field(part, field) for part, field in zip(written, _FIELDS, strict=True)
    )
    either_day = not written[2].startswith("*") and not written[4].startswith("*")
    if not either_day and not _has_day(days, months):
        raise ValueError(f"{text!r} never fires: no such month has a day {min(days)}")
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=either_day,
    )


def _wrong_count(text: str, count: int) -> str:
    if text.strip().startswith("@"):
        return f"{text!r} is none of {', '.join(sorted(_MACROS))}"
    return (
        f"{text!r} has {count} fields; expected five: minute, hour, day of the month, month, "
        "day of the week"
    )


def _has_day(days: frozenset[int], months: frozenset[int]) -> bool:
    return any(min(days) <= _LONGEST_MONTHS[month - 1] for month in months)


def _read_field(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _read_part(part, field))


def _read_part(text: str, field: _Field) -> range:
    read = _PART.fullmatch(text)
    if read is None:
        raise ValueError(f"{text!r} is no {field.title}; {_known(field)}")
    star, first, last, step = read.groups()
    if step is not None and not (star or last):
        raise ValueError(
            f"{text!r} has a step but no range; write {first}-{field.high}/{step} or */{step}"
        )
    if step is not None and int(step) == 0:
        raise ValueError(f"{text!r} steps by nothing; a step is at least 1")
    low, high = _bounds(star, first, last, field)
    if low > high:
        raise ValueError(f"{text!r} ends before it begins; write two ranges: {_split(text, field)}")
    return range(low, high + 1, int(step or 1))


def _bounds(star: str | None, first: str, last: str | None, field: _Field) -> tuple[int, int]:
    if star:
        return field.low, field.high
    low = _number(first, field)
    if last is None:
        return low, low
    high = _number(last, field)
    if high == 0 and field.names is _WEEKDAYS:
        high = 7  # `fri-sun` ends with the Sunday after
    return low, high


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + (field.low if field.names is _MONTHS else 0)
    if not text.isdigit() or not field.low <= int(text) <= field.high:
        raise ValueError(f"{text!r} is no {field.title}; {_known(field)}")
    return int(text)


def _known(field: _Field) -> str:
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return f"expected {field.low} to {field.high}{names}"


def _split(text: str, field: _Field) -> str:
    first, last = text.split("/")[0].split("-")
    return f"{first}-{field.high},{field.low}-{last}"


def time_zone(name: str) -> tzinfo:
    """Find a time zone of the IANA database.

    Raises:
        ValueError: This machine knows none of that name.

    >>> time_zone("UTC")
    datetime.timezone.utc
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # Few need it, and it takes long to load.

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name!r}") from None


def time_zones() -> frozenset[str]:
    """Return the names of the time zones that this machine knows."""
    from zoneinfo import available_timezones

    return frozenset({"UTC", *available_timezones()})
