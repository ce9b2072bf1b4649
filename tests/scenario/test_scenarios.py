"""Stories as text, played on the real store and controllers over a world in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from andon.store import verify_ledger
from andon.testing.cdevents import check_event
from andon.testing.scenario import Scenario, load

FOLDER = Path(__file__).parent
STORIES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path, request: pytest.FixtureRequest):
    scenario = Scenario(load(path), FOLDER, tmp_path / "andon.db")
    try:
        problems = scenario.play()
        events = scenario.line.tx(lambda tx: tx.events(limit=10_000))
        verified = scenario.line.tx(verify_ledger)
    finally:
        scenario.close()
    assert not problems, "\n".join(problems)
    assert not verified.findings
    # Asked for last: without the outside yardsticks the story itself is still held to its text.
    conformance_data = request.getfixturevalue("conformance_data")
    for event in events:
        check_event(conformance_data, json.loads(event.body))
