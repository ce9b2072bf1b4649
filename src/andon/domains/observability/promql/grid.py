"""Answers of an expression at every step at once: a row a series, a column a step.

NaN is a value in PromQL, so that a mask says where there is a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from msgspec import Struct

from andon.domains.observability.promql.nodes import NAME, CannotEvaluate, Labels, TooLarge

Array = np.ndarray[Any, Any]
ABOUT_THE_METRIC = frozenset({NAME, "__type__", "__unit__"})


class Grid(Struct, frozen=True):
    """Steps in time, milliseconds since the epoch: ``(n_steps,) int64``."""

    times: Array
    step_ms: int

    @property
    def size(self) -> int:
        """How many."""
        return len(self.times)


class Vector(Struct, frozen=True):
    """Series by step.

    Args:
        labels: Of each series.
        values: ``(n_series, n_steps) float64``.
        there: Where there is a sample, ``(n_series, n_steps) bool``.
        nameless: Whether the metric's name is to be left out in the end; it is not before, as others
            may match or group by it.
    """

    labels: list[Labels]
    values: Array
    there: Array
    nameless: list[bool]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, there: Array) -> Vector:
        """Keep only what lies in a mask."""
        return Vector(self.labels, self.values, self.there & there, self.nameless)

    def rows(self, chosen: Iterable[int]) -> Vector:
        """Keep only some series, in this order."""
        order = list(chosen)
        return Vector(
            [self.labels[row] for row in order],
            self.values[order],
            self.there[order],
            [self.nameless[row] for row in order],
        )

    def renamed(self, labels: list[Labels], nameless: list[bool] | None = None) -> Vector:
        """Give series other labels."""
        return Vector(labels, self.values, self.there, nameless or self.nameless)

    def computed(self, values: Array, there: Array | None = None) -> Vector:
        """Give series other values, which makes another metric of each."""
        return Vector(
            self.labels, values, self.there if there is None else there, [True] * len(self)
        )


class Meter:
    """Counts what a query costs, and stops it when that is too much.

    Args:
        samples: At most so many samples at once.
        work: At most so many samples looked at altogether.
    """

    def __init__(self, samples: int, work: int) -> None:
        self.samples = samples
        self.work = work
        self.notes: dict[str, list[str]] = {"warnings": [], "infos": []}

    def hold(self, samples: int) -> None:
        """So many are held at once."""
        if samples > self.samples:
            raise TooLarge(
                "query processing would load too many samples into memory in query execution",
                hint=f"at most {self.samples}; ask for fewer series, a shorter range or larger steps",
            )
        self.spend(samples)

    def spend(self, samples: int) -> None:
        """So many are looked at."""
        self.work -= samples
        if self.work < 0:
            raise TooLarge(
                "the query takes more work than one query may",
                hint="ask for fewer series, a shorter range or larger steps",
            )

    def warn(self, text: str) -> None:
        """Tell that the answer may not be what is wanted."""
        self._note("warnings", f"PromQL warning: {text}")

    def inform(self, text: str) -> None:
        """Tell something of the answer."""
        self._note("infos", f"PromQL info: {text}")

    def _note(self, kind: str, text: str) -> None:
        if text not in self.notes[kind]:
            self.notes[kind].append(text)


def at_any(there: Array) -> Array:
    """Say at which steps any of some series has a sample.

    >>> at_any(np.array([[True, False], [False, False]])).tolist()
    [True, False]
    """
    return np.asarray(there.any(axis=0))


def empty(steps: int) -> Vector:
    """Return no series at all.

    >>> len(empty(3))
    0
    """
    return Vector([], np.empty((0, steps)), np.empty((0, steps), bool), [])


def stack(rows: list[tuple[Labels, Array, Array, bool]], steps: int) -> Vector:
    """Put rows together: labels, values, mask and whether the name is to go; empty ones are left out."""
    kept = [row for row in rows if row[2].any()]
    if not kept:
        return empty(steps)
    return Vector(
        [row[0] for row in kept],
        np.array([row[1] for row in kept], float),
        np.array([row[2] for row in kept], bool),
        [row[3] for row in kept],
    )


def without_name(labels: Labels) -> Labels:
    """Leave out what says which metric it is.

    >>> without_name((("__name__", "up"), ("job", "a")))
    (('job', 'a'),)
    """
    return tuple(pair for pair in labels if pair[0] not in ABOUT_THE_METRIC)


def sorted_labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Make labels; an empty value is no label.

    >>> sorted_labels([("b", "1"), ("a", ""), ("c", "2")])
    (('b', '1'), ('c', '2'))
    """
    return tuple(sorted(pair for pair in pairs if pair[1]))


def written(labels: Labels) -> str:
    """Write labels as Prometheus's errors do.

    >>> written((("__name__", "up"), ("job", "a")))
    '{__name__="up", job="a"}'
    """
    return "{" + ", ".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def merged(vector: Vector) -> Vector:
    """Make one series of those with the same labels, if none has a sample where another has.

    Raises:
        CannotEvaluate: Two have.
    """
    if len(set(vector.labels)) == len(vector):
        return vector
    found: dict[Labels, int] = {}
    values, there = vector.values.copy(), vector.there.copy()
    for row, labels in enumerate(vector.labels):
        first = found.setdefault(labels, row)
        if first == row:
            continue
        if (there[first] & there[row]).any():
            raise CannotEvaluate(
                "vector cannot contain metrics with the same labelset",
                hint=f"two series are {written(labels)}",
            )
        values[first] = np.where(there[row], values[row], values[first])
        there[first] |= there[row]
    return Vector(vector.labels, values, there, vector.nameless).rows(found.values())


def finished(vector: Vector) -> Vector:
    """Leave out names that are to go, as the last thing of all."""
    pairs = zip(vector.labels, vector.nameless, strict=True)
    labels = [without_name(one) if nameless else one for one, nameless in pairs]
    return merged(vector.renamed(labels))


def grouped(labels: list[Labels], key: Callable[[Labels], Labels]) -> dict[Labels, list[int]]:
    """Return rows by what a key makes of their labels."""
    groups: dict[Labels, list[int]] = {}
    for row, one in enumerate(labels):
        groups.setdefault(key(one), []).append(row)
    return groups


def only(names: Iterable[str]) -> Callable[[Labels], Labels]:
    """Make a key of the named labels.

    >>> only(["job"])((("__name__", "up"), ("job", "a")))
    (('job', 'a'),)
    """
    wanted = frozenset(names)
    return lambda labels: tuple(pair for pair in labels if pair[0] in wanted)


def all_but(names: Iterable[str]) -> Callable[[Labels], Labels]:
    """Make a key of all labels but the named ones and the metric's name.

    >>> all_but(["job"])((("__name__", "up"), ("job", "a"), ("zone", "1")))
    (('zone', '1'),)
    """
    unwanted = frozenset(names) | {NAME}
    return lambda labels: tuple(pair for pair in labels if pair[0] not in unwanted)
