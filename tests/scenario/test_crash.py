"""The control plane is killed at any commit, and before or after any action: the story stays the same."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from andon.testing.scenario import Scenario
from andon.testing.simulated_line import SimulatedLine

FOLDER = Path(__file__).parent
PRELUDE = [{"ship": "v1"}, {"wait": "until change v1 is over"}, {"wait": 5}]
ENDING = [
    {"ship": "v2"},
    {"wait": "until change v2 is over"},
    {"wait": "until run rollout-prod-web-v2 is over"},
    {"wait": 15},
]
FAULTS = {
    "good": [],
    "bad": [{"kind": "errors", "change": "v2", "share": 0.05}],
    "sick": [{"kind": "job", "name": "acceptance", "environment": "prod", "change": "v2"}],
}
KILLS = 14
"""Points a story is killed at, spread evenly; each run takes a fraction of a second."""


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class MortalLine(SimulatedLine):
    """A line that dies once, at a numbered point."""

    dies_at = -1
    passed = 0

    def passing(self, point: str) -> None:
        self.passed += 1
        if self.passed - 1 == self.dies_at:
            raise Killed(point)


class Saved:
    """A world and a store in which v1 has been released."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "saved.db"
        self.scenario = Scenario({"play": PRELUDE}, FOLDER, self.database)
        assert not self.scenario.play()
        self.scenario.close()

    def tell(self, story: str, folder: Path, dies_at: int = -1) -> tuple[dict[str, Any], int]:
        """Play the ending; what came of it, and how many points were passed."""
        database = folder / f"{story}{dies_at}.db"
        shutil.copy(self.database, database)
        scenario = Scenario({"play": []}, FOLDER, database, MortalLine)
        line = scenario.line
        assert isinstance(line, MortalLine)
        scenario.labels = dict(self.scenario.labels)
        line.policies = dict(self.scenario.line.policies)
        line.world = copy.deepcopy(self.scenario.line.world)
        line.clock = line.world.clock
        try:
            line.start()
            line.passed, line.dies_at = 0, dies_at
            for item in [{"faults": FAULTS[story]}, *ENDING]:
                _survive(scenario, item)
            return _outcome(scenario), line.passed
        finally:
            scenario.close()


def _survive(scenario: Scenario, item: dict[str, Any]) -> None:
    try:
        assert not scenario.perform(item)
    except Killed:
        scenario.line.restart()
        assert not scenario.perform(item)


def _outcome(scenario: Scenario) -> dict[str, Any]:
    actions: dict[str, Any] = {}
    for key, action in scenario.line.world.performed:
        assert actions.setdefault(key, action) == action, f"{key} meant two things"
    facts = scenario.facts()
    for topic in ("said", "messages"):
        facts[topic] = {name: _normal(said) for name, said in facts[topic].items()}
    return {
        **facts,
        "dev": scenario.effects("dev", "web"),
        "prod": scenario.effects("prod", "web"),
        "weights": {
            place: sorted(one.values()) for place, one in scenario.line.world.weights.items()
        },
        "ledger": sorted(scenario.ledger()),
    }


def _normal(said: str) -> str:
    """Leave out what depends on the moment: names of commits, and how much was counted by then."""
    said = re.sub(r"commit [0-9a-f]+", "commit", said)
    return re.sub(r"\d[\d ]* of .* (?=stable ones).*", "judged", said)


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Name the facts that differ, one by one."""
    told = []
    for topic in expected:
        mine, theirs = found[topic], expected[topic]
        if isinstance(theirs, dict):
            names = sorted(mine.keys() | theirs.keys())
            mine, theirs = ([(name, one.get(name)) for name in names] for one in (mine, theirs))
        told += [f"{topic}: {one}" for one in mine if one not in theirs]
        told += [f"{topic} lacks: {one}" for one in theirs if one not in mine]
    return told


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize("story", FAULTS)
def test_a_kill_at_any_point_changes_nothing_in_the_end(saved: Saved, story: str, tmp_path: Path):
    expected, points = saved.tell(story, tmp_path)
    assert points > KILLS
    for number in range(KILLS):
        point = number * points // KILLS
        found, _ = saved.tell(story, tmp_path, point)
        assert not _differences(found, expected), f"{story}, killed at point {point} of {points}"
