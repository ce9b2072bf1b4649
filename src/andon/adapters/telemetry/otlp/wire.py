"""Requests of OTLP exporters read, and their answers written.

Source: OpenTelemetry protocol 1.x; in its JSON the ids of traces and spans are hexadecimal, unlike those of
protobuf's own JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from andon.kernel.errors import UsageError

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_REQUESTS: dict[str, Any] = {
    "traces": traces.ExportTraceServiceRequest,
    "metrics": metrics.ExportMetricsServiceRequest,
    "logs": logs.ExportLogsServiceRequest,
}
_ANSWERS: dict[str, tuple[Any, str]] = {
    "traces": (traces.ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (metrics.ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (logs.ExportLogsServiceResponse, "rejected_log_records"),
}
_HEXADECIMAL = frozenset({"traceId", "spanId", "parentSpanId"})


def parse_request(signal: str, data: bytes, media: str) -> Any:
    """Read a request.

    Args:
        signal: ``traces``, ``metrics`` or ``logs``.
        data: Its body, not compressed.
        media: Header ``Content-Type``.

    Raises:
        UsageError: It is none.
    """
    kind = media.partition(";")[0].strip().lower()
    if kind == PROTOBUF:
        return _from_protobuf(signal, data)
    if kind == JSON:
        return _from_json(signal, data)
    raise UsageError(
        f"{signal} come as {PROTOBUF} or {JSON}, not as {kind[:60] or 'nothing'}",
        hint="OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    )


def write_answer(signal: str, rejected: int, why: str, media: str) -> tuple[bytes, str]:
    """Write the answer: all was taken, or so much was not, and why; returns it with its type."""
    kind, field = _ANSWERS[signal]
    answer = kind()
    if rejected or why:
        setattr(answer.partial_success, field, rejected)
        answer.partial_success.error_message = why
    if media.partition(";")[0].strip().lower() == JSON:
        return MessageToJson(answer, indent=None).encode(), JSON
    return answer.SerializeToString(), PROTOBUF


def _from_protobuf(signal: str, data: bytes) -> Message:
    message: Message = _REQUESTS[signal]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise UsageError(f"this is no protobuf of {signal}") from None
    return message


def _from_json(signal: str, data: bytes) -> Message:
    try:
        told = json.loads(data)
        return ParseDict(_with_ids(told), _REQUESTS[signal](), ignore_unknown_fields=True)
    except (ValueError, ParseError, RecursionError, AttributeError, TypeError) as error:
        raise UsageError(f"this is no OTLP JSON of {signal}: {str(error)[:200]}") from None


def _with_ids(told: Any) -> Any:
    """Return it with ids as protobuf's JSON has them."""
    if isinstance(told, list):
        return [_with_ids(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {
        key: _base64(one) if key in _HEXADECIMAL and isinstance(one, str) else _with_ids(one)
        for key, one in told.items()
    }


def _base64(digits: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(digits)).decode()
    except (ValueError, binascii.Error):
        raise ValueError(f"{digits[:40]!r} is no id") from None
