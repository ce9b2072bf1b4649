"""A Change is cancelled at any moment of its life; a kill strikes before or after the wish is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.testing.scenario import Scenario, load

FOLDER = Path(__file__).parent
SLOW = [
    {"kind": "slow", "name": name, "environment": environment, "seconds": 0.7}
    for name, environment in (
        ("RunJob", ""),
        ("SetWeights", "prod"),
        ("DeployReplicas", "prod"),
        ("WriteDesired", "prod"),
        ("RemoveBackend", "prod"),
    )
]
PLAY = load(FOLDER / "cancel_canary.yaml")["play"]
MOMENTS = [0, 0.3, 0.9, 1.6, 2.2, 2.9, 4.2, 5, 5.8, 9, 16.9, 18, 19.5, 22, 25.2, 26, 27]


def play(folder: Path, seconds: float) -> Scenario:
    scenario = Scenario({"play": []}, FOLDER, folder / f"{seconds}.db")
    scenario.line.start()
    ship = next(item for item in PLAY if item.get("ship") == "v2")
    for item in [*PLAY[:2], {"wait": 15}, {"faults": SLOW}, ship, {"wait": seconds}]:
        assert not scenario.perform(item)
    return scenario


def active_run(scenario: Scenario) -> str:
    runs = scenario.facts()["runs"]
    ends = ("Succeeded", "Failed", "RolledBack", "Cancelled")
    return next((name for name, phase in runs.items() if not phase.startswith(ends)), "")


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_change_cancelled_at_any_moment_ends_and_leaves_what_was(seconds: float, tmp_path: Path):
    scenario = play(tmp_path, seconds)
    try:
        run = active_run(scenario)
        refused = scenario.perform({"cancel": run})
        scenario.line.restart()
        assert not scenario.perform({"wait": "until change v2 is over"})
        assert not scenario.perform({"wait": 20})
        facts = scenario.facts()
        weights = scenario.line.world.weights["prod", "web"]
    finally:
        scenario.close()
    cancelled = not refused
    assert facts["changes"]["v2"] == ("Cancelled" if cancelled else "Succeeded")
    assert facts["running"]["prod/web"] == facts["desired"]["prod/web"]
    assert facts["running"]["prod/web"] == ("v1" if cancelled else "v2")
    assert sorted(weights.values()) == [100]
    assert sum(name.startswith("prod/web") for name in facts["replicas"]) == 1
    assert (facts["holds"], facts["incidents"], facts["told"]) == ([], {}, [])
    if cancelled and "rollout" in run and facts["steps"][run]["gate"] == "passed":
        assert facts["steps"][run]["post-sweep"] == "passed"
