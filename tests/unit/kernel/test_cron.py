from __future__ import annotations

import pytest

from andon.kernel.cron import parse_cron, time_zone, time_zones


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("7 * * * *", {7}),
        ("*/25 * * * *", {0, 25, 50}),
        ("10-14/2,58 * * * *", {10, 12, 14, 58}),
        ("0-59/61 * * * *", {0}),
    ],
)
def test_lists_ranges_and_steps(text, minutes) -> None:
    assert parse_cron(text).minutes == minutes


def test_names_of_months_and_weekdays() -> None:
    cron = parse_cron("0 0 * JAN,mar-apr fri-sun")
    assert (cron.months, cron.weekdays) == ({1, 3, 4}, {5, 6, 0})


def test_sunday_is_0_and_7() -> None:
    assert parse_cron("0 0 * * 0").weekdays == parse_cron("0 0 * * 7").weekdays == {0}


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 jan *"),
        ("@Annually", "0 0 1 1 *"),
    ],
)
def test_named_expressions(name, same) -> None:
    assert parse_cron(name) == parse_cron(same)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 fields"),
        ("0 3 * *", "4 fields"),
        ("0 0 3 * * *", "6 fields"),
        ("@reboot", "none of @annually"),
        ("60 * * * *", "no minute; expected 0 to 59"),
        ("* 24 * * *", "no hour; expected 0 to 23"),
        ("* * 0 * *", "no day of the month"),
        ("* * * foo *", "expected 1 to 12 or jan to dec"),
        ("* * * * 8", "expected 0 to 7 or sun to sat"),
        ("*/0 * * * *", "steps by nothing"),
        ("5/10 * * * *", "write 5-59/10"),
        ("0 22-2 * * *", "22-23,0-2"),
        ("0 3 * * L", "no day of the week"),
        ("1,,2 * * * *", "no minute"),
        ("-1 * * * *", "no minute"),
        ("٣ * * * *", "no minute"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,jun,9-9,11 *", "never fires"),
    ],
)
def test_what_is_no_expression_is_told_apart(text, why) -> None:
    with pytest.raises(ValueError, match=why):
        parse_cron(text)


def test_a_day_that_no_month_has_may_stand_beside_a_weekday() -> None:
    assert parse_cron("0 0 30 2 mon").either_day


@pytest.mark.parametrize(
    "name", ["Mars/Phobos", "", "../../etc/passwd", "Europe", "/etc/passwd", "a\0b"]
)
def test_an_unknown_zone_is_refused(name) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        time_zone(name)


def test_known_zones_are_found() -> None:
    assert "UTC" in time_zones()
    assert all(time_zone(name) for name in ("UTC", "Europe/Berlin", "Australia/Lord_Howe"))
