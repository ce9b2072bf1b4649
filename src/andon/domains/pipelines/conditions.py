"""What expressions of a Pipeline come to for one change and one member of a matrix."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from andon.api import expressions
from andon.api.expressions import OPENING, Code, Wrong
from andon.api.matrix import written
from andon.api.v1.pipelines import ChangeFacts, Scalar
from andon.domains.pipelines.rules import by_paths

MOST_PATHS = 3000
"""A change that touches more is looked at no closer: its paths count as not known."""
LONGEST_MESSAGE = 2000
LONGEST_TEXT = 8192
"""Longest text that expressions in it may come to."""


class Situation:
    """The values that expressions see.

    Args:
        facts: What is known of the change.
    """

    def __init__(self, facts: ChangeFacts) -> None:
        known = facts.paths is not None and len(facts.paths) <= MOST_PATHS
        self.paths = facts.paths if known else None
        self._brief: dict[str, Any] = {
            "branch": facts.branch,
            "event": facts.event,
            "author": facts.author,
            "message": facts.message[:LONGEST_MESSAGE],
            "trusted": facts.trusted,
        }
        self._all = {**self._brief, "paths": list(self.paths or ())}
        self._touched: dict[tuple[str, ...], str] = {}
        self._holds: dict[Hashable, bool] = {}

    def holds(
        self,
        condition: str,
        matrix: Mapping[str, Scalar] = {},
        params: Mapping[str, Scalar] = {},
        shard: int = 0,
    ) -> bool:
        """Say whether a condition is true; one that asks for paths is, where they are not known.

        Args:
            condition: The expression.
            matrix: What the matrix chose.
            params: Parameters of the Template.
            shard: Which shard, from 1.

        Raises:
            Wrong: It cannot be evaluated, or is neither true nor false.

        >>> Situation(ChangeFacts(branch="main")).holds("change.branch == 'main'")
        True
        >>> Situation(ChangeFacts()).holds("change.paths.exists(p, p.endsWith('.md'))")
        True
        """
        values = {"matrix": matrix, "params": params, "shard": shard}
        used = {name: values[name] for name in expressions.named(condition) if name in values}
        key = (condition, repr(used)) if used else condition
        if key not in self._holds:
            self._holds[key] = self._found(condition, used)
        return self._holds[key]

    def _found(self, condition: str, used: Mapping[str, Any]) -> bool:
        if self.paths is None and ("change", "paths") in expressions.fields(condition):
            return True
        value = self._evaluated(condition, used)
        if not isinstance(value, bool):
            raise Wrong(
                f"expected true or false; it came to {_shown(value)}", "compare it: `… == …`"
            )
        return value

    def _evaluated(self, source: str, values: Mapping[str, Any]) -> Any:
        """Evaluate with no more than is asked for: a change may touch thousands of paths."""
        whole = "paths" in source or "[" in source
        return expressions.evaluate(
            source, {"change": self._all if whole else self._brief, **values}
        )

    def filled(
        self,
        text: str,
        matrix: Mapping[str, Scalar] = {},
        params: Mapping[str, Scalar] = {},
        shard: int = 0,
    ) -> str:
        """Put what expressions come to into a text.

        Raises:
            Wrong: One cannot be evaluated, or comes to no plain value.

        >>> Situation(ChangeFacts()).filled("py-${{ matrix.python }}", {"python": "3.12"})
        'py-3.12'
        """
        if OPENING not in text:
            return text
        values = {"matrix": matrix, "params": params, "shard": shard}
        parts = (
            _plain(self._evaluated(piece.source, values)) if isinstance(piece, Code) else piece
            for piece in expressions.pieces(text)
        )
        whole = "".join(parts)
        if len(whole) > LONGEST_TEXT:
            raise Wrong(f"it came to {len(whole)} characters; at most {LONGEST_TEXT} are taken")
        if "\0" in whole:
            raise Wrong("it came to a text with a NUL, which no program can be given")
        return whole

    def touches_none(self, patterns: tuple[str, ...]) -> str:
        """Say by which rule about paths a job is skipped; empty: by none."""
        if patterns not in self._touched:
            self._touched[patterns] = by_paths(patterns, self.paths)
        return self._touched[patterns]


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, int, float, bool)):
        return written(value)
    raise Wrong(f"it came to {_shown(value)}; expected text, a number or true or false")


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return f"the text {value[:40]!r}"
        case bool() | int() | float():
            return written(value)
        case list():
            return "a list"
    return "another value"
