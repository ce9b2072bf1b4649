"""What the tests of logins share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lying_provider import Liar, running_liar


@pytest.fixture
def liar() -> Iterator[Liar]:
    """An OpenID provider that says what this test wants."""
    with running_liar() as running:
        yield running
