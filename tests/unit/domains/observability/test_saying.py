"""What lines of logs say of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.domains.observability.saying import fields_of, parse_line

NOW = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 10**9
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def at(*parts: int, micro: int = 0) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9 + micro * 1000


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-02-28T17:41:44.747123Z it", at(2026, 2, 28, 17, 41, 44, micro=747123)),
        ("2026-02-28 17:41:44,5 - it", at(2026, 2, 28, 17, 41, 44, micro=500000)),
        ("[2026/02/28 17:41:44 +0200] it", at(2026, 2, 28, 15, 41, 44)),
        ("2026-02-28T17:41:44-05:30 it", at(2026, 2, 28, 23, 11, 44)),
        ("Feb 28 17:41:44 host sshd[1]: it", at(2026, 2, 28, 17, 41, 44)),
        ("<34>Dec  1 17:41:44 host it", at(2025, 12, 1, 17, 41, 44)),
        ('9.9.9.9 - - [28/Feb/2026:17:41:44 +0100] "GET / HTTP/1.1" 200 3', at(2026, 2, 28, 16, 41, 44)),
        ('{"ts":1772300504,"msg":"x"}', 1772300504 * 10**9),
        ('{"time":1772300504123,"msg":"x"}', 1772300504123 * 10**6),
        ('{"@timestamp":"2026-02-28T17:41:44Z"}', at(2026, 2, 28, 17, 41, 44)),
        ("ts=1772300504.25 level=info", 1772300504250000000),
        ("2026-02-31 17:41:44 no such day", 0),
        ("1999-01-01 00:00:00 long ago", 0),
        ("2027-01-01 00:00:00 not yet", 0),
        ("nothing of the kind", 0),
    ],
)  # fmt: skip
def test_time(text: str, when: int) -> None:
    assert parse_line(text, NOW).at_ns == when


def test_time_without_a_zone_is_of_the_zone_that_was_told() -> None:
    zone = timezone(timedelta(hours=2))
    assert parse_line("2026-02-28 17:41:44 x", NOW, zone).at_ns == at(2026, 2, 28, 15, 41, 44)


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ('{"level":"WARN"}', "warn"),
        ('{"level":50,"msg":"pino"}', "error"),
        ('{"msg":"' + "x" * 30_000 + '","level":"fatal"}', "fatal"),
        ("level=debug msg=x", "debug"),
        ("2026-02-28 17:41:44,5 CRITICAL it", "fatal"),
        ("[error] it", "error"),
        ("INFO:root:it", "info"),
        ("WARNING: it", "warn"),
        ("E0228 17:41:44.000000 1 it", "error"),
        ("<11>Feb 28 17:41:44 host it", "error"),
        ("Traceback (most recent call last):", "error"),
        ('9.9.9.9 - ann [28/Feb/2026:17:41:44 +0100] "GET / HTTP/1.1" 503 3', "error"),
        ('INFO:  9.9.9.9:1 - "GET / HTTP/1.1" 500 Internal Server Error', "error"),
        ('ERROR odd "GET / HTTP/1.1" 200', "error"),
        ("no error happened", ""),
        ("the ERRORS were many", ""),
        ("an informed guess", ""),
    ],
)
def test_severity(text: str, severity: str) -> None:
    assert parse_line(text, NOW).severity == severity


@pytest.mark.parametrize(
    "text",
    [
        f"x trace_id={TRACE} span_id={SPAN} y",
        f'{{"traceId":"{TRACE.upper()}","spanId":"{SPAN}"}}',
        f"traceparent: 00-{TRACE}-{SPAN}-01",
        f"got it [trace-id: {TRACE}, span-id: {SPAN}]",
    ],
)
def test_trace(text: str) -> None:
    said = parse_line(text, NOW)
    assert (said.trace, said.span) == (TRACE, SPAN)


def test_no_trace_where_there_is_none() -> None:
    assert parse_line("trace_id=12 deadbeef", NOW).trace == ""


def test_fields_of_nested_json() -> None:
    told = fields_of('{"a":{"b":1,"c":[1]},"d":true,"e":null}')
    assert told == {"a.b": "1", "d": "true", "e": "null"}


@given(st.one_of(st.text(), st.text('{}"=:, ae01-[]\\', max_size=80)))
def test_reads_whatever_comes(text: str) -> None:
    parse_line(text, NOW)
    fields_of(text)


def test_a_line_of_a_megabyte_is_read_quickly() -> None:
    for text in (
        "a=" * 500_000,
        '{"a":' * 200_000,
        '"' * 10**6,
        'x="\\' + "\\" * 10**6,
        " " * 10**6,
    ):
        parse_line(text, NOW)
