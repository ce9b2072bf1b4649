"""Patterns of strangers."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.kernel.errors import UsageError
from andon.kernel.linear import LinearPattern

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\b", "^", "$", "(a|b)", "(ab|a)", r"\s", "(?:)"]
)
PATTERNS = st.lists(
    st.tuples(ATOMS, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])),
    max_size=5,
).map(lambda parts: "".join(a + (r if a not in ("^", "$", r"\b") else "") for a, r in parts))
TEXTS = st.text("ab1 _\n", max_size=8)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(PATTERNS, TEXTS)
def test_says_what_re_says(pattern: str, text: str) -> None:
    # `$` of re also matches before a last line end; ours means the end only.
    plain = re.compile(pattern.replace("$", r"\Z"))
    assert LinearPattern(pattern).found_in(text) == bool(plain.search(text))
    assert LinearPattern(pattern, whole=True).found_in(text) == bool(plain.fullmatch(text))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(PATTERNS, TEXTS)
def test_folds_case_as_re_does(pattern: str, text: str) -> None:
    plain = re.compile(
        pattern.replace("$", r"\Z")
        .upper()
        .replace(r"\B", r"\b")
        .replace(r"\D", r"\d")
        .replace(r"\W", r"\w")
        .replace(r"\S", r"\s")
        .replace(r"\z", r"\Z"),
        re.I,
    )
    assert LinearPattern(pattern, fold=True).found_in(text.upper()) == bool(plain.search(text))


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a?){50}a{50}b", ".*.*.*.*x", "(.*a){20}y"]
)
def test_evil_patterns_end(pattern: str) -> None:
    before = time.process_time()
    assert not LinearPattern(pattern).found_in("a" * 5000 + "!")
    assert time.process_time() - before < 20


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\1", "back-references"),
        ("a(?=b)", "looking around"),
        ("(", "no regular expression"),
        ("(a{900}){900}", "too large"),
        ("a" * 2000, "at most"),
    ],
)
def test_refuses_what_it_cannot_promise(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        LinearPattern(pattern)
