"""Patterns of paths."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.kernel.patterns import fixed_part, matches, problem

PARTS = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "a*b*", "**"])
NAMES = st.sampled_from(["a", "b", "ab", "aab", "abb", "ba"])


def as_regex(pattern: str) -> str:
    """The same by a regular expression, which takes its time."""
    parts = pattern.split("/")
    if parts[-1] == "**":
        parts.append("*")
    text = ""
    for part in parts:
        text += "(?:[^/]+/)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") + "/"
    return text.removesuffix("/")


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=6), st.lists(NAMES, min_size=1, max_size=6))
def test_it_fits_what_the_regular_expression_fits(parts: list[str], names: list[str]) -> None:
    pattern, path = "/".join(parts), "/".join(names)
    assert matches(pattern, path) == bool(re.fullmatch(as_regex(pattern), path))


def test_stars_without_end_take_no_time() -> None:
    assert not matches("*a" * 149 + "b", "a" * 4000)
    assert not matches("**/a/" * 60 + "b", "a/" * 2000 + "c")


@pytest.mark.parametrize("pattern", ["", "/", ".", "./", "/a", "../a", "a/../../b", "a\0b"])
def test_what_leads_nowhere_or_out_is_told(pattern: str) -> None:
    assert problem(pattern)


def test_what_is_fixed_is_walked_alone() -> None:
    assert fixed_part("a/b/**") == "a/b"
    assert fixed_part("a/b*/c") == "a"
