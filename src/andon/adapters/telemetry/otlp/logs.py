"""Log records out of OTLP."""

from __future__ import annotations

from typing import Any

from andon.adapters.telemetry.otlp.attributes import (
    LONGEST_NAME,
    UNKNOWN_SERVICE,
    environment_of,
    read_attributes,
    read_value,
)
from andon.ports.telemetry import LogLine

LONGEST_LINE = 65_536
_AHEAD_NS = 3600 * 10**9
"""What claims to be said later counts as now: it would outlive all that is kept."""
_SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
_NUMBERS_EACH = 4
_TRACE_BYTES, _SPAN_BYTES = 16, 8


def read_logs(request: Any, now_ns: int) -> list[LogLine]:
    """Return the lines of a request.

    Args:
        request: An ``ExportLogsServiceRequest``.
        now_ns: When records were said that do not tell.
    """
    found: list[LogLine] = []
    for resource in request.resource_logs:
        about = read_attributes(resource.resource.attributes)
        labels = {"service": about.get("service.name", "")[:LONGEST_NAME] or UNKNOWN_SERVICE}
        if environment := environment_of(about):
            labels["environment"] = environment
        labels["source"] = "otlp"
        for scope in resource.scope_logs:
            found += [_line(one, labels, now_ns) for one in scope.log_records]
    return found


def _line(record: Any, labels: dict[str, str], now_ns: int) -> LogLine:
    attributes = read_attributes(record.attributes)
    if record.event_name:
        attributes["event.name"] = record.event_name[:LONGEST_NAME]
    told = record.time_unix_nano or record.observed_time_unix_nano
    return LogLine(
        at_ns=told if 0 < told < now_ns + _AHEAD_NS else now_ns,
        text=read_value(record.body)[:LONGEST_LINE].rstrip("\n"),
        labels=labels,
        severity=severity_of(record.severity_number, record.severity_text),
        trace=record.trace_id.hex() if len(record.trace_id) == _TRACE_BYTES else "",
        span=record.span_id.hex() if len(record.span_id) == _SPAN_BYTES else "",
        attributes=attributes,
    )


def severity_of(number: int, text: str) -> str:
    """Return how severe a record is; empty: it does not say.

    Source: OpenTelemetry logs data model, SeverityNumber: four numbers each.

    >>> severity_of(17, ""), severity_of(0, "Warning"), severity_of(0, "")
    ('error', 'warn', '')
    """
    if 0 < number <= _NUMBERS_EACH * len(_SEVERITIES):
        return _SEVERITIES[(number - 1) // _NUMBERS_EACH]
    word = text.lower()
    return next((one for one in _SEVERITIES if word.startswith(one)), "")
