"""Which series there are: by labels, and the other way round."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from andon.adapters.telemetry.metrics.counters import Carry
from andon.calc.patterns import whole
from andon.kernel.errors import UsageError
from andon.ports.telemetry import Labels, Matcher


class Line:
    """A series, and its samples that are in no chunk yet.

    Args:
        id: Its number.
        labels: Its labels.
        counter: Whether it only grows.
    """

    __slots__ = (
        "carry", "counter", "first_ms", "id", "labels", "last_ms", "thinned", "times", "values",
    )  # fmt: skip

    def __init__(self, number: int, labels: Labels, *, counter: bool) -> None:
        self.id = number
        self.labels = labels
        self.counter = counter
        # How far it had come before the samples in ``times``; up to which day each thinning went.
        self.first_ms = self.last_ms = -1
        self.carry = Carry()
        self.thinned: dict[int, int] = {}
        self.times = array("q")
        self.values = array("d")

    def add(self, at_ms: int, value: float) -> None:
        """Keep a sample that is newer than all."""
        self.times.append(at_ms)
        self.values.append(value)
        self.last_ms = at_ms
        if self.first_ms < 0:
            self.first_ms = at_ms


class Index:
    """Series by labels, and by each label's name and value."""

    def __init__(self) -> None:
        self.lines: dict[int, Line] = {}
        self._by_labels: dict[Labels, Line] = {}
        self._postings: dict[str, dict[str, set[int]]] = {}
        self.newest = 0

    def find(self, labels: Labels) -> Line | None:
        """Return a series."""
        return self._by_labels.get(labels)

    def add(self, line: Line) -> None:
        """Take a series in."""
        self.lines[line.id] = line
        self._by_labels[line.labels] = line
        self.newest = max(self.newest, line.id)
        for name, value in line.labels:
            self._postings.setdefault(name, {}).setdefault(value, set()).add(line.id)

    def remove(self, line: Line) -> None:
        """Forget a series."""
        del self.lines[line.id], self._by_labels[line.labels]
        for name, value in line.labels:
            values = self._postings[name]
            values[value].discard(line.id)
            if not values[value]:
                del values[value]

    def matching(self, matchers: Sequence[Matcher]) -> list[Line]:
        """Return the series that all conditions hold for, oldest first."""
        found: set[int] | None = None
        for matcher in sorted(matchers, key=lambda one: one.op != "="):
            ids = self._ids(matcher, found)
            found = ids if found is None else found & ids
            if not found:
                return []
        chosen = self.lines if found is None else found
        return [self.lines[number] for number in sorted(chosen)]

    def _ids(self, matcher: Matcher, among: set[int] | None) -> set[int]:
        values = self._postings.get(matcher.name, {})
        if matcher.op == "=" and matcher.value:
            return values.get(matcher.value, set())
        holds = condition(matcher.op, matcher.value)
        if not holds(""):
            return set().union(*(ids for value, ids in values.items() if holds(value)))
        without: set[int] = set().union(*(ids for value, ids in values.items() if not holds(value)))
        return (set(self.lines) if among is None else among) - without


@lru_cache(maxsize=1024)
def condition(op: str, value: str) -> Any:
    """Return a function that says whether a label's value fits.

    Raises:
        UsageError: The regular expression is none.
    """
    if op == "=":
        return lambda text: text == value
    if op == "!=":
        return lambda text: text != value
    try:
        pattern = whole(value)
    except ValueError as error:
        raise UsageError(str(error), hint="the syntax is RE2's, as Prometheus has it") from None
    if op == "=~":
        return lambda text: pattern.fullmatch(text) is not None
    return lambda text: pattern.fullmatch(text) is None
