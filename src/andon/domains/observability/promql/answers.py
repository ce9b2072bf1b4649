"""What goes into a query besides its text, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from andon.domains.observability.promql.grid import Array
from andon.domains.observability.promql.nodes import Labels, Matcher


class Samples(Protocol):
    """Samples of one series, oldest first."""

    @property
    def labels(self) -> Labels:
        """Its labels."""
        ...

    @property
    def times_ms(self) -> Any:
        """``(n,) int64``."""
        ...

    @property
    def values(self) -> Any:
        """``(n,) float64``."""
        ...


Select = Callable[[Sequence[Matcher], int, int], Sequence[Samples]]
"""Find series by matchers, with their samples of ``start_ms <= t <= end_ms``."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one query may take.

    Args:
        samples: Held at once.
        work: Looked at altogether.
        lookback_ms: How old the newest sample of a series may be.
        subquery_step_ms: Of subqueries that name none.
    """

    samples: int = 50_000_000
    work: int = 300_000_000
    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000


USUAL = Limits()


class Row(Struct, frozen=True):
    """One series of an answer.

    Args:
        labels: Its labels.
        times_ms: ``(n,) int64``.
        values: ``(n,) float64``.
    """

    labels: Labels
    times_ms: Array
    values: Array


class Answer(Struct, frozen=True, kw_only=True):
    """What a query gives.

    Args:
        kind: Numbers and strings are one row without labels.
        rows: The series.
        text: The string.
        warnings: Why the answer may not be what is wanted.
        infos: What else there is to know.
    """

    kind: Literal["matrix", "vector", "scalar", "string"]
    rows: list[Row] = []
    text: str = ""
    warnings: list[str] = []
    infos: list[str] = []
