"""The security page says what it must, and the numbers it names are those of the code."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from andon.adapters.process import replica
from andon.app.access.logins import FREE_TRIES, LOCK_SECONDS, LONGEST_LOCK_SECONDS
from andon.app.access.tries import AT_ONCE

PAGE = Path(__file__).parents[2] / "docs/security.md"


@pytest.fixture(scope="module")
def said() -> str:
    return " ".join(PAGE.read_text().split())


@pytest.mark.parametrize(
    "title", ["Who is out there", "The door", "What is not promised", "Report a weakness"]
)
def test_it_tells_of_threats_promises_their_limits_and_where_to_report(title: str) -> None:
    assert f"\n## {title}\n" in PAGE.read_text()


def test_it_says_that_services_are_trusted_as_long_as_nothing_keeps_them_apart(said: str) -> None:
    assert "sandbox" not in inspect.getsource(replica), "then the page may promise more"
    assert "**Services are not sandboxed.** They run as Andon's own account" in said
    assert "**That includes every service**" in said


def test_guessing_is_bounded_as_it_says(said: str) -> None:
    numbers = (FREE_TRIES, LOCK_SECONDS, LONGEST_LOCK_SECONDS, AT_ONCE)
    assert numbers == (5, 60, 3600, 10)
    assert "After five wrong ones the name is locked, for a minute, doubling to an hour" in said
    assert "each address has ten tries a minute" in said
