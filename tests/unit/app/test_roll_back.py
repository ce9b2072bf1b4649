"""Going back means the version before the one that runs, at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.app import commands
from andon.testing.scenario import Scenario
from andon.testing.simulated_line import SimulatedLine

FOLDER = Path(__file__).parents[2] / "scenario"


class HastyLine(SimulatedLine):
    """A line on which a person goes back as soon as they see that a Change has succeeded."""

    change = ""
    noted = ""
    """The Run that the Environment took for the one that runs, in that moment."""
    run = ""

    def passing(self, point: str) -> None:
        if point != "commit turn Change" or self.run:
            return
        if self.change and self.phase("Change", self.change) == "Succeeded":
            self.noted = self.get("Environment", "prod").status.runs["web"]
            made = self.command(
                lambda tx, turns, now: commands.roll_back(
                    tx, turns, "prod", "web", by="ada", reason="no", now=now
                )
            )
            self.run = made.name


@pytest.fixture
def scenario(tmp_path: Path):
    scenario = Scenario({"play": []}, FOLDER, tmp_path / "a.db", HastyLine)
    scenario.line.start()
    yield scenario
    scenario.close()


def test_back_from_a_change_that_has_just_succeeded_is_to_the_one_before(scenario: Scenario):
    line = scenario.line
    assert isinstance(line, HastyLine)
    for label in ("v1", "v2", "v3"):
        assert scenario.perform({"ship": label}) == []
        line.change = scenario._change(label) if label == "v3" else ""
        assert scenario.perform({"wait": f"until change {label} is over"}) == []
    assert scenario.perform({"wait": 60}) == []
    before = {label: scenario._change(label) for label in ("v1", "v2")}
    assert line.noted == f"rollout-prod-web-{before['v2']}", "the Environment had had its turn"
    assert line.get("Run", line.run).spec.change == before["v2"]
    assert scenario.facts()["running"]["prod/web"] == "v2"
