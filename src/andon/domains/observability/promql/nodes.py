"""What a query says, once read: values without behaviour.

``offset_ms`` shifts into the past. ``at`` is a moment in milliseconds, ``start`` or ``end`` of the query.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from andon.kernel.errors import UsageError

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs of name and value."""
NAME = "__name__"
At = int | Literal["start", "end"] | None
Card = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
Kind = Literal["scalar", "vector", "matrix", "string"]


class Unreadable(UsageError):
    """The text is no PromQL."""


class Unsupported(UsageError):
    """It is PromQL, of a part that is not answered here."""


class CannotEvaluate(UsageError):
    """The data do not allow what is asked, such as two series with the same labels."""

    http_status = 422


class TooLarge(CannotEvaluate):
    """The answer would take more work or memory than one query may."""


class Matcher(Struct, frozen=True):
    """A condition on a label; regular expressions match the whole."""

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Number(Struct, frozen=True, tag=True):
    """A number."""

    value: float


class Text(Struct, frozen=True, tag=True):
    """A string."""

    value: str


class Selector(Struct, frozen=True, tag=True):
    """The newest sample of each matching series."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: At = None


class Range(Struct, frozen=True, tag=True):
    """The samples of a window, of each matching series."""

    selector: Selector
    range_ms: int


class Subquery(Struct, frozen=True, tag=True):
    """The answers of an expression over a window. ``step_ms`` 0: the usual step."""

    expr: Node
    range_ms: int
    step_ms: int = 0
    offset_ms: int = 0
    at: At = None


class Call(Struct, frozen=True, tag=True):
    """A function of arguments."""

    name: str
    args: tuple[Node, ...]
    kind: Kind


class Aggregation(Struct, frozen=True, tag=True):
    """Many series become few. Grouped by ``labels``, or, if ``without``, by all others."""

    op: str
    expr: Node
    param: Node | None = None
    labels: tuple[str, ...] = ()
    without: bool = False


class Binary(Struct, frozen=True, tag=True):
    """Two sides and an operator.

    Args:
        op: The operator.
        left: One side.
        right: The other.
        compares_bool: Comparisons answer 0 or 1 instead of leaving series out.
        on: Sides are matched on ``labels``; if not, on all others.
        labels: See ``on``.
        card: How many of one side match how many of the other.
        include: Labels taken from the "one" side.
    """

    op: str
    left: Node
    right: Node
    compares_bool: bool = False
    on: bool = False
    labels: tuple[str, ...] = ()
    card: Card = "one-to-one"
    include: tuple[str, ...] = ()


class Negation(Struct, frozen=True, tag=True):
    """Unary minus."""

    expr: Node


Node = Number | Text | Selector | Range | Subquery | Call | Aggregation | Binary | Negation
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SETS = frozenset({"and", "or", "unless"})


def kind_of(node: Node) -> Kind:
    """Say what an expression answers with.

    >>> kind_of(Binary("+", Number(1), Number(2)))
    'scalar'
    """
    match node:
        case Number():
            return "scalar"
        case Text():
            return "string"
        case Range() | Subquery():
            return "matrix"
        case Call():
            return node.kind
        case Negation():
            return kind_of(node.expr)
        case Binary():
            both = kind_of(node.left), kind_of(node.right)
            return "scalar" if both == ("scalar", "scalar") else "vector"
        case _:
            return "vector"


def refused(what: str, where: str, hint: str = "") -> Unsupported:
    """Say what is not answered here, and where it was found.

    >>> refused("the function info()", "1:1").message
    'the function info() at 1:1 is outside of the PromQL answered here'
    """
    told = hint or "what is answered is listed in docs/promql.md"
    return Unsupported(f"{what} at {where} is outside of the PromQL answered here", hint=told)


def selectors_in(node: Node) -> list[Selector]:
    """Return every selector of an expression.

    >>> [one.matchers[0].value for one in selectors_in(Negation(Selector((Matcher("a", "=", "b"),))))]
    ['b']
    """
    match node:
        case Selector():
            return [node]
        case Range():
            return [node.selector]
        case Negation() | Subquery():
            return selectors_in(node.expr)
        case Aggregation():
            inner: tuple[Node, ...] = (node.expr, *([node.param] if node.param else []))
        case Binary():
            inner = (node.left, node.right)
        case Call():
            inner = node.args
        case _:
            inner = ()
    return [selector for one in inner for selector in selectors_in(one)]
