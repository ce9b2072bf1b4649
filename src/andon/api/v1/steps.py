"""The steps of a Run, with those at hand that are not over: a Run may have thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, ValuesView
from itertools import islice

from andon.api.v1.records import StepRow, StepState

OPEN = ("waiting", "running")
AT_HAND = 256
"""So many steps that are over stay at hand, the latest; others are looked up by who can."""

LookUp = Callable[[Sequence[str]], Iterable[StepRow]]
"""Returns steps by name, in any order."""


class Steps(Mapping[str, StepRow]):
    """Steps by name, in the order they were first put; counted by state.

    Of one that is over, its state is always at hand; the rest of it may have to be looked up.

    Args:
        rows: The steps.

    >>> steps = Steps([StepRow(name="a", position=0), StepRow(name="b", position=1)])
    >>> steps.put(StepRow(name="a", position=0, state="passed"))
    >>> steps.count("passed"), steps.state("a"), [row.name for row in steps.open("waiting")]
    (1, 'passed', ['b'])
    """

    __slots__ = ("_counts", "_look_up", "_open", "_over", "_states")

    def __init__(self, rows: Iterable[StepRow] = ()) -> None:
        self._states: dict[str, StepState] = {}
        self._counts: Counter[str] = Counter()
        self._open: dict[str, dict[str, StepRow]] = {state: {} for state in OPEN}
        self._over: dict[str, StepRow] = {}
        self._look_up: LookUp | None = None
        for row in rows:
            self.put(row)

    def __getitem__(self, name: str) -> StepRow:
        found = self._at_hand(name)
        return next(self._in_order((name,))) if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, name: object) -> bool:
        return name in self._states

    def values(self) -> ValuesView[StepRow]:
        """Return the steps themselves, few at a time."""
        return _Rows(self)

    def state(self, name: str) -> StepState:
        """Return the state of a step, which is always at hand."""
        return self._states[name]

    def count(self, *states: str) -> int:
        """Return how many are in one of these states."""
        return sum(self._counts[state] for state in states)

    def open(self, state: str) -> Collection[StepRow]:
        """Return those that wait, or run."""
        return self._open[state].values()

    def names(self, *states: str) -> Iterator[str]:
        """Yield the names of those in one of these states, in order."""
        if self.count(*states):
            yield from (name for name, state in self._states.items() if state in states)

    def among(self, *states: str) -> Iterator[StepRow]:
        """Yield those in one of these states, in order."""
        return self._in_order(self.names(*states))

    def copy(self) -> Steps:
        """Return steps of one's own, to change them."""
        other = Steps()
        other._states = self._states.copy()
        other._counts = self._counts.copy()
        other._open = {state: rows.copy() for state, rows in self._open.items()}
        other._over = self._over.copy()
        other._look_up = self._look_up
        return other

    def put(self, row: StepRow) -> None:
        """Write a step."""
        name, old = row.name, self._states.get(row.name)
        if old is not None:
            self._counts[old] -= 1
            self._held(old).pop(name, None)
        self._states[name] = row.state
        self._counts[row.state] += 1
        self._held(row.state)[name] = row

    def lean_on(self, look_up: LookUp) -> None:
        """Let go of all but the latest that are over: who keeps them all returns them when asked."""
        self._look_up = look_up
        for name in list(islice(self._over, max(0, len(self._over) - AT_HAND))):
            del self._over[name]

    def _held(self, state: str) -> dict[str, StepRow]:
        return self._open.get(state, self._over)

    def _at_hand(self, name: str) -> StepRow | None:
        return self._held(self._states[name]).get(name)

    def _in_order(self, names: Iterable[str]) -> Iterator[StepRow]:
        """Yield steps by name; what is to be looked up is held a page at a time."""
        ahead = iter(names)
        while page := tuple(islice(ahead, AT_HAND)):
            far = tuple(name for name in page if self._at_hand(name) is None)
            found = self._look_up(far) if far and self._look_up else ()
            looked_up = {row.name: row for row in found}
            yield from (self._at_hand(name) or looked_up[name] for name in page)


class _Rows(ValuesView[StepRow]):
    def __init__(self, steps: Steps) -> None:
        super().__init__(steps)
        self._steps = steps

    def __iter__(self) -> Iterator[StepRow]:
        return self._steps._in_order(self._steps)
