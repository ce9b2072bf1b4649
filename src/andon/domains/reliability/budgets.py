"""What a BudgetPolicy says of the budgets there are: their state, and the Hold that follows from it.

A state is entered at a threshold and left again only beyond a margin, so that nothing flaps. A budget
that was known and cannot be seen now stays in its state, and what the policy says of the unknown holds
besides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.budgets import (
    STATES,
    BudgetPolicySpec,
    BudgetStage,
    BudgetStanding,
    BudgetState,
    Effect,
    OverrideSpec,
)
from andon.api.v1.records import HoldSpec, Object, Subject
from andon.domains.line.restraint import BUDGET

CALM = 0.5
"""A state entered by burning is left once the burn is below this part of its threshold."""
GRACE_SECONDS = 300.0
"""So long a budget may be unseen before that holds anything."""
_STRICTNESS: tuple[Effect, ...] = ("allow", "slow", "approval", "deny")


class Balance(Struct, frozen=True, kw_only=True):
    """What one Objective says of its budget at one place.

    Args:
        objective: Its name.
        environment: Where.
        service: Whose.
        remaining: Share that is left, negative when overdrawn; None: not known.
        burn: How fast it burns just now; None: not known.
        seen: Whether it is observed at all now.
    """

    objective: str
    environment: str
    service: str
    remaining: float | None = None
    burn: float | None = None
    seen: bool = True


def place_key(environment: str, service: str) -> str:
    """Name a place.

    >>> place_key("prod", "shop")
    'prod/shop'
    """
    return f"{environment}/{service}"


def covers(policy: BudgetPolicySpec, balance: Balance) -> bool:
    """Say whether a policy is about a budget.

    >>> covers(BudgetPolicySpec(environments=("prod",)),
    ...        Balance(objective="o", environment="dev", service="shop"))
    False
    """
    return (
        (not policy.objectives or balance.objective in policy.objectives)
        and (not policy.services or balance.service in policy.services)
        and (not policy.environments or balance.environment in policy.environments)
    )


def judge_budget(
    policy: BudgetPolicySpec,
    balances: Sequence[Balance],
    was: BudgetStanding | None,
    now: float,
) -> BudgetStanding:
    """Say in which state the budgets of one place are: that of the worst.

    Args:
        policy: What it says.
        balances: Of the Objectives there.
        was: How they stood before; None: nobody looked yet.
        now: Seconds since the Unix epoch.

    >>> policy = BudgetPolicySpec()
    >>> one = Balance(objective="shop", environment="prod", service="shop", remaining=0.08, burn=1)
    >>> judge_budget(policy, [one], None, 5.0).state
    'frozen'
    """
    known = [one for one in balances if one.seen and one.remaining is not None]
    if not known:
        return _unseen(was, now)
    before = was.state if was else "healthy"
    states = [(_state(policy, one, before), one) for one in known]
    state, worst = max(states, key=lambda pair: (STATES.index(pair[0]), -(pair[1].remaining or 0)))
    return BudgetStanding(
        state=state,
        since=was.since if was and was.state == state else now,
        remaining=worst.remaining,
        burn=worst.burn,
        objective=worst.objective,
        hold=was.hold if was else "",
    )


def _unseen(was: BudgetStanding | None, now: float) -> BudgetStanding:
    if was is None or was.remaining is None:
        return was or BudgetStanding(since=now)
    return replace(was, unknown_since=was.unknown_since or now)


def _state(policy: BudgetPolicySpec, balance: Balance, before: BudgetState) -> BudgetState:
    """Return the worst state that a budget has entered, or has not left."""
    stages = {"caution": policy.caution, "frozen": policy.frozen, "exhausted": policy.exhausted}
    found: BudgetState = "healthy"
    for state in STATES[1:]:
        stays = STATES.index(before) >= STATES.index(state)
        if _is_in(stages[state], balance, policy.margin if stays else None):
            found = state
    return found


def _is_in(stage: BudgetStage, balance: Balance, margin: float | None) -> bool:
    """Say whether a budget is in a stage; with a margin, whether it has not left it."""
    left, burn = balance.remaining, balance.burn
    low = stage.remaining_below is not None and left is not None and left < stage.remaining_below
    if stage.remaining_below == 0:
        low = left is not None and left <= 0
    fast = stage.burn_above is not None and burn is not None and burn > stage.burn_above
    if margin is not None:
        still_low = stage.remaining_below is not None and left is not None
        low = low or (still_low and (left or 0.0) < (stage.remaining_below or 0.0) + margin)
        fast = fast or (stage.burn_above is not None and (burn or 0.0) > CALM * stage.burn_above)
    return low or fast


# --- the Hold -------------------------------------------------------------------------------------


def wanted_hold(
    name: str,
    policy: BudgetPolicySpec,
    place: tuple[str, str],
    standing: BudgetStanding,
    overrides: Iterable[Object],
    now: float,
) -> HoldSpec | None:
    """Return the Hold that a standing asks for; None: none.

    Args:
        name: Of the policy.
        policy: What it says.
        place: Environment and service.
        standing: Of their budgets.
        overrides: Persons' overrides.
        now: Seconds since the Unix epoch.
    """
    effects = _effects(policy, standing, now)
    if not effects or overridden(name, place, overrides, now):
        return None
    environment, service = place
    return HoldSpec(
        scope=Subject(environment=environment, service=service),
        reason=tell(policy, standing, now),
        source=f"{BUDGET}{name}",
        lift="Automatic",
        created_at=now,
        effects=dict(effects),
        pace_seconds=policy.pace_seconds if "slow" in effects.values() else 0.0,
        passes=tuple(policy.passes),
    )


def is_same(one: HoldSpec, other: HoldSpec) -> bool:
    """Say whether two Holds stop the same: when and in which words does not matter."""
    mine = (one.source, one.scope, one.effects, one.pace_seconds, one.passes)
    return mine == (other.source, other.scope, other.effects, other.pace_seconds, other.passes)


def overridden(
    policy: str, place: tuple[str, str], overrides: Iterable[Object], now: float
) -> Object | None:
    """Return the override in force at a place, if there is one."""
    return next((one for one in overrides if _is_for(one.spec, policy, place, now)), None)


def _is_for(spec: OverrideSpec, policy: str, place: tuple[str, str], now: float) -> bool:
    environment, service = place
    return (
        spec.policy == policy
        and spec.created_at <= now < spec.until
        and spec.environment in ("", environment)
        and spec.service in ("", service)
    )


def is_unseen(standing: BudgetStanding, now: float) -> bool:
    """Say whether a budget that was known has not been seen for too long."""
    return 0 < standing.unknown_since <= now - GRACE_SECONDS


def _effects(
    policy: BudgetPolicySpec, standing: BudgetStanding, now: float
) -> Mapping[str, Effect]:
    stages = {"caution": policy.caution, "frozen": policy.frozen, "exhausted": policy.exhausted}
    stage = stages.get(standing.state)
    effects = stage.effects() if stage else {}
    if is_unseen(standing, now) and policy.unknown != "allow":
        # Raising a weight is the judge's: it counts for itself, and waits where it sees nothing.
        effects["deploy"] = max(
            policy.unknown, effects.get("deploy", "allow"), key=_STRICTNESS.index
        )
    return effects


def tell(policy: BudgetPolicySpec, standing: BudgetStanding, now: float) -> str:
    """Say in one line how a budget stands.

    >>> tell(BudgetPolicySpec(), BudgetStanding(state="frozen", remaining=0.08, objective="shop"), 0)
    "frozen: 8 % of shop's error budget is left"
    """
    left = standing.remaining
    if left is None:
        return f"{standing.state}: nothing is known of the budget yet"
    whose = f"{standing.objective}'s error budget"
    said = f"{percent(left)} of {whose} is left" if left > 0 else f"{whose} is spent"
    if (standing.burn or 0.0) > (policy.caution.burn_above or math.inf):
        said = f"{said}, and it burns {standing.burn:.3g} times too fast"
    if is_unseen(standing, now):
        minutes = (now - standing.unknown_since) / 60
        said = f"{said} as far as is known: it cannot be seen for {minutes:.0f} minutes"
    return f"{standing.state}: {said}"


def percent(share: float) -> str:
    """Write a share as people say it.

    >>> percent(0.083), percent(0.004), percent(-0.2)
    ('8 %', '0.4 %', '-20 %')
    """
    whole = 100 * share
    return f"{whole:.0f} %" if abs(whole) >= 1 else f"{whole:.1g} %"
