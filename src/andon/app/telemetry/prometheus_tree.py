"""What a query says as a tree, in the words of Prometheus's ``/parse_query``; its brackets are gone by then."""

from __future__ import annotations

from typing import Any

from andon.app.telemetry.prometheus_json import number_text
from andon.domains.observability.promql.nodes import (
    NAME,
    SETS,
    Aggregation,
    At,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
    kind_of,
)


def tree_json(node: Node) -> dict[str, Any]:
    """Write a query.

    >>> tree_json(Negation(Number(2.0)))
    {'type': 'unaryExpr', 'op': '-', 'expr': {'type': 'numberLiteral', 'val': '2'}}
    """
    match node:
        case Number():
            return {"type": "numberLiteral", "val": number_text(node.value)}
        case Text():
            return {"type": "stringLiteral", "val": node.value}
        case Selector():
            return {"type": "vectorSelector", **_selector(node)}
        case Range():
            return {
                "type": "matrixSelector",
                "range": node.range_ms,
                **_selector(node.selector),
            }
        case Subquery():
            lasts = {"range": node.range_ms, "step": node.step_ms, "offset": node.offset_ms}
            return {"type": "subquery", "expr": tree_json(node.expr), **lasts, **_at(node.at)}
        case Negation():
            return {"type": "unaryExpr", "op": "-", "expr": tree_json(node.expr)}
        case Call():
            return _call(node)
        case Aggregation():
            return _aggregation(node)
        case Binary():
            return _binary(node)


def _selector(node: Selector) -> dict[str, Any]:
    names = [one.value for one in node.matchers if (one.name, one.op) == (NAME, "=")]
    return {
        "name": names[0] if names else "",
        "matchers": [
            {"name": one.name, "type": one.op, "value": one.value} for one in node.matchers
        ],
        "offset": node.offset_ms,
        **_at(node.at),
    }


def _at(at: At) -> dict[str, Any]:
    """Write the moment of ``@``: milliseconds, or an end of the query."""
    return {
        "timestamp": at if isinstance(at, int) else None,
        "startOrEnd": at if isinstance(at, str) else None,
    }


def _call(node: Call) -> dict[str, Any]:
    kinds = [kind_of(one) for one in node.args]
    function = {"name": node.name, "argTypes": kinds, "variadic": 0, "returnType": node.kind}
    return {"type": "call", "func": function, "args": [tree_json(one) for one in node.args]}


def _aggregation(node: Aggregation) -> dict[str, Any]:
    return {
        "type": "aggregation",
        "op": node.op,
        "expr": tree_json(node.expr),
        "param": tree_json(node.param) if node.param else None,
        "grouping": list(node.labels),
        "without": node.without,
    }


def _binary(node: Binary) -> dict[str, Any]:
    vectors = "scalar" not in (kind_of(node.left), kind_of(node.right))
    matching = {
        "card": "many-to-many" if node.op in SETS else node.card,
        "labels": list(node.labels),
        "on": node.on,
        "include": list(node.include),
    }
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": tree_json(node.left),
        "rhs": tree_json(node.right),
        "matching": matching if vectors else None,
        "bool": node.compares_bool,
    }
