"""Expressions: bounded before they are compiled, checked before they are evaluated."""

from __future__ import annotations

import subprocess
import sys

import pytest

from andon.api.expressions import CHANGE, Code, Wrong, check, evaluate, pieces

NAMES = {"change": CHANGE, "matrix": {"os"}, "shard": None}


@pytest.mark.parametrize(
    "source",
    [
        "change.branch == 'main' && matrix.os != \"mac\"",
        "change.paths.exists(p, p.startsWith('src/'))",
        "shard > 1",
        "!(change.event in ['push', 'manual'])",
        "matrix['os'] == 'linux'",
        "has(matrix.os)",
        "change.branch.matches('^v[0-9]+$')",
    ],
)
def test_what_is_allowed(source: str) -> None:
    check(source, NAMES)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "is empty"),
        ("change.branch ==", "not CEL, at character 17"),
        ("change.brunch == 'x'", "`change` has no `brunch`"),
        ("matrix.python", "`matrix` has no `python`"),
        ("params.a", "nothing is called `params`"),
        ("env.HOME", "nothing is called `env`"),
        ("open('/etc/passwd')", "no function `open`"),
        ("change['paths']", "`change` stands alone"),
        ("a" * 1001, "1001 characters"),
    ],
)
def test_what_is_wrong_is_named(source: str, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        check(source, NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "change.paths.exists(p, change.paths.exists(q, p == q))",
        "[1].map(a, [2].map(b, b))",
        "[1].map(a, a).map(b, b).map(c, c)",
        "[['x'].map(a, a + a)].map(b, b).map(c, c)",
    ],
)
def test_loops_that_could_take_time_or_memory_without_measure_are_refused(source: str) -> None:
    with pytest.raises(Wrong, match="loop"):
        check(source, NAMES)


@pytest.mark.parametrize("sign", ["(", "[", "!", "-", "{", "'", "a.", "true?", "1+", "}}", "\\"])
def test_nonsense_of_any_depth_is_refused_and_nothing_breaks(sign: str) -> None:
    with pytest.raises(Wrong):
        check((sign * 1000)[:1000], NAMES)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "divides by zero"),
        ("'a' + 1", "different kinds"),
        ("matrix.gone == 'x'", "there is no gone"),
        ("change.branch.matches('(')", "regex"),
    ],
)
def test_what_cannot_be_evaluated_says_why(source: str, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        evaluate(source, {"change": {"branch": "main"}, "matrix": {}})


def test_texts_are_taken_apart_where_expressions_end() -> None:
    assert pieces("a${{ x }}b${{'}}'}}") == ("a", Code("x"), "b", Code("'}}'"))
    assert pieces("${{ {'a': {'b': 1}}.a.b }}") == (Code("{'a': {'b': 1}}.a.b"),)
    assert pieces("$x ${y} $(z) {{ a }}") == ("$x ${y} $(z) {{ a }}",)
    with pytest.raises(Wrong, match="not closed"):
        pieces("a ${{ b }")


def test_the_interpreter_is_loaded_where_an_expression_is_met_and_alone() -> None:
    script = (
        "import sys, andon.api.project\n"
        "assert 'cel.cel' not in sys.modules\n"
        "from andon.api.expressions import evaluate\n"
        "assert evaluate('1 + 1', {}) == 2\n"
        "assert 'typer' not in sys.modules and 'rich' not in sys.modules\n"
        "import cel\n"  # and does not hinder who wants the whole package
        "assert cel.evaluate('1 + 1') == 2\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
