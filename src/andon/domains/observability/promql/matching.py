"""Operators between two sides: which series meet which, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from andon.domains.observability.promql.grid import (
    Array,
    Vector,
    all_but,
    at_any,
    empty,
    grouped,
    merged,
    only,
    sorted_labels,
    stack,
    without_name,
    written,
)
from andon.domains.observability.promql.nodes import COMPARISONS, Binary, CannotEvaluate, Labels

COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def of_scalars(node: Binary, left: Array, right: Array) -> Array:
    """Compute between two numbers at every step."""
    found: Array = COMPUTE[node.op](left, right).astype(float)
    return found


def with_scalar(node: Binary, vector: Vector, scalar: Array, swapped: bool) -> Vector:
    """Compute between series and a number at every step.

    Args:
        node: The operator.
        vector: The series.
        scalar: The number, ``(n_steps,) float64``.
        swapped: The number stands on the left.
    """
    left, right = (scalar, vector.values) if swapped else (vector.values, scalar)
    found = COMPUTE[node.op](left, right)
    if node.op not in COMPARISONS:
        return vector.computed(found)
    if node.compares_bool:
        return vector.computed(found.astype(float))
    return vector.where(found)


def of_sets(node: Binary, left: Vector, right: Vector) -> Vector:
    """Keep series by whether the other side has such."""
    key = _key(node)
    if node.op == "or":
        missing = right.where(~_present(left, right, key))
        return merged(_joined(left, missing))
    present = _present(right, left, key)
    return left.where(present if node.op == "and" else ~present)


def _key(node: Binary) -> Callable[[Labels], Labels]:
    return only(node.labels) if node.on else all_but(node.labels)


def _present(side: Vector, other: Vector, key: Callable[[Labels], Labels]) -> Array:
    """Say for each series of the other side where one side has a series that meets it."""
    meets = {sign: at_any(side.there[rows]) for sign, rows in grouped(side.labels, key).items()}
    found = np.zeros(other.there.shape, bool)
    for row, labels in enumerate(other.labels):
        if (mask := meets.get(key(labels))) is not None:
            found[row] = mask
    return found


def _joined(left: Vector, right: Vector) -> Vector:
    return Vector(
        left.labels + right.labels,
        np.concatenate([left.values, right.values]),
        np.concatenate([left.there, right.there]),
        left.nameless + right.nameless,
    )


def of_vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    """Compute between the series of both sides that meet.

    Raises:
        CannotEvaluate: More series meet than the operator allows.
    """
    many, one = (right, left) if node.card == "one-to-many" else (left, right)
    steps = left.values.shape[1]
    if not len(left) or not len(right):
        return empty(steps)
    both = at_any(left.there) & at_any(right.there)
    many, one = many.where(both), one.where(both)
    key = _key(node)
    ones = grouped(one.labels, key)
    for sign, rows in ones.items():
        _refuse_two_of_one(node, one, rows, sign)
    found = []
    for sign, rows in grouped(many.labels, key).items():
        pairs = [(row, other) for row in rows for other in ones.get(sign, ())]
        found += _met(node, many, one, pairs)
    return merged(stack(found, steps))


def _refuse_two_of_one(node: Binary, one: Vector, rows: list[int], sign: Labels) -> None:
    if len(rows) == 1:
        return
    clash = np.flatnonzero(one.there[rows].sum(axis=0) > 1)
    if not len(clash):
        return
    there = [row for row in rows if one.there[row, clash[0]]]
    first, second = sorted(written(one.labels[row]) for row in there[:2])
    side = "left" if node.card == "one-to-many" else "right"
    raise CannotEvaluate(
        f"found duplicate series for the match group {written(sign)} on the {side} hand-side of the "
        f"operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be "
        "unique on one side"
    )


def _met(
    node: Binary, many: Vector, one: Vector, pairs: list[tuple[int, int]]
) -> list[tuple[Labels, Array, Array, bool]]:
    """Compute what comes of the pairs of one match group."""
    rows, seen = [], []
    for row, other in pairs:
        there = many.there[row] & one.there[other]
        if not there.any():
            continue
        labels = _labels_of(node, many.labels[row], one.labels[other])
        seen.append((row, labels, there))
        left, right = many.values[row], one.values[other]
        if node.card == "one-to-many":
            left, right = right, left
        nameless = many.nameless[row] or node.compares_bool
        rows.append((labels, *_outcome(node, left, right, there), nameless))
    _refuse_two_of_many(node, seen)
    return rows


def _outcome(node: Binary, left: Array, right: Array, there: Array) -> tuple[Array, Array]:
    found = COMPUTE[node.op](left, right)
    if node.op not in COMPARISONS:
        return found, there
    if node.compares_bool:
        return found.astype(float), there
    return left, there & found


def _refuse_two_of_many(node: Binary, seen: list[tuple[int, Labels, Array]]) -> None:
    if len({row for row, _, _ in seen}) < 2:
        return
    taken: dict[Labels | None, Array] = {}
    for _, labels, there in seen:
        group = None if node.card == "one-to-one" else labels
        if group in taken and (taken[group] & there).any():
            raise CannotEvaluate(
                "multiple matches for labels: many-to-one matching must be explicit "
                "(group_left/group_right)"
                if group is None
                else "multiple matches for labels: grouping labels must ensure unique matches"
            )
        taken[group] = taken[group] | there if group in taken else there


def _labels_of(node: Binary, many: Labels, one: Labels) -> Labels:
    labels = many if node.op in COMPARISONS else without_name(many)
    if node.card == "one-to-one":
        named = frozenset(node.labels)
        labels = tuple(pair for pair in labels if (pair[0] in named) == node.on)
    if not node.include:
        return labels
    taken = dict(one)
    kept = [pair for pair in labels if pair[0] not in node.include]
    return sorted_labels([*kept, *((name, taken.get(name, "")) for name in node.include)])


def negated(vector: Vector) -> Vector:
    """Turn signs around."""
    return merged(vector.computed(-vector.values))
