"""GitHub's expressions, as far as CEL over a change can say them.

Source: GitHub, "Evaluate expressions in workflows and actions" and "Contexts reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from andon.api.v1.pipelines import Scalar
from andon.domains.pipelines.foreign.carrying import as_variable
from andon.domains.pipelines.foreign.cel import (
    FALSE,
    TRUE,
    Said,
    Untold,
    both,
    either,
    literal,
    negated,
    of_branch,
)

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?\b)|(?P<sign>&&|\|\||[=!<>]=|[!()<>,])"
    r"|(?P<word>[A-Za-z_][\w-]*(?:\.[\w*-]+)*))"
)
_EVENTS = {
    "push": "push",
    "pull_request": "pull-request",
    "pull_request_target": "pull-request",
    "schedule": "schedule",
    "workflow_dispatch": "manual",
}
_VALUES = {
    "github.event_name": "change.event",
    "github.ref_name": "change.branch",
    "github.event.head_commit.message": "change.message",
}
_CALLS = {"contains": "contains", "startswith": "startsWith", "endswith": "endsWith"}
_MOST_TOKENS = 200
Axes = Mapping[str, Sequence[Scalar] | None]
"""Values of each axis of the matrix; None: only some combinations have one."""


class _Value:
    """A value that is no condition yet."""

    def __init__(self, code: str, kind: str, of: str = "", text: str = "") -> None:
        self.code = code
        self.kind = kind
        self.of = of
        self.text = text


class _Parser:
    def __init__(self, source: str, axes: Axes) -> None:
        self._axes = axes
        self._tokens = _tokens(source)
        self._at = 0

    def whole(self) -> _Value | Said:
        found = self._or()
        if self._at < len(self._tokens):
            raise Untold(self._tokens[self._at])
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _or(self) -> _Value | Said:
        found = self._and()
        while self._peek() == "||":
            self._next()
            found = either(_condition(found), _condition(self._and()))
        return found

    def _and(self) -> _Value | Said:
        found = self._compared()
        while self._peek() == "&&":
            self._next()
            found = both(_condition(found), _condition(self._compared()))
        return found

    def _compared(self) -> _Value | Said:
        one = self._single()
        if self._peek() not in ("==", "!="):
            if self._peek() in ("<", ">", "<=", ">="):
                raise Untold(f"the comparison `{self._peek()}`")
            return one
        sign = self._next()
        equal = self._equal(one, self._single())
        return equal if sign == "==" else negated(equal)

    def _equal(self, one: _Value | Said, other: _Value | Said) -> Said:
        if isinstance(one, _Value) and one.kind == "literal":
            one, other = other, one
        if isinstance(one, Said) and isinstance(other, _Value) and other.code in ("true", "false"):
            return one if other.code == "true" else negated(one)
        if not isinstance(one, _Value) or not isinstance(other, _Value) or other.kind != "literal":
            raise Untold("a comparison of two values that are not known before")
        return _compare(one, other, self._axes)

    def _single(self) -> _Value | Said:
        word = self._next()
        if word == "!":
            return negated(_condition(self._single()))
        if word == "(":
            found = self._or()
            self._expect(")")
            return found
        if word.startswith("'"):
            text = word[1:-1].replace("''", "'")
            return _Value(literal(text), "literal", text=text)
        if word in ("true", "false") or re.fullmatch(r"-?\d+(\.\d+)?", word):
            return _Value(word, "literal", text=word)
        if self._peek() == "(":
            return self._call(word)
        return self._named(word)

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise Untold(f"an expression without its `{sign}`")

    def _call(self, name: str) -> Said:
        self._next()
        arguments: list[_Value | Said] = []
        while self._peek() not in (")", ""):
            arguments.append(self._or())
            if self._peek() == ",":
                self._next()
        self._expect(")")
        if name.lower() == "success" and not arguments:
            return TRUE
        method = _CALLS.get(name.lower())
        if method is None or len(arguments) != 2:
            raise Untold(f"`{name}()`")
        value, part = arguments
        if not isinstance(value, _Value) or not isinstance(part, _Value) or part.kind != "literal":
            raise Untold(f"`{name}()` of values that are not known before")
        return _called(value, method, part, self._axes)

    def _named(self, word: str) -> _Value | Said:
        lower = word.lower()
        if lower == "github.ref":
            return _Value("change.branch", "ref")
        if lower == "runner.os":
            return _Value('"Linux"', "linux", text="Linux")
        if lower in _VALUES:
            return _Value(_VALUES[lower], lower)
        if lower.startswith("matrix.") and word.count(".") == 1:
            return _matrix(word.partition(".")[2], self._axes)
        raise Untold(f"`{word}`" if word else "an expression that ends too soon")


def _tokens(source: str) -> list[str]:
    found: list[str] = []
    at = 0
    while source[at:].strip():
        match = _TOKEN.match(source, at)
        if match is None or len(found) > _MOST_TOKENS:
            raise Untold(f"`{source[at:].strip()[:30]}`")
        found.append(match[0].strip())
        at = match.end()
    if found.count("(") + found.count("!") > 30:
        raise Untold("an expression that nests so deeply")
    return found


def _matrix(name: str, axes: Axes) -> _Value:
    if name not in axes:
        raise Untold(f"`matrix.{name}`, which is no value of the matrix")
    return _Value(f"matrix.{as_variable(name)}", "matrix", of=name)


def _compare(value: _Value, other: _Value, axes: Axes) -> Said:
    if value.kind == "literal" or value.kind == "linux":
        return TRUE if value.text.lower() == other.text.lower() else FALSE
    if value.kind == "ref":
        if not other.text.startswith("refs/heads/"):
            raise Untold(f"`github.ref` of `{other.text}`: tags are not told from branches")
        branch = literal(other.text.removeprefix("refs/heads/"))
        return of_branch(Said(f"change.branch == {branch}", 2))
    if value.kind == "github.event_name":
        event = _EVENTS.get(other.text)
        return Said(f'change.event == "{event}"', 2) if event else FALSE
    if value.kind == "github.ref_name":
        return of_branch(Said(f"change.branch == {other.code}", 2))
    if value.kind == "matrix":
        return _in_matrix(value, other, axes)
    return Said(f"{value.code} == {other.code}", 2)


def _in_matrix(value: _Value, other: _Value, axes: Axes) -> Said:
    values = axes[value.of]
    if values is None:
        raise Untold(
            f"`matrix.{value.of}`, which only some combinations have, or is of mixed kinds"
        )
    code = next((_code(one) for one in values if _written(one) == other.text), None)
    return Said(f"{value.code} == {code}", 2) if code else FALSE


def _code(value: Scalar) -> str:
    return literal(value) if isinstance(value, str) else _written(value)


def _written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _called(value: _Value, method: str, part: _Value, axes: Axes) -> Said:
    text = part.text
    if value.kind == "ref":
        if method != "startsWith" or not text.startswith("refs/heads/"):
            raise Untold(f"`{method}(github.ref, '{text}')`: tags are not told from branches")
        start = literal(text.removeprefix("refs/heads/"))
        return of_branch(Said(f"change.branch.startsWith({start})"))
    if value.kind == "matrix":
        values = axes[value.of]
        if values is None or not all(isinstance(one, str) for one in values):
            raise Untold(f"`{method}()` of values of the matrix that are no texts")
    elif value.kind not in ("github.event.head_commit.message", "github.ref_name"):
        raise Untold(f"`{method}()` of `{value.code}`")
    found = Said(f"{value.code}.{method}({literal(text)})")
    return of_branch(found) if value.kind == "github.ref_name" else found


def _condition(value: _Value | Said) -> Said:
    """Return what GitHub takes as true or false."""
    if isinstance(value, Said):
        return value
    if value.kind == "literal":
        return FALSE if value.text in ("", "false", "0") else TRUE
    if value.kind == "matrix":
        raise Untold(f"`matrix.{value.of}` by itself; compare it with a value")
    return Said(f'{value.code} != ""', 2)


def condition(source: str, axes: Axes) -> str:
    """Return a condition as CEL.

    Args:
        source: GitHub's expression, with or without ``${{ }}``.
        axes: The job's matrix.

    Raises:
        Untold: It says more than CEL can; what.

    >>> condition("github.event_name == 'pull_request' || startsWith(github.ref, 'refs/heads/v')", {})
    'change.event == "pull-request" || change.event != "pull-request" && change.branch.startsWith("v")'
    """
    inner = re.fullmatch(r"\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*", source, re.DOTALL)
    if inner is None and "${{" in source:
        raise Untold("a condition put together from several expressions")
    return _condition(_Parser(inner[1] if inner else source, axes).whole()).code


def value_of(source: str, axes: Axes) -> str:
    """Return an expression inside of a text as CEL.

    Args:
        source: What stands between the braces.
        axes: The job's matrix.

    Raises:
        Untold: It says more than CEL can; what.

    >>> value_of("github.ref_name", {}), value_of("matrix.os", {"os": ["linux"]})
    ('change.branch', 'matrix.os')
    """
    found = _Parser(source, axes).whole()
    if isinstance(found, Said) or found.kind in ("ref", "github.event_name"):
        raise Untold(f"`{source.strip()[:60]}`")
    return found.code
