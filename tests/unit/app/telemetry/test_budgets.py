"""A budget that is burnt holds what its policy says, lets fixes pass, and lets go when it recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.api.v1.budgets import BudgetPolicySpec, BudgetStage, OverrideRule
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.objectives import RuleStatus
from andon.api.v1.records import Object
from andon.app import commands
from andon.app.telemetry.budgets import Budgets
from andon.app.why import explain
from andon.domains.reliability.budgets import GRACE_SECONDS, Balance
from andon.kernel.errors import Denied, NotFound, UsageError
from andon.ports.asking import Asked
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[3] / "scenario"
POLICY = BudgetPolicySpec(environments=("prod",))
BOB = Asked(by="person:bob", emails=("bob@example.com",), teams=("sre",))


class Place:
    """A simulated line with a BudgetPolicy, and a budget that a test sets."""

    def __init__(self, folder: Path, policy: BudgetPolicySpec = POLICY) -> None:
        self.scenario = Scenario({"play": []}, FOLDER, folder / "a.db")
        self.line = self.scenario.line
        self.line.start()
        self.budgets = self.begun()
        rule = NewObject(kind="BudgetPolicy", name="all", spec=policy, status=RuleStatus())
        self.line.tx(lambda tx: tx.create(rule, "policy-all", 0.0))

    def begun(self) -> Budgets:
        return Budgets(self.line.store, self.line.turns, self.line.clock)

    def play(self, *items: dict[str, Any]) -> None:
        for item in items:
            assert not self.scenario.perform(item)

    def ship(self, label: str) -> None:
        self.play({"ship": label}, {"wait": f"until change {label} is over"}, {"wait": 5})

    def left(self, remaining: float | None, burn: float = 1.0, *, seen: bool = True) -> None:
        balance = Balance(
            objective="web",
            environment="prod",
            service="web",
            remaining=remaining,
            burn=burn,
            seen=seen,
        )
        self.line._wait(self.budgets.look([balance]))

    def holds(self) -> list[Object]:
        return self.line.look(lambda tx: tx.list(Selector(kind="Hold", labels={"state": "active"})))

    def why(self, label: str) -> dict[str, Any]:
        change = self.scenario._change(label)
        return self.line.look(lambda tx: explain(tx, change, "", self.line.clock.now()))

    def reason(self, run: str) -> str:
        return str(self.line.get("Run", self.scenario._named(run)).status.reason)

    def approve(self, label: str, fix: str = "", asked: Asked = BOB) -> Object:
        change = self.scenario._change(label)
        return self.line.command(
            lambda tx, turns, now: commands.approve(
                tx, turns, change, "prod", asked=asked, reason="seen", now=now, fix=fix
            )
        )

    def override(self, seconds: float = 3600, asked: Asked = BOB, **more: Any) -> Any:
        told = {"environment": "", "service": "", "reason": "it cannot wait"} | more
        return self.line._wait(self.budgets.override("all", seconds=seconds, asked=asked, **told))

    def over(self, label: str) -> bool:
        return self.line.is_over("Change", self.scenario._change(label))

    def told(self) -> list[str]:
        return [
            line.split()[0] for line in self.line.ledger() if line.startswith(("hold", "budget"))
        ]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    opened = []

    def begin(policy: BudgetPolicySpec = POLICY) -> Place:
        opened.append(Place(tmp_path, policy))
        return opened[-1]

    yield begin
    for place in opened:
        place.scenario.close()


def test_bad_deploy_burns_the_budget_and_only_rollbacks_and_fixes_pass_until_it_recovers(start):
    place = start()
    place.ship("v1")
    place.ship("v2")
    place.left(-0.3, 80)
    (hold,) = place.holds()
    assert (hold.spec.source, hold.spec.effects["deploy"]) == ("budget:all", "deny")

    place.play({"ship": "v3"}, {"wait": "until run rollout-prod-web-v3 is Held"})
    said = place.why("v3")
    assert said["summary"] == (
        "held by budget:all: exhausted: web's error budget is spent, and it burns 80 times too fast"
    )
    assert not said["open"]
    assert said["holds"][0]["opens"] == (
        "andon budget override all --environment prod --service web --for 2h -m REASON"
    )

    place.play({"rollback": "web", "in": "prod"}, {"wait": 60})
    rollbacks = [name for name in place.line.ledger() if "rollback" in name and "finished" in name]
    assert rollbacks, "a rollback always passes"
    assert not place.over("v3")

    place.play({"ship": "v4"}, {"wait": "until run rollout-prod-web-v4 is Held"})
    place.approve("v4")
    place.play({"wait": 40})
    assert not place.over("v4"), "consent alone does not open what is denied"
    place.approve("v4", fix="security")
    place.play({"wait": "until change v4 is over"}, {"wait": 5})
    assert place.line.phase("Change", place.scenario._change("v4")) == "Succeeded"

    place.play({"ship": "v5"}, {"wait": "until run rollout-prod-web-v5 is Held"})
    place.left(0.7)
    assert not place.holds()
    place.play({"wait": "until change v5 is over"})
    lifted = place.line.look(lambda tx: tx.require("Hold", hold.name).status)
    assert (lifted.lifted_by, lifted.lift_reason) == ("budget:all", "the budget is healthy")
    assert place.told() == ["hold.pulled", "budget.changed", "hold.lifted", "budget.changed"]


def test_frozen_budget_asks_for_the_consent_of_another_person(start):
    place = start()
    place.ship("v1")
    place.left(0.05)
    place.play({"ship": "v2"}, {"wait": "until run rollout-prod-web-v2 is Held"})
    assert "andon approve CHANGE --environment prod" in place.why("v2")["holds"][0]["opens"]
    with pytest.raises(Denied, match="nobody approves their own"):
        place.approve("v2", asked=Asked(by="person:ada", emails=("ada@example.com",)))
    place.approve("v2")
    assert place.why("v2")["open"]
    place.play({"wait": "until change v2 is over"})


def test_consent_given_before_the_hold_does_not_open_it(start):
    place = start()
    place.ship("v1")
    place.play({"ship": "v2"}, {"wait": "until run rollout-dev-web-v2 is Running"})
    place.approve("v2")
    place.play({"wait": 1})
    place.left(0.05)
    place.play({"wait": "until run rollout-prod-web-v2 is Held"}, {"wait": 40})
    assert not place.over("v2")
    place.approve("v2")
    place.play({"wait": "until change v2 is over"})


def test_caution_lets_one_after_the_other_pass(start):
    place = start(BudgetPolicySpec(environments=("prod",), pace_seconds=600))
    place.ship("v1")
    place.left(0.4)
    place.play({"ship": "v2"}, {"wait": "until run rollout-prod-web-v2 is Held"}, {"wait": 500})
    assert place.reason("rollout-prod-web-v2") == "Held"
    place.play({"wait": 200}, {"wait": "until change v2 is over"})


def test_canary_is_paused_where_the_policy_says_so(start):
    denies = BudgetStage(remaining_below=0.1, raise_weight="deny")
    place = start(BudgetPolicySpec(frozen=denies))
    place.ship("v1")
    place.play({"ship": "v2"}, {"wait": "until run rollout-prod-web-v2 is Running"}, {"wait": 1})
    place.left(0.05)
    place.play({"wait": 60})
    assert place.reason("rollout-prod-web-v2") == "Held"
    place.left(0.9)
    place.play({"wait": "until change v2 is over"})


# --- overrides ------------------------------------------------------------------------------------


def test_override_lifts_at_once_ends_by_itself_and_says_who(start):
    place = start()
    place.ship("v1")
    place.left(-1)
    made = place.override()
    assert (made["by"], made["inForce"]) == ("person:bob", True)
    assert not place.holds()
    place.left(-1)
    assert not place.holds()
    assert any(line.startswith("budget.overridden") for line in place.line.ledger())
    place.play({"wait": 3601})
    place.left(-1)
    assert len(place.holds()) == 1


@pytest.mark.parametrize(
    ("asked", "more", "error"),
    [
        (Asked(by="service:ci"), {}, Denied),
        (Asked(by="person:eve"), {}, Denied),
        (BOB, {"seconds": 86401}, UsageError),
        (BOB, {"seconds": 0}, UsageError),
        (BOB, {"reason": "  "}, UsageError),
    ],
)
def test_override_needs_a_person_it_names_a_reason_and_an_end(start, asked, more, error):
    place = start(BudgetPolicySpec(override=OverrideRule(people=("team:sre",))))
    with pytest.raises(error):
        place.override(asked=asked, **more)


def test_override_of_nothing_names_what_there_is(start):
    place = start()
    with pytest.raises(NotFound, match="no BudgetPolicy other"):
        place.line._wait(
            place.budgets.override(
                "other", environment="", service="", seconds=60, asked=BOB, reason="r"
            )
        )


def test_nobody_lifts_what_a_budget_holds_and_the_command_that_does_is_named(start):
    place = start()
    place.ship("v1")
    place.left(-1)
    (hold,) = place.holds()
    with pytest.raises(Denied) as refused:
        place.line.command(
            lambda tx, turns, now: commands.lift(
                tx, turns, hold.name, by="person:bob", reason="r", now=now
            )
        )
    assert "andon budget override all" in refused.value.hint


# --- what is not known, and what is not there any more --------------------------------------------


def test_budget_that_cannot_be_seen_asks_for_consent_and_says_so(start):
    place = start()
    place.ship("v1")
    place.left(0.9)
    assert not place.holds()
    place.left(None, seen=False)
    place.play({"wait": GRACE_SECONDS})
    place.left(None, seen=False)
    (hold,) = place.holds()
    assert hold.spec.effects == {"deploy": "approval"}
    assert "cannot be seen" in hold.spec.reason
    place.left(0.9)
    assert not place.holds()


def test_nothing_is_written_while_nothing_changes(start):
    place = start()
    place.ship("v1")
    place.left(0.05)
    before = place.line.store.commits
    for remaining in (0.05, 0.06, 0.04):
        place.left(remaining)
    assert place.line.store.commits == before


def test_another_worker_goes_on_where_this_one_ended(start):
    place = start()
    place.ship("v1")
    place.left(0.09)
    place.budgets = place.begun()
    place.left(0.12)
    assert [one.spec.effects["deploy"] for one in place.holds()] == ["approval"]


def test_policy_that_is_gone_holds_nothing(start):
    place = start()
    place.ship("v1")
    place.left(-1)
    place.line.tx(lambda tx: tx.forget(tx.require("BudgetPolicy", "all")))
    place.left(-1)
    assert not place.holds()
    assert place.line._wait(place.budgets.list()) == []


def test_list_tells_how_each_budget_stands(start):
    place = start()
    place.ship("v1")
    place.left(0.05, 3)
    (row,) = place.line._wait(place.budgets.list())
    assert (row["state"], row["remaining"], row["said"]) == (
        "frozen",
        0.05,
        "frozen: 5 % of web's error budget is left",
    )
    shown = place.line._wait(place.budgets.show("all"))
    assert [one["hold"] for one in shown["budgets"]] == [row["hold"]]
