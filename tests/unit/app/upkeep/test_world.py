"""A copy from the middle of a canary, against what the world may have done since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from andon.api.v1.actions import DeployReplicas, SetWeights, WriteDesired
from andon.api.v1.records import RolloutPlan, Version
from andon.app.upkeep import world
from andon.app.upkeep.world import Seen
from andon.domains.delivery.plan import deploy_action
from andon.kernel.errors import Conflict
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[3] / "scenario"
PROD = ("prod", "web")
STORY = [
    {"ship": "v1"},
    {"wait": "until change v1 is over"},
    {"wait": 5},
    {"ship": "v2"},
    {"wait": "until run rollout-prod-web-v2 at canary-10"},
    {"wait": 1},
]


class Copied(NamedTuple):
    scenario: Scenario
    v1: DeployReplicas
    v2: DeployReplicas
    v3: DeployReplicas

    def found(self, seen: dict[world.Place, Seen]) -> list[world.Difference]:
        return self.scenario.line.look(lambda tx: world.differences(tx, seen))

    def keep(self, seen: dict[world.Place, Seen]) -> dict[world.Place, Version]:
        found = self.found(seen)
        return self.scenario.line.command(
            lambda tx, turns, now: world.keep(tx, turns, seen, found, "ada", now)
        )

    def enforce(self, seen: dict[world.Place, Seen]) -> dict[world.Place, Version]:
        found = self.found(seen)
        return self.scenario.line.command(
            lambda tx, turns, now: world.enforce(tx, turns, seen, found, "ada", now)
        )

    def phase(self, kind: str, name: str) -> str:
        return self.scenario.line.phase(kind, self.scenario._named(name))

    @property
    def recorded(self) -> Version:
        version: Version = self.scenario.line.get("Environment", "prod").status.services["web"]
        return version

    def later(self, kind: type) -> list[object]:
        """Let the line go on; what of a kind it did to production."""
        performed = self.scenario.line.world.performed
        before = len(performed)
        self.scenario.line.run_for(120)
        return [
            action
            for _, action in performed[before:]
            if isinstance(action, kind) and action.environment == "prod"
        ]


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Copied]:
    scenario = Scenario({"play": STORY}, FOLDER, tmp_path / "a.db")
    assert not scenario.play()
    name = scenario._named("rollout-prod-web-v2")
    plan: RolloutPlan = scenario.line.get("Run", name).spec.rollout
    record = scenario.line.get("Environment", "prod").status
    before: RolloutPlan = scenario.line.get("Run", record.runs["web"]).spec.rollout
    third = replace(plan.version, digest=f"sha256:{'3' * 64}", change="shop-333333333333")
    later = replace(deploy_action(plan), version=third)
    yield Copied(scenario, deploy_action(before), deploy_action(plan), later)
    scenario.close()


def seen(*specs: DeployReplicas, desired: Version | None = None, **weights: float) -> Seen:
    keys = [spec.version.key for spec in specs]
    return Seen(
        ready=dict.fromkeys(keys, 2),
        weights={key: weight for key, weight in zip(keys, weights.values(), strict=True) if weight},
        specs={spec.version.key: spec for spec in specs},
        desired=desired,
    )


def test_world_in_which_the_canary_stands_as_it_stood_does_not_differ(copied: Copied) -> None:
    place = seen(copied.v1, copied.v2, desired=copied.v2.version, old=90, new=10)
    assert copied.found({PROD: place}) == []


def test_machine_on_which_nothing_runs_does_not_differ(copied: Copied) -> None:
    assert copied.found({}) == []
    assert copied.found({PROD: Seen(desired=copied.v1.version)}) == []


@pytest.mark.parametrize("case", ["weights", "version", "beside", "desired", "elsewhere"])
def test_world_that_went_on_differs(copied: Copied, case: str) -> None:
    places = {
        "weights": {PROD: seen(copied.v1, copied.v2, old=50, new=50)},
        "version": {PROD: seen(copied.v3, new=100)},
        "beside": {PROD: seen(copied.v1, copied.v2, copied.v3, old=90, new=10, more=0)},
        "desired": {PROD: Seen(desired=copied.v3.version)},
        "elsewhere": {("new", "web"): seen(copied.v3, new=100)},
    }
    (found,) = copied.found(places[case])
    assert found.keepable == (case not in {"desired", "elsewhere"})


def test_kept_world_is_what_the_line_goes_on_from(copied: Copied) -> None:
    finished = {PROD: seen(copied.v2, new=100)}
    assert copied.keep(finished) == {PROD: copied.v2.version}
    assert copied.recorded == copied.v2.version
    assert copied.phase("Run", "rollout-prod-web-v2") == "Cancelled"
    assert copied.phase("Change", "v2") == "Cancelled"
    assert copied.found(finished) == []
    assert "environment.adopted web" in copied.scenario.ledger()
    # What the copy was about to do to production is not done any more.
    weights = copied.later(SetWeights)
    assert all(one.weights == {copied.v2.version.key: 100.0} for one in weights)
    assert copied.later(WriteDesired) == []


def test_canary_that_nobody_judges_any_more_loses_its_traffic(copied: Copied) -> None:
    copied.keep({PROD: seen(copied.v1, copied.v2, old=60, new=40)})
    assert copied.recorded == copied.v1.version
    assert [one.weights for one in copied.later(SetWeights)] == [{copied.v1.version.key: 100.0}]


def test_version_that_the_copy_never_knew_is_kept_and_can_be_gone_back_from(copied: Copied) -> None:
    copied.keep({PROD: seen(copied.v3, new=100)})
    record = copied.scenario.line.get("Environment", "prod").status
    assert record.services["web"] == copied.v3.version
    assert copied.scenario.line.get("Run", record.previous["web"]).spec.rollout.version == (
        copied.v1.version
    )


def test_enforced_copy_goes_back_by_a_rollback(copied: Copied) -> None:
    copied.enforce({PROD: seen(copied.v2, new=100)})
    copied.scenario.line.run_for(120)
    assert copied.recorded == copied.v1.version
    assert copied.phase("Run", "rollback-1-prod-web") == "Succeeded"


def test_enforced_copy_is_desired_where_nothing_has_to_be_rolled_back(copied: Copied) -> None:
    went_on = {PROD: Seen(desired=copied.v3.version), ("new", "web"): seen(copied.v3, new=100)}
    assert copied.enforce(went_on) == {PROD: copied.v1.version}
    assert copied.phase("Run", "rollout-prod-web-v2") == "Cancelled"


def test_what_is_not_known_well_enough_is_not_kept(copied: Copied) -> None:
    with pytest.raises(Conflict, match="prod/web") as caught:
        copied.keep({PROD: Seen(desired=copied.v3.version)})
    assert "--enforce-copy" in caught.value.hint
    assert copied.phase("Run", "rollout-prod-web-v2") == "Running"
