"""The main job, as `make demo` does it: four versions under traffic, one of them bad, one interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MOST_FAILED_REQUESTS = 25
DEADLINE_SECONDS = 600


@pytest.fixture
def short_folder() -> Path:
    with tempfile.TemporaryDirectory(prefix="andon-test-") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_demo_stops_the_bad_version_and_only_it_fails_requests(short_folder: Path) -> None:
    report = short_folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "andon", "demo", "--seed", "7", "--json", str(report)],
        env={**os.environ, "TMPDIR": str(short_folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["good_promoted"]
    assert result["bad_rolled_back"]
    assert result["resumed_after_kill"]
    assert result["ledger_ok"]
    assert result["webhooks"] == 1
    assert result["requests"] > 5_000
    assert result["failed_requests"] == result["bad_canary_failed_requests"]
    assert 0 < result["bad_canary_failed_requests"] <= MOST_FAILED_REQUESTS
    assert result["budget"]["objective"] == "storefront"
    assert result["budget"]["failed"] == result["bad_canary_failed_requests"]
    assert result["budget"]["burnt_ratio"] > 0
    assert "andon unlatch prod storefront" in done.stdout
    assert list(short_folder.glob("andon-demo-*")) == [], "the demo cleans up"
