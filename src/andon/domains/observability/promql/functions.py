"""Functions of numbers, dates and labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from andon.calc.patterns import whole
from andon.domains.observability.promql.grid import (
    Array,
    Grid,
    Vector,
    merged,
    sorted_labels,
    stack,
)
from andon.domains.observability.promql.nodes import (
    NAME,
    CannotEvaluate,
    Labels,
    Matcher,
    Node,
    Range,
    Selector,
)

LATEST_SECOND = 2.0**63
BEYOND = {
    "minute": 30, "hour": 15, "day_of_week": 0, "day_of_month": 4, "day_of_year": 339,
    "days_in_month": 31, "month": 12, "year": 292_277_026_596,
}  # fmt: skip
"""What Prometheus says of what is no second: the last one that its calendar knows."""
OF_NUMBERS: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
    "sgn": lambda values: np.where(values == 0, values, np.sign(values)),
}


def rounded(vector: Vector, nearest: Array) -> Vector:
    """Round to the nearest multiple, halves up."""
    inverse = 1.0 / nearest
    return vector.computed(np.floor(vector.values * inverse + 0.5) / inverse)


def clamped(vector: Vector, least: Array, most: Array) -> Vector:
    """Keep values within bounds; none if they cross."""
    values = np.maximum(least, np.minimum(most, vector.values))
    return vector.computed(values, vector.there & ~(most < least))


# --- dates --------------------------------------------------------------------------------------


def _days(seconds: Array) -> Array:
    return seconds.astype("datetime64[s]").astype("datetime64[D]")


def _months(seconds: Array) -> Array:
    return _days(seconds).astype("datetime64[M]")


def _days_in_month(seconds: Array) -> Array:
    month = _months(seconds)
    found: Array = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
    return found


OF_DATES: dict[str, Callable[[Array], Array]] = {
    "minute": lambda seconds: seconds // 60 % 60,
    "hour": lambda seconds: seconds // 3600 % 24,
    "day_of_week": lambda seconds: (seconds // 86_400 + 4) % 7,
    "day_of_month": lambda seconds: (
        (_days(seconds) - _months(seconds).astype("datetime64[D]")).astype(int) + 1
    ),
    "day_of_year": lambda seconds: (
        (_days(seconds) - _days(seconds).astype("datetime64[Y]").astype("datetime64[D]")).astype(
            int
        )
        + 1
    ),
    "days_in_month": lambda seconds: _days_in_month(seconds).astype(int),
    "month": lambda seconds: _months(seconds).astype(int) % 12 + 1,
    "year": lambda seconds: _days(seconds).astype("datetime64[Y]").astype(int) + 1970,
}


def dated(name: str, values: Array) -> Array:
    """Read seconds since the epoch as a date, in UTC.

    >>> dated("year", np.array([0.0, 1e9])).tolist()
    [1970.0, 2001.0]
    """
    readable = np.abs(values) < LATEST_SECOND
    seconds = np.trunc(np.where(readable, values, 0.0)).astype(np.int64)
    return np.where(readable, OF_DATES[name](seconds).astype(float), BEYOND[name])


# --- labels -------------------------------------------------------------------------------------


def label_replace(vector: Vector, dst: str, replacement: str, src: str, pattern: str) -> Vector:
    """Set a label to what a pattern finds in another.

    Raises:
        CannotEvaluate: The pattern or the label's name is none.
    """
    try:
        expression = whole(pattern)
    except ValueError:
        raise CannotEvaluate(f"invalid regular expression in label_replace(): {pattern}") from None
    if not dst:
        raise CannotEvaluate(f"invalid destination label name in label_replace(): {dst}")

    def made(labels: Labels) -> Labels | None:
        found = expression.fullmatch(dict(labels).get(src, ""))
        return None if found is None else _with(labels, dst, _expanded(replacement, found))

    return _relabelled(vector, dst, made)


def label_join(vector: Vector, dst: str, separator: str, *sources: str) -> Vector:
    """Set a label to the values of others.

    Raises:
        CannotEvaluate: A label's name is none.
    """
    for name, which in ((dst, "destination"), *((source, "source") for source in sources)):
        if not name:
            raise CannotEvaluate(f"invalid {which} label name in label_join(): {name}")

    def made(labels: Labels) -> Labels:
        known = dict(labels)
        return _with(labels, dst, separator.join(known.get(source, "") for source in sources))

    return _relabelled(vector, dst, made)


def _relabelled(vector: Vector, dst: str, made: Callable[[Labels], Labels | None]) -> Vector:
    """Give series the labels that were made of theirs; a name that was set is to stay."""
    labels, nameless = list(vector.labels), list(vector.nameless)
    for row, old in enumerate(vector.labels):
        new = made(old)
        if new is not None:
            labels[row] = new
            nameless[row] = nameless[row] and dst != NAME
    return merged(Vector(labels, vector.values, vector.there, nameless))


def _with(labels: Labels, name: str, value: str) -> Labels:
    return sorted_labels([*(pair for pair in labels if pair[0] != name), (name, value)])


def _expanded(template: str, found: Any) -> str:
    """Fill in what groups caught: ``$1``, ``${1}``, ``$name``; ``$$`` is a dollar."""

    def group(which: Any) -> str:
        if which.group(0) == "$$":
            return "$"
        name = which.group(1) or which.group(2)
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return re.sub(r"\$\$|\$(\w+)|\$\{(\w+)\}", group, template)


def absent(node: Node, there: Array) -> Vector:
    """Answer 1 where nothing is there, with the labels that would have been."""
    row = (_labels_asked(node), np.ones(len(there)), ~there, True)
    return stack([row], len(there))


def _labels_asked(node: Node) -> Labels:
    if isinstance(node, Range):
        node = node.selector
    if not isinstance(node, Selector):
        return ()
    found: dict[str, str] = {}
    seen: set[str] = set()
    for one in node.matchers:
        if one.name == NAME:
            continue
        if _says_all(one) and one.name not in seen:
            found[one.name] = one.value
            seen.add(one.name)
        else:
            found.pop(one.name, None)
    return sorted_labels(found.items())


def _says_all(one: Matcher) -> bool:
    return one.op == "="


# --- between series and numbers -----------------------------------------------------------------


def scalar(vector: Vector) -> Array:
    """Make a number of the one series there is; NaN if there are none or more."""
    alone = vector.there.sum(axis=0) == 1
    if not len(vector):
        return np.full(vector.values.shape[1], np.nan)
    row = vector.there.argmax(axis=0)
    return np.where(alone, vector.values[row, np.arange(vector.values.shape[1])], np.nan)


def vector_of(values: Array) -> Vector:
    """Make a series of a number, without any label."""
    return Vector([()], values[None, :], np.ones((1, len(values)), bool), [False])


# --- order, which only an answer of one moment has ----------------------------------------------


def ordered(vector: Vector, grid: Grid, descending: bool) -> Vector:
    """Sort by value; NaN comes last."""
    if grid.size != 1 or not len(vector):
        return vector
    values = vector.values[:, 0]
    sign = -1 if descending else 1
    return vector.rows(
        sorted(
            range(len(vector)), key=lambda row: (bool(np.isnan(values[row])), sign * values[row])
        )
    )


def ordered_by_labels(
    vector: Vector, grid: Grid, names: tuple[str, ...], descending: bool
) -> Vector:
    """Sort by the values of labels as people do, numbers within by their size."""
    if grid.size != 1:
        return vector

    def key(row: int) -> Any:
        known = dict(vector.labels[row])
        return [_natural(known.get(name, "")) for name in names], vector.labels[row]

    return vector.rows(sorted(range(len(vector)), key=key, reverse=descending))


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]
