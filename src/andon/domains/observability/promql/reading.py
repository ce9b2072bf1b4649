"""Read the text of a query; whatever is not answered here is refused by name, with its place.

The grammar is that of ``promql-parser``. Its tree has no places: they are looked up in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from andon.domains.observability.promql.nodes import (
    NAME,
    Aggregation,
    At,
    Binary,
    Call,
    Card,
    Kind,
    Matcher,
    Negation,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
    Unreadable,
    kind_of,
    refused,
)
from andon.domains.observability.promql.supported import AGGREGATIONS, FUNCTIONS, OPERATORS

LONGEST_QUERY = 100_000
DEEPEST = 60
MOST_OPERATORS = 150
"""Each may be a level of the tree, and the parser checks a level by going through all below it: some ten
thousand end the process."""
OPERATOR = re.compile(r"[-+*/%^]|[<>=!]=?|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOT_QUERY = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""", re.DOTALL)
RAW_BYTE = re.compile(r"(?<!\\)(?:\\\\)*(\\x[89a-fA-F][0-9a-fA-F]|\\[23][0-7]{2})")
"""In a string; what is no UTF-8 is no label."""
UNREADABLE_BY_NAME = (
    (re.compile(r"[\]})]\s*(smoothed|anchored)\b"), "the modifier {0}"),
    (re.compile(r"\b(?!(?:or|and|unless|atan2|bool)\b)\w+\s+(smoothed|anchored)\b"),
     "the modifier {0}"),
    (re.compile(r"(@)\s*-\s*(?!0+(?:\.0*)?\b)"), "a time before 1970 after {0}"),
    (re.compile(r"\b(fill(?:_left|_right)?)\s*\("), "the modifier {0}"),
    (re.compile(r"(?:offset\s*-?\s*|\[\s*)(\()"), "a duration that is an expression"),
    (re.compile(r"\[[^\]\[{}]*?[\d)\w]\s*([-+*/^%])"), "a duration that is an expression"),
    (re.compile(r"(?:\[|\boffset|:)\s*[-+]?\s*\b(step|range|min|max|min_of|max_of)\s*\(", re.I),
     "a duration that is an expression"),
    (re.compile(r"\b(info)\s*\("), "the function {0}()"),
    (re.compile(r"([<>]/)"), "the operator {0}"),
)  # fmt: skip
_RENAMED = {"holt_winters": "it is called double_exponential_smoothing now"}


@lru_cache(maxsize=512)
def read(text: str) -> Node:
    """Read a query.

    Args:
        text: PromQL.

    Raises:
        Unreadable: It is none.
        Unsupported: It is, but of a part that is not answered here.

    >>> read("1 + 2")
    Binary(op='+', left=Number(value=1.0), right=Number(value=2.0), ...)
    >>> read("rate(x[5m] smoothed)")
    Traceback (most recent call last):
    andon.domains.observability.promql.nodes.Unsupported: the modifier smoothed at 1:12 ...
    """
    bare = _bare(text)
    _measure(text, bare)
    _refuse_by_sight(text, bare)
    from promql_parser import parse

    try:
        return _Reader(text, bare).node(parse(text))
    except (ValueError, OverflowError) as error:
        raise _unreadable(str(error), text, bare) from None
    except BaseException as error:  # A panic of the parser is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise Unreadable("parse error: the query cannot be read") from None


def place_in(text: str, at: int) -> str:
    r"""Return line and column of an index.

    >>> place_in("a +\n  b", 6)
    '2:3'
    """
    before = text[:at]
    return f"{before.count(chr(10)) + 1}:{at - (before.rfind(chr(10)) + 1) + 1}"


def _bare(text: str) -> str:
    """Blank out strings and comments; every index stays."""
    return NOT_QUERY.sub(lambda found: " " * len(found.group()), text)


def _measure(text: str, bare: str) -> None:
    if not text.strip():
        raise Unreadable("parse error: no expression found in input", hint="such as `up`")
    depth = deepest = 0
    for letter in bare:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    operators = len(OPERATOR.findall(re.sub(r"\{[^}]*\}", "", bare)))
    for found, most, what in (
        (len(text), LONGEST_QUERY, "characters"),
        (deepest, DEEPEST, "levels of brackets"),
        (operators, MOST_OPERATORS, "operators"),
    ):
        if found > most:
            raise Unreadable(f"the query has {found} {what}; one has at most {most}")


def _refuse_by_sight(text: str, bare: str) -> None:
    """Refuse what the parser does not know, and so could not name."""
    for string in NOT_QUERY.finditer(text):
        if string.group()[0] in "\"'" and (byte := RAW_BYTE.search(string.group())):
            raise refused(
                f"the byte {byte.group(1)}", place_in(text, string.start() + byte.start(1))
            )
    for pattern, words in UNREADABLE_BY_NAME:
        if found := pattern.search(bare):
            raise refused(words.format(found.group(1)), place_in(text, found.start(1)))


def _unreadable(why: str, text: str, bare: str) -> Unreadable:
    unknown = re.search(r"unknown function with name '(\w+)'", why)
    if not unknown:
        return Unreadable(f"parse error: {why}")
    name = unknown.group(1)
    at = re.search(rf"\b{name}\s*\(", bare)
    where = place_in(text, at.start()) if at else "1:1"
    return Unreadable(
        f"parse error: unknown function {name}() at {where}",
        hint=_RENAMED.get(name, "what is answered is listed in docs/promql.md"),
    )


