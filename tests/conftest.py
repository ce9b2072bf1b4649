"""What all suites share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance"


@pytest.fixture(scope="session")
def conformance_data() -> Path:
    """Test data written by others; it lies beside the project and is never part of it."""
    if not CONFORMANCE.is_dir():
        pytest.skip(f"the outside yardsticks are not at {CONFORMANCE}")
    return CONFORMANCE


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With ANDON_NO_SKIP=1 a skip is a failure: on CI a skipped promise is an untested one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("ANDON_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped although ANDON_NO_SKIP=1: {report.longrepr}"
