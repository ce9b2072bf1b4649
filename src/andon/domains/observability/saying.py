r"""What a line of a log says of itself: when, how severe, which trace. Of formats that programs write.

JSON objects, logfmt (``level=info``), ISO 8601, syslog, access logs of nginx and Apache, and words such as
``ERROR`` near the beginning. What a line does not say stays empty; nothing is guessed from elsewhere.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from msgspec import Struct

MOST_FIELDS = 40
LONGEST_VALUE = 2_000
_LOOKED_AT, _LONGEST_OBJECT = 2_000, 65_536
_BEGINNING = 160
_NS = 1_000_000_000
_FUTURE_NS = 300 * _NS
_NEXT_YEAR_NS = 86_400 * _NS
_PAST_NS = 400 * 86_400 * _NS

_SEVERITIES = {
    "trace": "trace", "finest": "trace", "verbose": "trace",
    "debug": "debug", "dbg": "debug", "fine": "debug", "d": "debug",
    "info": "info", "information": "info", "notice": "info", "i": "info", "log": "info",
    "warn": "warn", "warning": "warn", "wrn": "warn", "w": "warn",
    "error": "error", "err": "error", "severe": "error", "e": "error", "failure": "error",
    "fatal": "fatal", "critical": "fatal", "crit": "fatal", "alert": "fatal", "emerg": "fatal",
    "emergency": "fatal", "panic": "fatal", "f": "fatal",
}  # fmt: skip
_ORDER = ("", "trace", "debug", "info", "warn", "error", "fatal")
_SYSLOG = ("fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug")
_PINO = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}
_TIME_FIELDS = ("time", "ts", "timestamp", "@timestamp", "datetime", "date", "t")
_LEVEL_FIELDS = ("level", "severity", "lvl", "loglevel", "log.level", "levelname", "severity_text")
_TRACE_FIELDS = ("trace_id", "traceid", "trace.id", "trace-id", "dd.trace_id", "trace")
_SPAN_FIELDS = ("span_id", "spanid", "span.id", "span-id", "dd.span_id", "span")

_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\d*"
    r" ?(Z|UTC|[+-]\d\d:?\d\d)?(?!\d)"
)
_ACCESS = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_REQUEST = re.compile(r'"([A-Z]{3,10}) (\S{1,1500}) HTTP/[0-9.]{1,3}" (\d{3})\b')
_CLIENT = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_USER = re.compile(r"^\S{1,300} \S{1,100} ([^\s-]\S{0,200}) \[")
_BSD = re.compile(
    r"^(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? "
)
_PRIORITY = re.compile(r"^<(\d{1,3})>")
_MONTHS = {
    name: number + 1
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    )
}
_WORD = re.compile(
    r"(?:^|[\s\[(<|:*-])"
    r"(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|SEVERE|FATAL|CRITICAL|CRIT|EMERG|PANIC"
    r"|(?<=\[)(?:trace|debug|info|notice|warn(?:ing)?|error|crit(?:ical)?|alert|emerg|fatal))"
    r"(?=$|[\s\])>|:,*-])"
)
_GLOG = re.compile(r"^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ ")
_ALARM = re.compile(
    r"^(?:Traceback \(most recent call last\)|panic: |Unhandled |Segmentation fault)"
)
_PAIR = re.compile(r'(?:^|\s)([A-Za-z_@][\w.@-]{0,60})=("(?:[^"\\]|\\.)*"|[^\s"]*)')
_TRACE = re.compile(r"(?i)\btrace[_.-]?id\b[\"']?\s{0,3}[=:]\s{0,3}[\"']?([0-9a-f]{32})\b")
_SPAN = re.compile(r"(?i)\bspan[_.-]?id\b[\"']?\s{0,3}[=:]\s{0,3}[\"']?([0-9a-f]{16})\b")
_TRACEPARENT = re.compile(r"(?<![0-9a-f-])[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_HEX_TRACE, _HEX_SPAN = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")


class Said(Struct, frozen=True):
    """What a line says of itself; 0 or empty: nothing.

    Args:
        at_ns: When it was said.
        severity: How severe it is.
        trace: Hexadecimal id of its trace.
        span: Hexadecimal id of its span.
    """

    at_ns: int = 0
    severity: str = ""
    trace: str = ""
    span: str = ""


def parse_line(text: str, now_ns: int, zone: tzinfo = UTC) -> Said:
    """Read a line.

    Args:
        text: The line.
        now_ns: The time; a line that claims to be of minutes later, or of more than a year ago, says none.
        zone: Of times that do not tell theirs.

    >>> parse_line('{"level":"warning","ts":1438191701.5,"msg":"slow"}', 1438191702 * 10**9)
    Said(at_ns=1438191701500000000, severity='warn', trace='', span='')
    >>> parse_line("2015-07-29 17:41:44,747 - ERROR [main] lost", 1438191999 * 10**9).severity
    'error'
    """
    # Of an object all must be read, of other lines the beginning says it.
    text = text[: _LONGEST_OBJECT if text.startswith("{") else _LOOKED_AT]
    telling = text.startswith("{") or "=" in text or " HTTP/" in text
    fields = fields_of(text) if telling else {}
    at_ns = _time_of(text, fields, now_ns, zone)
    if not now_ns - _PAST_NS <= at_ns <= now_ns + _FUTURE_NS:
        at_ns = 0
    trace, span = _trace_of(text, fields)
    return Said(at_ns, _severity_of(text, fields), trace, span)


def fields_of(text: str) -> dict[str, str]:
    """Return the fields that a line has: of a JSON object, of logfmt, of an access log.

    >>> fields_of('level=info msg="a b" user=ann')
    {'level': 'info', 'msg': 'a b', 'user': 'ann'}
    >>> fields_of('9.9.9.9 - - [10/Oct/2000:13:55:36 +0000] "GET /.env HTTP/1.1" 404 9')["c-uri"]
    '/.env'
    """
    if text.startswith("{"):
        return _json_fields(text)
    request = _REQUEST.search(text)
    if request:
        return _request_fields(text, request)
    found: dict[str, str] = {}
    for pair in _PAIR.finditer(text):
        value = pair[2]
        if value.startswith('"'):
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        found[pair[1]] = value[:LONGEST_VALUE]
        if len(found) >= MOST_FIELDS:
            break
    return found


def _request_fields(text: str, request: re.Match[str]) -> dict[str, str]:
    """Name the parts of an access log's line as Sigma's category ``webserver`` does."""
    found = dict(zip(("cs-method", "c-uri", "sc-status"), request.groups(), strict=True))
    if client := _CLIENT.search(text, 0, request.start()):
        found["c-ip"] = client[0]
    if user := _USER.match(text):
        found["cs-username"] = user[1]
    return found


def _json_fields(text: str) -> dict[str, str]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    if isinstance(told, dict):
        _flatten(told, "", found)
    return found


def _flatten(told: dict[str, Any], before: str, found: dict[str, str]) -> None:
    for name, value in told.items():
        if len(found) >= MOST_FIELDS:
            return
        if isinstance(value, dict) and before.count(".") < 2:
            _flatten(value, f"{before}{name}.", found)
        elif isinstance(value, bool) or value is None:
            found[before + name] = json.dumps(value)
        elif isinstance(value, (str, int, float)):
            found[before + name] = str(value)[:LONGEST_VALUE]


# --- when ---------------------------------------------------------------------------------------


def _time_of(text: str, fields: dict[str, str], now_ns: int, zone: tzinfo) -> int:
    for name in _TIME_FIELDS:
        if name in fields:
            value = fields[name]
            return _number_time(value) or _written_time(value, now_ns, zone)
    return _written_time(text[:_BEGINNING], now_ns, zone)


def _written_time(text: str, now_ns: int, zone: tzinfo) -> int:
    if found := _ISO.search(text):
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        parts = (int(year), int(month), int(day), int(hour), int(minute), int(second))
        return _moment(parts, fraction, _zone(offset, zone))
    if found := _ACCESS.search(text):
        day, name, year, hour, minute, second, offset = found.groups()
        parts = (int(year), _MONTHS.get(name, 0), int(day), int(hour), int(minute), int(second))
        return _moment(parts, None, _zone(offset, zone))
    if found := _BSD.match(text):
        return _without_year(found, now_ns, zone)
    return 0


def _without_year(found: re.Match[str], now_ns: int, zone: tzinfo) -> int:
    name, day, hour, minute, second, fraction = found.groups()
    year = datetime.fromtimestamp(now_ns / _NS, zone).year
    rest = (_MONTHS.get(name, 0), int(day), int(hour), int(minute), int(second))
    at_ns = _moment((year, *rest), fraction, zone)
    return at_ns if at_ns <= now_ns + _NEXT_YEAR_NS else _moment((year - 1, *rest), fraction, zone)


def _moment(parts: tuple[int, ...], fraction: str | None, zone: tzinfo) -> int:
    year, month, day, hour, minute, second = parts
    try:
        told = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
    except ValueError:
        return 0
    return int(told.timestamp()) * _NS + int((fraction or "0").ljust(9, "0")[:9])


def _zone(offset: str | None, zone: tzinfo) -> tzinfo:
    if not offset:
        return zone
    if offset in ("Z", "UTC"):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 15 or minutes > 59:
        return zone
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _number_time(value: str) -> int:
    """Read seconds, milliseconds, microseconds or nanoseconds since the epoch, by their size."""
    try:
        number = float(value)
    except ValueError:
        return 0
    for unit in (_NS, 1_000_000, 1_000, 1):
        if 1e8 <= number * unit / _NS < 1e10:
            return int(value) * unit if value.isdecimal() else round(number * 1e6) * unit // 10**6
    return 0


# --- how severe -----------------------------------------------------------------------------------


def _severity_of(text: str, fields: dict[str, str]) -> str:
    for name in _LEVEL_FIELDS:
        if name in fields:
            return _severity_named(fields[name])
    said = _severity_said(text)
    if "sc-status" in fields:
        status = {"5": "error", "4": "warn"}.get(fields["sc-status"][0], "info")
        return max(said, status, key=_ORDER.index)
    return said


def _severity_said(text: str) -> str:
    if found := _PRIORITY.match(text):
        return _SYSLOG[int(found[1]) % 8]
    if found := _WORD.search(text, 0, _BEGINNING):
        return _SEVERITIES[found[1].lower()]
    if found := _GLOG.match(text):
        return _SEVERITIES[found[1].lower()]
    if _ALARM.match(text):
        return "error"
    return ""


def _severity_named(word: str) -> str:
    if word.isdecimal():
        return _PINO.get(int(word) // 10 * 10, "")
    return _SEVERITIES.get(word.lower(), "")


# --- which trace ----------------------------------------------------------------------------------


def _trace_of(text: str, fields: dict[str, str]) -> tuple[str, str]:
    lowered = {name.lower(): value.lower() for name, value in fields.items()}
    trace = next((lowered[name] for name in _TRACE_FIELDS if name in lowered), "")
    span = next((lowered[name] for name in _SPAN_FIELDS if name in lowered), "")
    if _HEX_TRACE.fullmatch(trace):
        return trace, span if _HEX_SPAN.fullmatch(span) else ""
    if parent := _TRACEPARENT.search(text):
        return parent[1], parent[2]
    if found := _TRACE.search(text):
        said = _SPAN.search(text)
        return found[1].lower(), said[1].lower() if said else ""
    return "", ""
