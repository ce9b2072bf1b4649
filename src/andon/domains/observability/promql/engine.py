"""Ask a query: at one moment, or at every step of a time.

Samples come from a callback, so that any store serves.
"""

from __future__ import annotations

import numpy as np

from andon.domains.observability.promql.answers import USUAL, Answer, Limits, Row, Select
from andon.domains.observability.promql.evaluation import Evaluation
from andon.domains.observability.promql.grid import Grid, Vector, finished
from andon.domains.observability.promql.nodes import Text, TooLarge, kind_of
from andon.domains.observability.promql.reading import read
from andon.kernel.errors import UsageError

MOST_STEPS = 11_000


def instant(text: str, select: Select, at_ms: int, limits: Limits = USUAL) -> Answer:
    """Answer a query at one moment.

    Args:
        text: PromQL.
        select: Where samples come from.
        at_ms: The moment.
        limits: What it may take.

    Raises:
        UsageError: The query is none, is not supported, cannot be evaluated or is too large.

    >>> instant("1 + 1", lambda *_: [], 0).rows[0].values.tolist()
    [2.0]
    """
    node = read(text)
    evaluation = Evaluation(select, Grid(np.array([at_ms], np.int64), 1), limits)
    with np.errstate(all="ignore"):
        if isinstance(node, Text):
            return Answer(kind="string", text=node.value)
        if kind_of(node) == "matrix":
            return evaluation.answer("matrix", evaluation.samples_of(node))
        found = evaluation.evaluate(node)
        if isinstance(found, Vector):
            return evaluation.answer("vector", _rows(finished(found), evaluation.grid))
        return evaluation.answer("scalar", [Row((), evaluation.grid.times, found)])


def ranged(
    text: str, select: Select, start_ms: int, end_ms: int, step_ms: int, limits: Limits = USUAL
) -> Answer:
    """Answer a query at every step of a time.

    Args:
        text: PromQL.
        select: Where samples come from.
        start_ms: The first step.
        end_ms: No step is later.
        step_ms: Between steps.
        limits: What it may take.

    Raises:
        UsageError: As ``instant``; or there are too many steps.

    >>> ranged("time()", lambda *_: [], 0, 2000, 1000).rows[0].values.tolist()
    [0.0, 1.0, 2.0]
    """
    node = read(text)
    grid = _steps(start_ms, end_ms, step_ms)
    if kind_of(node) not in ("scalar", "vector"):
        words = {"matrix": "range vector", "string": "string"}[kind_of(node)]
        raise UsageError(
            f'invalid expression type "{words}" for range query, must be Scalar or instant Vector'
        )
    evaluation = Evaluation(select, grid, limits)
    with np.errstate(all="ignore"):
        found = evaluation.evaluate(node)
        if isinstance(found, Vector):
            return evaluation.answer("matrix", _rows(finished(found), grid))
        return evaluation.answer("matrix", [Row((), grid.times, found)])


def _steps(start_ms: int, end_ms: int, step_ms: int) -> Grid:
    if step_ms <= 0:
        raise UsageError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    if end_ms < start_ms:
        raise UsageError('invalid parameter "end": end timestamp must not be before start time')
    if (end_ms - start_ms) // step_ms > MOST_STEPS:
        raise TooLarge(
            f"exceeded maximum resolution of {MOST_STEPS:,} points per timeseries. Try decreasing the "
            "query resolution (?step=XX)"
        )
    return Grid(np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64), step_ms)


def _rows(vector: Vector, grid: Grid) -> list[Row]:
    kept = []
    for labels, values, there in zip(vector.labels, vector.values, vector.there, strict=True):
        if there.any():
            kept.append(Row(labels, grid.times[there], values[there]))
    return kept


__all__ = ["Answer", "Limits", "Row", "Select", "instant", "ranged"]
