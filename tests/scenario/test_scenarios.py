"""Stories as text, played on the real store and controllers over a world in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.testing.scenario import Scenario, load

FOLDER = Path(__file__).parent
STORIES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path):
    scenario = Scenario(load(path), FOLDER, tmp_path / "andon.db")
    try:
        problems = scenario.play()
    finally:
        scenario.close()
    assert not problems, "\n".join(problems)
