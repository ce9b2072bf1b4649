"""The steps of a Run, with those at hand that are not over: a Run may have thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, ValuesView

from andon.api.v1.records import StepRow

OPEN = ("waiting", "running")


class Steps(Mapping[str, StepRow]):
    """Steps by name, in the order they were put; counted by state.

    Args:
        rows: The steps.

    >>> steps = Steps([StepRow(name="a", position=0), StepRow(name="b", position=1)])
    >>> steps.put(StepRow(name="a", position=0, state="passed"))
    >>> steps.count("passed"), [row.name for row in steps.open("waiting")]
    (1, ['b'])
    """

    __slots__ = ("_counts", "_open", "_rows")

    def __init__(self, rows: Iterable[StepRow] = ()) -> None:
        self._rows: dict[str, StepRow] = {}
        self._counts: Counter[str] = Counter()
        self._open: dict[str, dict[str, StepRow]] = {state: {} for state in OPEN}
        for row in rows:
            self.put(row)

    def __getitem__(self, name: str) -> StepRow:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[StepRow]:
        """Return the steps themselves."""
        return self._rows.values()

    def count(self, *states: str) -> int:
        """Return how many are in one of these states."""
        return sum(self._counts[state] for state in states)

    def open(self, state: str) -> Collection[StepRow]:
        """Return those that wait, or run."""
        return self._open[state].values()

    def copy(self) -> Steps:
        """Return steps of one's own, to change them."""
        other = Steps()
        other._rows = self._rows.copy()
        other._counts = self._counts.copy()
        other._open = {state: rows.copy() for state, rows in self._open.items()}
        return other

    def put(self, row: StepRow) -> None:
        """Write a step."""
        old = self._rows.get(row.name)
        if old is not None:
            self._counts[old.state] -= 1
            self._open.get(old.state, {}).pop(row.name, None)
        self._rows[row.name] = row
        self._counts[row.state] += 1
        if row.state in OPEN:
            self._open[row.state][row.name] = row