def _ms(span: timedelta | None) -> int:
    return 0 if span is None else span // timedelta(milliseconds=1)


class _Reader:
    def __init__(self, text: str, bare: str) -> None:
        self.text = text
        self.bare = bare
        self.readers: dict[str, Callable[[Any], Node]] = {
            "NumberLiteral": lambda tree: Number(float(tree.val)),
            "StringLiteral": lambda tree: Text(tree.val),
            "ParenExpr": lambda tree: self.node(tree.expr),
            "UnaryExpr": self._negated,
            "VectorSelector": lambda tree: self._selector(tree),
            "MatrixSelector": lambda tree: Range(
                self._selector(tree.vector_selector), _ms(tree.range)
            ),
            "SubqueryExpr": self._subquery,
            "Call": self._call,
            "AggregateExpr": self._aggregation,
            "BinaryExpr": self._binary,
        }

    def node(self, tree: Any) -> Node:
        return self.readers[type(tree).__name__](tree)

    def where(self, pattern: str) -> str:
        found = re.search(pattern, self.bare)
        return place_in(self.text, found.start() if found else 0)

    def _negated(self, tree: Any) -> Node:
        inner = self.node(tree.expr)
        return Number(-inner.value) if isinstance(inner, Number) else Negation(inner)

    def _selector(self, tree: Any) -> Selector:
        if tree.matchers.or_matchers:
            raise refused("`or` between matchers", self.where(r"\bor\b"))
        matchers = tuple(_matcher(one) for one in tree.matchers.matchers)
        if tree.name and not any(one.name == NAME for one in matchers):
            matchers = (Matcher(NAME, "=", tree.name), *matchers)
        return Selector(matchers, _ms(tree.offset), _at(tree.at))

    def _subquery(self, tree: Any) -> Node:
        return Subquery(
            self.node(tree.expr),
            range_ms=_ms(tree.range),
            step_ms=_ms(tree.step),
            offset_ms=_ms(tree.offset),
            at=_at(tree.at),
        )

    def _call(self, tree: Any) -> Node:
        name = tree.func.name
        if name not in FUNCTIONS:
            raise refused(f"the function {name}()", self.where(rf"\b{name}\s*\("))
        kind = str(tree.func.return_type).rpartition(".")[2].lower()
        return Call(name, tuple(self.node(arg) for arg in tree.args), cast(Kind, kind))

    def _aggregation(self, tree: Any) -> Node:
        op = str(tree.op)
        if op not in AGGREGATIONS:
            raise refused(f"the aggregation {op}", self.where(rf"\b{op}\b"))
        modifier = tree.modifier
        return Aggregation(
            op,
            self.node(tree.expr),
            None if tree.param is None else self.node(tree.param),
            labels=tuple(modifier.labels) if modifier else (),
            without=bool(modifier) and str(modifier.type).endswith("Without"),
        )

    def _binary(self, tree: Any) -> Node:
        op, modifier = str(tree.op).strip(), tree.modifier
        if op not in OPERATORS:
            raise refused(f"the operator {op}", self.where(re.escape(op)))
        left, right = self.node(tree.lhs), self.node(tree.rhs)
        if modifier is None:
            sets = op in ("and", "or", "unless")
            return Binary(op, left, right, card="many-to-many" if sets else "one-to-one")
        fills = modifier.fill_values
        if fills is not None and (fills.lhs is not None or fills.rhs is not None):
            raise refused("the modifier fill", self.where(r"\bfill"))
        return Binary(
            op,
            left,
            right,
            compares_bool=modifier.return_bool,
            on=bool(modifier.matching) and str(modifier.matching.type).endswith("Include"),
            labels=tuple(modifier.matching.labels) if modifier.matching else (),
            card=_card(op, modifier, left, right),
            include=tuple(modifier.group_labels or ()),
        )


def _card(op: str, modifier: Any, left: Node, right: Node) -> Card:
    if op in ("and", "or", "unless"):
        return "many-to-many"
    if "scalar" in (kind_of(left), kind_of(right)):
        return "one-to-one"
    names: dict[str, Card] = {"ManyToOne": "many-to-one", "OneToMany": "one-to-many"}
    return names.get(str(modifier.card).rpartition(".")[2], "one-to-one")


def _matcher(one: Any) -> Matcher:
    ops: dict[str, Any] = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return Matcher(one.name, ops[str(one.op).rpartition(".")[2]], one.value)


def _at(modifier: Any) -> At:
    if modifier is None:
        return None
    kind = str(modifier.type).rpartition(".")[2]
    if kind in ("Start", "End"):
        return "start" if kind == "Start" else "end"
    try:
        since = modifier.at - EPOCH
    except (OverflowError, ValueError):
        raise Unreadable("parse error: the time after @ is out of range") from None
    return round(since / timedelta(milliseconds=1))


def formatted(text: str) -> str:
    """Write a query as it is usually written.

    Raises:
        UsageError: It cannot be read.

    >>> formatted("sum( rate(x[ 5m ]) )by( a )")
    'sum by (a) (rate(x[5m]))'
    """
    read(text)
    from promql_parser import parse

    return str(parse(text).prettify()).strip()
