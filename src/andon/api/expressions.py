"""Expressions of Pipelines: CEL, the Common Expression Language, kept small.

They come from anybody's repository and are evaluated in the control plane, so what one may cost is
bounded before it is compiled: its length, and loops over lists, which neither nest nor follow each
other more than once. The interpreter is loaded where an expression is met, not before.

Source: the CEL language definition, google/cel-spec.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Collection, Mapping
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

from msgspec import Struct

from andon.api.problems import did_you_mean

MOST_CHARACTERS = 1000
MOST_LOOPS = 2
CHANGE = frozenset({"branch", "event", "author", "message", "paths", "trusted"})
"""What is known of a change."""
OPENING, CLOSING = "${{", "}}"

_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"{3}.*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\S)""",
    re.VERBOSE | re.DOTALL,
)
_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "string", "int", "double", "bool"}
)
_CEL = "cel.cel"
_LOADING = threading.Lock()
_WHERE = re.compile(r"ERROR: <input>:\d+:(\d+): (?:Syntax error: )?(.*)")


class Wrong(ValueError):
    """An expression is none, or cannot be evaluated; says why, for people.

    Args:
        message: What is wrong.
        hint: What to write instead.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Code(Struct, frozen=True):
    """An expression inside of a text."""

    source: str


Names = Mapping[str, Collection[str] | None]
"""What an expression may name, and the fields of each; None: it has none, or they are not known."""


@functools.lru_cache(maxsize=2048)
def pieces(text: str) -> tuple[str | Code, ...]:
    """Take a text apart into what stands there and expressions.

    Raises:
        Wrong: An expression does not end.

    >>> pieces("v-${{ matrix.python }}!")
    ('v-', Code(source='matrix.python'), '!')
    """
    found: list[str | Code] = []
    rest = text
    while OPENING in rest:
        before, _, rest = rest.partition(OPENING)
        source, closed, rest = _until_closing(rest)
        if not closed:
            raise Wrong(f"`{OPENING}` is not closed", f"write `{OPENING} … {CLOSING}`")
        found += [before, Code(source.strip())]
    return tuple(piece for piece in (*found, rest) if piece)


def _until_closing(text: str) -> tuple[str, bool, str]:
    """Cut at the first ``}}`` that is not inside of a text of the expression."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["sign"] == "{":
            depth += 1
        elif token["sign"] == "}" and depth:
            depth -= 1
        elif token["sign"] == "}" and text.startswith(CLOSING, token.start()):
            return text[: token.start()], True, text[token.start() + len(CLOSING) :]
    return text, False, ""


def check(source: str, names: Names) -> None:
    """Say what is wrong with an expression, as far as can be told before it is evaluated.

    Args:
        source: The expression.
        names: What it may name.

    Raises:
        Wrong: It is too long, no CEL, or names what is not there.

    >>> check("change.branch == 'main'", {"change": CHANGE})
    >>> check("change.brain == 'main'", {"change": CHANGE})
    Traceback (most recent call last):
    andon.api.expressions.Wrong: `change` has no `brain`
    """
    program = compiled(source)
    bound = _bound(source)
    for name in named(source):
        if name not in names and name not in bound:
            raise Wrong(f"nothing is called `{name}` here", did_you_mean(name, names))
    for name in program.functions():
        if name[:1].isalpha() and name not in _FUNCTIONS:
            raise Wrong(f"there is no function `{name}`", did_you_mean(name, _FUNCTIONS))
    if "change" not in bound and _as_a_whole(source, "change"):
        raise Wrong("`change` stands alone", "ask for one of its fields: `change.branch`")
    for name, field in fields(source):
        known = names.get(name)
        if name not in bound and known is not None and field not in known:
            raise Wrong(f"`{name}` has no `{field}`", did_you_mean(field, known))


def _as_a_whole(source: str, name: str) -> bool:
    """Say whether a name is used without asking for a field of it by its word."""
    words = ["", *(match[0] for match in _TOKEN.finditer(source)), ""]
    triples = zip(words, words[1:], words[2:], strict=False)
    return any(word == name and before != "." != after for before, word, after in triples)


@functools.lru_cache(maxsize=2048)
def fields(source: str) -> tuple[tuple[str, str], ...]:
    """Return what an expression asks of names: ``change.branch`` is ("change", "branch").

    >>> fields("change.branch == 'change.x' || has(matrix.os)")
    (('change', 'branch'), ('matrix', 'os'))
    """
    words = [match[0] for match in _TOKEN.finditer(source)]
    quads = zip(["", *words], words, words[1:], words[2:], strict=False)
    return tuple(
        (name, field)
        for before, name, dot, field in quads
        if dot == "." and before != "." and name[0].isidentifier() and field[0].isidentifier()
    )


@functools.lru_cache(maxsize=2048)
def named(source: str) -> tuple[str, ...]:
    """Return the names an expression uses.

    >>> named("change.branch == matrix.branch")
    ('change', 'matrix')
    """
    return tuple(compiled(source).variables())


def evaluate(source: str, values: Mapping[str, Any]) -> Any:
    """Evaluate an expression.

    Args:
        source: The expression.
        values: What it may name.

    Raises:
        Wrong: It cannot be evaluated with these values.

    >>> evaluate("matrix.python == '3.12'", {"matrix": {"python": "3.12"}})
    True
    """
    try:
        return compiled(source).execute(dict(values))
    except Wrong:
        raise
    except KeyError as error:
        raise Wrong(f"there is no {str(error.args[0])[:80]}", "ask first: `has(a.b)`") from None
    except BaseException as error:
        raise _translated(error) from None


@functools.lru_cache(maxsize=2048)
def compiled(source: str) -> Any:
    """Compile an expression, having bounded what it may cost.

    Raises:
        Wrong: It is too long, loops too often, or is no CEL.
    """
    if not source.strip():
        raise Wrong("the expression is empty")
    if len(source) > MOST_CHARACTERS:
        raise Wrong(
            f"the expression has {len(source)} characters; at most {MOST_CHARACTERS} are read"
        )
    _bound_loops(source)
    try:
        return _cel().compile(source)
    except BaseException as error:
        raise _translated(error) from None


def _bound_loops(source: str) -> None:
    """Refuse what could take time or memory without measure."""
    depth, loops, ends = 0, 0, -1
    words = [match[0] for match in _TOKEN.finditer(source)]
    for place, word in enumerate(words):
        if word == "(":
            depth += 1
            called = words[place - 1] if place else ""
            if called in _LOOPS and words[place - 2 : place - 1] == ["."]:
                loops += 1
                if 0 <= ends < depth:
                    raise Wrong(f"`{called}` stands inside of another loop", "loops do not nest")
                ends = depth
        elif word == ")":
            ends = -1 if depth == ends else ends
            depth -= 1
    if loops > MOST_LOOPS:
        raise Wrong(f"{loops} loops over lists; at most {MOST_LOOPS} are allowed")


def _bound(source: str) -> set[str]:
    """Return the names that loops give to what they look at."""
    words = [match[0] for match in _TOKEN.finditer(source)]
    following = zip(words, words[1:], words[2:], words[3:], strict=False)
    return {
        name
        for loop, opened, name, comma in following
        if loop in _LOOPS and opened == "(" and comma == ","
    }


def _cel() -> ModuleType:
    """Return the interpreter, loaded once: a second time it would panic."""
    with _LOADING:
        return sys.modules.get(_CEL) or _loaded()


def _loaded() -> ModuleType:
    """Load the interpreter alone: its package would load a command line of ten times its size."""
    package = PathFinder.find_spec("cel")
    places = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec(_CEL, places)
    if spec is None or spec.loader is None:
        raise Wrong("the package common-expression-language is missing", "andon doctor")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_CEL] = module
    return module


def _translated(error: BaseException) -> Wrong:
    """Say what the interpreter said; a panic of its is no exception of Python's."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    said = str(error)
    if found := _WHERE.search(said):
        return Wrong(f"not CEL, at character {found[1]}: {found[2].split(' expecting ')[0][:120]}")
    if isinstance(error, ZeroDivisionError):
        return Wrong("it divides by zero")
    if isinstance(error, TypeError):
        hint = "compare texts with texts: `'1'`, or convert: `string(…)`, `int(…)`"
        return Wrong("values of different kinds do not go together", hint)
    return Wrong(said.split("\n")[0][:160])
