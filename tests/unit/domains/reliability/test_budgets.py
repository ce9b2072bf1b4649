"""A budget that shrinks narrows what may be done, and widens it again only well beyond the line."""

from __future__ import annotations

import pytest

from andon.api.v1.budgets import BudgetPolicySpec, BudgetStage, BudgetStanding, OverrideSpec
from andon.api.v1.records import Empty, Object, Subject
from andon.domains.reliability.budgets import (
    GRACE_SECONDS,
    Balance,
    covers,
    is_same,
    judge_budget,
    wanted_hold,
)

POLICY = BudgetPolicySpec()
PLACE = ("prod", "shop")


def balance(remaining: float | None, burn: float | None = 1.0, *, seen: bool = True) -> Balance:
    return Balance(
        objective="shop",
        environment="prod",
        service="shop",
        remaining=remaining,
        burn=burn,
        seen=seen,
    )


class Story:
    """Looks at one budget after the other, as the loop does."""

    def __init__(self) -> None:
        self.standing: BudgetStanding | None = None
        self.now = 1000.0

    def sees(self, *balances: Balance) -> str:
        self.now += 60
        self.standing = judge_budget(POLICY, balances, self.standing, self.now)
        return self.standing.state


@pytest.mark.parametrize(
    ("remaining", "burn", "state"),
    [
        (1.0, 1, "healthy"),
        (0.5, 1, "healthy"),
        (0.49, 1, "caution"),
        (0.9, 6.1, "caution"),
        (0.09, 1, "frozen"),
        (0.0, 0, "exhausted"),
        (-3.0, 0, "exhausted"),
    ],
)
def test_state_follows_what_is_left_and_how_fast_it_burns(remaining, burn, state):
    assert judge_budget(POLICY, [balance(remaining, burn)], None, 0).state == state


def test_state_is_left_only_beyond_the_margin():
    story = Story()
    assert story.sees(balance(0.09)) == "frozen"
    assert story.sees(balance(0.12)) == "frozen"
    assert story.sees(balance(0.151)) == "caution"
    assert story.sees(balance(0.52)) == "caution"
    assert story.sees(balance(0.551)) == "healthy"
    assert story.sees(balance(0.52)) == "healthy"


def test_burning_is_over_at_half_of_its_threshold():
    story = Story()
    assert story.sees(balance(0.9, 7)) == "caution"
    assert story.sees(balance(0.9, 4)) == "caution"
    assert story.sees(balance(0.9, 2.9)) == "healthy"


def test_exhausted_budget_recovers_step_by_step():
    story = Story()
    assert story.sees(balance(-1)) == "exhausted"
    assert story.sees(balance(0.04)) == "exhausted"
    assert story.sees(balance(0.06)) == "frozen"


def test_worst_of_several_budgets_counts():
    bad, good = balance(0.05), balance(0.9)
    standing = judge_budget(POLICY, [good, bad], None, 0)
    assert (standing.state, standing.remaining) == ("frozen", 0.05)


def test_state_keeps_the_time_it_began():
    story = Story()
    story.sees(balance(0.09))
    since = story.standing.since
    story.sees(balance(0.08))
    assert story.standing.since == since


# --- what is not known ----------------------------------------------------------------------------


def hold(story_or_standing, now: float, overrides=()):
    return wanted_hold("all", POLICY, PLACE, story_or_standing, overrides, now)


def test_budget_never_seen_holds_nothing():
    story = Story()
    assert story.sees(balance(None, None)) == "healthy"
    assert hold(story.standing, story.now + 86400) is None


def test_budget_that_cannot_be_seen_any_more_neither_recovers_nor_lets_pass_as_before():
    story = Story()
    story.sees(balance(0.9))
    assert story.sees(balance(0.9, seen=False)) == "healthy"
    gone_at = story.now
    assert hold(story.standing, gone_at + GRACE_SECONDS - 1) is None
    held = hold(story.standing, gone_at + GRACE_SECONDS)
    assert held.effects == {"deploy": "approval"}
    assert "cannot be seen for 5 minutes" in held.reason
    story.sees(balance(0.9))
    assert hold(story.standing, story.now + 900) is None


def test_unknown_does_not_loosen_what_was_held():
    story = Story()
    story.sees(balance(-0.2))
    assert story.sees() == "exhausted"
    assert hold(story.standing, story.now + 900).effects["deploy"] == "deny"


# --- the Hold -------------------------------------------------------------------------------------


def test_healthy_budget_holds_nothing():
    assert hold(judge_budget(POLICY, [balance(0.9)], None, 0), 5) is None


def test_each_state_holds_what_the_policy_says_of_its_deeds():
    caution = hold(judge_budget(POLICY, [balance(0.4)], None, 0), 5)
    assert caution.effects == {"deploy": "slow", "start-experiment": "approval"}
    assert caution.pace_seconds == 4 * 3600
    frozen = hold(judge_budget(POLICY, [balance(0.05)], None, 0), 5)
    assert frozen.effects["deploy"] == "approval"
    assert frozen.scope == Subject(environment="prod", service="shop")
    assert (frozen.source, frozen.lift) == ("budget:all", "Automatic")
    assert frozen.reason == "frozen: 5 % of shop's error budget is left"
    spent = hold(judge_budget(POLICY, [balance(-0.1)], None, 0), 5)
    assert set(spent.effects.values()) == {"deny"}
    assert spent.passes == ("security", "incident")
    assert not is_same(frozen, spent)
    assert is_same(frozen, hold(judge_budget(POLICY, [balance(0.04)], None, 0), 60))


def test_policy_may_say_otherwise():
    policy = BudgetPolicySpec(frozen=BudgetStage(remaining_below=0.3, deploy="deny"))
    standing = judge_budget(policy, [balance(0.2)], None, 0)
    assert wanted_hold("p", policy, PLACE, standing, (), 5).effects == {"deploy": "deny"}


@pytest.mark.parametrize(
    ("policy", "environment", "service", "now", "held"),
    [
        ("all", "", "", 50, False),
        ("all", "prod", "shop", 50, False),
        ("all", "prod", "cart", 50, True),
        ("all", "test", "", 50, True),
        ("other", "", "", 50, True),
        ("all", "", "", 100, True),
        ("all", "", "", 9, True),
    ],
)
def test_override_sets_the_policy_aside_where_and_while_it_says(
    policy, environment, service, now, held
):
    spec = OverrideSpec(
        policy=policy,
        environment=environment,
        service=service,
        reason="r",
        by="person:ann",
        created_at=10,
        until=100,
    )
    override = Object(kind="Override", name="override-1", uid="o", spec=spec, status=Empty())
    standing = judge_budget(POLICY, [balance(-1)], None, 0)
    assert (hold(standing, now, [override]) is not None) is held


def test_policy_is_about_what_it_names():
    one = balance(0.5)
    assert covers(POLICY, one)
    assert covers(BudgetPolicySpec(objectives=("shop",), services=("shop",)), one)
    assert not covers(BudgetPolicySpec(objectives=("cart",)), one)
    assert not covers(BudgetPolicySpec(services=("cart",)), one)
