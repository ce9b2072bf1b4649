"""Answers in the JSON of Prometheus's HTTP API: numbers are texts, so that NaN and infinity have a place."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from andon.domains.observability.promql.engine import Answer

WHOLE_BELOW = 1e15
SMALLEST_PLAIN, LARGEST_PLAIN = 1e-6, 1e21


def answer_json(answer: Answer, at_ms: int) -> dict[str, Any]:
    """Write an answer.

    Args:
        answer: The answer.
        at_ms: When the query was asked for, which strings are told with.
    """
    return {"resultType": answer.kind, "result": _result(answer, at_ms)}


def _result(answer: Answer, at_ms: int) -> Any:
    if answer.kind == "string":
        return [seconds(at_ms), answer.text]
    if answer.kind == "scalar":
        return _points(answer.rows[0])[0]
    key = "value" if answer.kind == "vector" else "values"
    return [
        {"metric": dict(row.labels), key: points[0] if key == "value" else points}
        for row in answer.rows
        for points in (_points(row),)
    ]


def _points(row: Any) -> list[list[Any]]:
    pairs = zip(row.times_ms.tolist(), row.values.tolist(), strict=True)
    return [[seconds(at), number_text(value)] for at, value in pairs]


def seconds(at_ms: int) -> float | int:
    """Write a time.

    >>> seconds(1500), seconds(2000)
    (1.5, 2)
    """
    whole, rest = divmod(at_ms, 1000)
    return at_ms / 1000 if rest else whole


def number_text(value: float) -> str:
    """Write a number.

    >>> [number_text(one) for one in (1.0, 0.25, 1e16, 1e21, 1.5e-7, math.inf, math.nan)]
    ['1', '0.25', '10000000000000000', '1e+21', '1.5e-7', '+Inf', 'NaN']
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    size = abs(value)
    if value == int(value) and size < WHOLE_BELOW:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    text = repr(value)
    if "e" not in text:
        return text
    if SMALLEST_PLAIN <= size < LARGEST_PLAIN:
        return format(Decimal(text), "f").removesuffix(".0")
    return text.replace("e-0", "e-")
