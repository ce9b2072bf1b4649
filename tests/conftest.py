"""What all suites share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from andon.testing.mailbox import Mailbox
from andon.testing.postgres import PostgresServer, programs, running_postgres
from andon.testing.webhook import WebhookReceiver

CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance"

# The same examples in every run, however long this machine takes for them.
settings.register_profile(
    "andon",
    derandomize="ANDON_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("andon")


@pytest.fixture(scope="session")
def conformance_data() -> Path:
    """Test data written by others; it lies beside the project and is never part of it."""
    if not CONFORMANCE.is_dir():
        pytest.skip(f"the outside yardsticks are not at {CONFORMANCE}")
    return CONFORMANCE


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A Postgres of this session's own; take `new_schema()` of it."""
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    with running_postgres(where) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Who is told by webhooks."""
    opened = WebhookReceiver()
    opened.start()
    yield opened
    opened.kill()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Who is told by mail."""
    opened = Mailbox()
    yield opened
    opened.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With ANDON_NO_SKIP=1 a skip is a failure: on CI a skipped promise is an untested one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("ANDON_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped although ANDON_NO_SKIP=1: {report.longrepr}"
