"""Regular expressions whose search takes time in proportion to the text, whatever the expression.

Strangers write the expressions and programs the texts; ``re`` may take exponential time. The syntax is
Python's without back-references, looking around and conditions. An expression becomes an automaton whose
states are made as they are needed (Thompson 1968; Cox, "Regular expression matching can be simple and
fast", 2007). It only says whether a text has a match.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from typing import Any

from andon.kernel.errors import UsageError

MOST_NODES = 2_000
MOST_CHARACTERS = 1_000
MOST_STEPS_KEPT = 20_000
SHORT_CHARACTERS = 2_000
"""Of texts so short, what repeats in one place only is left to ``re``: at worst it takes their square."""

_parser = importlib.import_module("re._parser")
_MATCH, _CHAR, _SPLIT, _ASSERT = range(4)
_START, _END, _BOUNDARY, _NO_BOUNDARY = range(4)
_ASSERTIONS = {
    "AT_BEGINNING": _START,
    "AT_BEGINNING_STRING": _START,
    "AT_END": _END,
    "AT_END_STRING": _END,
    "AT_BOUNDARY": _BOUNDARY,
    "AT_NON_BOUNDARY": _NO_BOUNDARY,
}
_ONE_CHARACTER = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": lambda one: one.isalnum() or one == "_",
}

Node = tuple[int, Any, tuple[int, ...]]
State = tuple[frozenset[int], str]


class LinearPattern:
    r"""An expression, compiled.

    >>> LinearPattern("(a+)+$").found_in("a" * 5000 + "b")
    False
    >>> LinearPattern(r"time(d )?out|\bERR\b").found_in("it timed out")
    True
    >>> LinearPattern(r"10\..*", whole=True).found_in("10.0.0.1")
    True

    Args:
        expression: What to look for.
        whole: It must match all of a text.
        fold: Whatever the case.

    Raises:
        UsageError: It is none, or asks for what takes more than linear time.
    """

    def __init__(self, expression: str, *, whole: bool = False, fold: bool = False) -> None:
        self._nodes: list[Node] = []
        self._whole = whole
        tree = _parsed(expression)
        self._fold = fold or bool(tree.state.flags & re.IGNORECASE)
        self.literal = "" if self._fold else _literal(tree)
        """What every match contains; empty: nobody knows."""
        self._dot_all = bool(tree.state.flags & re.DOTALL)
        try:
            self._begin = self._sequence(tree, self._add(_MATCH, None, ()))
        except RecursionError:
            raise UsageError(f"{expression!r} is nested too deeply") from None
        self._plain = None if _may_be_slow(tree) else _plain(expression, whole, self._fold)
        self._steps: dict[tuple[State, str], tuple[State, bool]] = {}
        self._first: State = (frozenset((self._begin,)), "")

    def found_in(self, text: str) -> bool:
        """Say whether a text has a match."""
        if self.literal not in text:
            return False
        if self._plain is not None and len(text) <= SHORT_CHARACTERS:
            return self._plain(text) is not None
        state, steps = self._first, self._steps
        for one in text:
            step = steps.get((state, one))
            if step is None:
                step = self._step(state, one)
            state, matched = step
            if matched and not self._whole:
                return True
        return self._closed(state, "")[1]

    # --- automaton ---------------------------------------------------------------------------------

    def _step(self, state: State, one: str) -> tuple[State, bool]:
        """Return the state behind a character, and whether a match ended before it."""
        open_nodes, matched = self._closed(state, one)
        after = {
            self._nodes[node][2][0]
            for node in open_nodes
            if self._nodes[node][0] == _CHAR and self._fits(self._nodes[node][1], one)
        }
        if not self._whole:
            after.add(self._begin)
        if len(self._steps) >= MOST_STEPS_KEPT:
            self._steps.clear()
        found = (frozenset(after), "w" if _is_word(one) else "."), matched
        self._steps[(state, one)] = found
        return found

    def _closed(self, state: State, following: str) -> tuple[set[int], bool]:
        """Follow all that takes no character, before a character or (empty) the end."""
        nodes, before = state
        seen: set[int] = set()
        left = list(nodes)
        matched = False
        while left:
            number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            kind, what, following_nodes = self._nodes[number]
            if kind == _MATCH:
                matched = True
            elif kind == _SPLIT or (kind == _ASSERT and _holds(what, before, following)):
                left.extend(following_nodes)
        return seen, matched

    def _fits(self, items: list[tuple[Any, Any]] | None, one: str) -> bool:
        if items is None:
            return self._dot_all or one != "\n"
        return _in(items, {one, one.lower(), one.upper()} if self._fold else {one})

    # --- from the tree -------------------------------------------------------------------------------

    def _add(self, kind: int, what: Any, following: tuple[int, ...]) -> int:
        if len(self._nodes) >= MOST_NODES:
            raise UsageError("the pattern is too large", hint="repeat less often in it")
        self._nodes.append((kind, what, following))
        return len(self._nodes) - 1

    def _sequence(self, tree: Any, then: int) -> int:
        for operation, what in reversed(list(tree)):
            then = self._piece(str(operation), what, then)
        return then

    def _piece(self, operation: str, what: Any, then: int) -> int:
        match operation:
            case "LITERAL" | "NOT_LITERAL":
                return self._add(_CHAR, [(operation, what)], (then,))
            case "ANY":
                return self._add(_CHAR, None, (then,))
            case "IN":
                return self._add(_CHAR, [(str(kind), value) for kind, value in what], (then,))
            case "AT":
                return self._add(_ASSERT, _ASSERTIONS[str(what)], (then,))
            case "BRANCH":
                return self._add(_SPLIT, None, tuple(self._sequence(one, then) for one in what[1]))
            case "SUBPATTERN":
                if what[1] or what[2]:
                    raise UsageError(
                        "flags for a part of a pattern are not taken", hint="put (?i) first"
                    )
                return self._sequence(what[3], then)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = what
                return self._repeated(least, most, inner, then)
        raise UsageError(
            "patterns take no back-references, no looking around and no conditions",
            hint="they would take too long; search for the parts",
        )

    def _repeated(self, least: int, most: int, tree: Any, then: int) -> int:
        if most == _parser.MAXREPEAT:
            loop = self._add(_SPLIT, None, ())
            self._nodes[loop] = (_SPLIT, None, (self._sequence(tree, loop), then))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._add(_SPLIT, None, (self._sequence(tree, then), end))
        for _ in range(least):
            then = self._sequence(tree, then)
        return then


def _parsed(expression: str) -> Any:
    if len(expression) > MOST_CHARACTERS:
        raise UsageError(f"a pattern has at most {MOST_CHARACTERS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parser.parse(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{expression!r} is no regular expression: {error}", hint="escape . ( [ * with \\"
        ) from None


def _plain(expression: str, whole: bool, fold: bool) -> Callable[[str], object]:
    compiled = re.compile(expression, re.IGNORECASE if fold else 0)
    return compiled.fullmatch if whole else compiled.search


def _literal(tree: Any) -> str:
    """Return the longest piece of text that stands in a tree as it is."""
    found, run = "", ""
    for operation, what in tree:
        if str(operation) == "LITERAL":
            run += chr(what)
            found = max(found, run, key=len)
        else:
            run = ""
    return found


def _may_be_slow(tree: Any) -> bool:
    """Say whether more than one thing of a tree may repeat, or stands where both differ (``$``)."""
    left, repeats = [tree], 0
    while left:
        for operation, what in left.pop():
            match str(operation):
                case "MAX_REPEAT" | "MIN_REPEAT":
                    repeats += 1
                    if any(str(inner) not in _ONE_CHARACTER for inner, _ in what[2]):
                        return True
                case "SUBPATTERN":
                    left.append(what[3])
                case "BRANCH":
                    left.extend(what[1])
                case "AT" if str(what) == "AT_END":
                    return True
    return repeats > 1


def _holds(kind: int, before: str, following: str) -> bool:
    if kind == _START:
        return before == ""
    if kind == _END:
        return following == ""
    return ((before == "w") != _is_word(following)) == (kind == _BOUNDARY)


def _is_word(one: str) -> bool:
    return one.isalnum() or one == "_"


def _in(items: list[tuple[Any, Any]], forms: set[str]) -> bool:
    """Say whether a character, in one of its forms, is one of a set's; or is not, if so it says."""
    negated = items[0][0] in ("NEGATE", "NOT_LITERAL")
    return negated != any(_is(kind, value, form) for kind, value in items for form in forms)


def _is(kind: str, value: Any, one: str) -> bool:
    code = ord(one) if len(one) == 1 else -1
    if kind in ("LITERAL", "NOT_LITERAL"):
        return bool(code == value)
    if kind == "RANGE":
        return bool(value[0] <= code <= value[1])
    if kind == "CATEGORY":
        name = str(value)
        return _CATEGORIES[name.replace("_NOT_", "_")](one) != ("_NOT_" in name)
    return False
