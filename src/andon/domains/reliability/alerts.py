"""Which alerts an Objective has, and whether they fire.

An alert that follows from its period (``andon.api.burnrates``) asks how fast the budget burns in a long
window, and again in a twelfth of it, so that it ends soon after the trouble does. What was not seen
neither fires nor resolves anything.

Source: B. Beyer et al., *The Site Reliability Workbook* (O'Reilly 2018), chapter 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from andon.api.burnrates import Derived, Tier, derived_alerts, length, refuse_unfireable
from andon.api.v1.alerts import Severity
from andon.api.v1.objectives import BurnAlert
from andon.calc.burn import Counts, burn, surely_above
from andon.kernel.periods import length_seconds

ALPHA = 0.05
"""How often chance alone may look like trouble at low traffic, at most, whenever a page is judged."""
RESET = 0.9
"""An alert that fires is over once the short window burns below this part of its factor."""
LOOKS_BACK = 4
"""How often it is looked, besides now, within the time that an alert must have been true for."""
ENOUGH = 0.5
"""Share of the short window that must have been seen to call an alert over."""
SURE_EVENTS = 20.0
"""Where so many events were to be expected, none at all is no chance: once in 10^8."""

State = Literal["ok", "pending", "firing", "unknown"]


class Condition(Struct, frozen=True, kw_only=True):
    """One alert of an Objective.

    Args:
        name: Of its kind, unique within the Objective.
        severity: Page or ticket.
        tier: Share of the budget, and its windows.
        factor: Burn above which it fires.
        guarded: Whether chance must be ruled out first; tickets keep the plain rule, as they lose too
            much by waiting.
        after_seconds: For how long it must have burned so, besides.
        receivers: Who is told, by name; empty: whom the routes say.
    """

    name: str
    severity: Severity
    tier: Tier
    factor: float
    guarded: bool
    after_seconds: float = 0.0
    receivers: tuple[str, ...] = ()

    @property
    def looks_back(self) -> tuple[float, ...]:
        """How long ago it must have burned as fast, too, in seconds."""
        if not self.after_seconds:
            return ()
        return tuple(self.after_seconds * n / LOOKS_BACK for n in range(1, LOOKS_BACK + 1))


class Refusal(Struct, frozen=True, kw_only=True):
    """An alert that was not derived, and why."""

    name: str
    reason: str


class AlertPlan(Struct, frozen=True, kw_only=True):
    """What follows from a target and its period."""

    conditions: tuple[Condition, ...]
    refused: tuple[Refusal, ...] = ()

    @property
    def windows(self) -> tuple[float, ...]:
        """Lengths of all windows to count in, in seconds, shortest first."""
        tiers = [one.tier for one in self.conditions]
        return tuple(sorted({w for tier in tiers for w in (tier.long_seconds, tier.short_seconds)}))


class Watched(Struct, frozen=True, kw_only=True):
    """An Objective at one place.

    Args:
        objective: Its name.
        environment: Where.
        service: Whose.
        target: Share that must be good.
        period_seconds: For which that is promised.
        silence_seconds: Nothing heard for so long is told.
    """

    objective: str
    environment: str
    service: str
    target: float
    period_seconds: float
    silence_seconds: float = 300.0


class Finding(Struct, frozen=True, kw_only=True):
    """How one alert stands now.

    Args:
        name: Of the condition, ``silence`` or ``contradiction``.
        severity: How soon somebody must look.
        state: ``unknown`` neither fires nor resolves.
        summary: In one line.
        long_burn: Burn in the long window; None: not known.
        short_burn: Burn in the short one.
        receivers: Who is told, by name; empty: whom the routes say.
    """

    name: str
    severity: Severity
    state: State
    summary: str
    long_burn: float | None = None
    short_burn: float | None = None
    receivers: tuple[str, ...] = ()


def plan_alerts(
    target: float, period_seconds: float, own: Iterable[BurnAlert] = (), *, pages: bool = True
) -> AlertPlan:
    """Return the alerts of a target, and refuse those that could never fire.

    Args:
        target: Share that must be good.
        period_seconds: For which that is promised.
        own: Alerts that the Objective has besides.
        pages: Whether it has the pages that follow from the period.

    >>> [round(one.factor, 2) for one in plan_alerts(0.999, 30 * 86400.0).conditions]
    [14.4, 6.0, 3.0, 1.0]
    >>> plan_alerts(0.93, 30 * 86400.0).refused[0].reason
    'it could never fire: even if all fails, the burn is 14.3, not above 14.4; it takes a target over 93.06 %'
    """
    wanted = [
        _condition(one) for one in derived_alerts(period_seconds) if pages or one.severity != "page"
    ]
    wanted += [_own(one, period_seconds) for one in own]
    refused = tuple(
        Refusal(name=one.name, reason=reason)
        for one in wanted
        if (reason := refuse_unfireable(one.factor, target))
    )
    names = {one.name for one in refused}
    return AlertPlan(
        conditions=tuple(one for one in wanted if one.name not in names), refused=refused
    )


def _condition(one: Derived) -> Condition:
    return Condition(
        name=one.name,
        severity=one.severity,
        tier=one.tier,
        factor=one.factor,
        guarded=one.severity == "page",
    )


def _own(one: BurnAlert, period_seconds: float) -> Condition:
    window = length_seconds(one.window)
    return Condition(
        name=one.name,
        severity=one.severity,
        tier=Tier(one.burn * window / period_seconds, window, window),
        factor=one.burn,
        guarded=one.severity == "page",
        after_seconds=length_seconds(one.after) if one.after else 0.0,
        receivers=one.receivers,
    )


def judge_condition(
    condition: Condition,
    target: float,
    long: Counts,
    short: Counts,
    *,
    firing: bool,
    earlier: Sequence[Counts] = (),
) -> Finding:
    """Say how an alert stands, by what was counted.

    The part of a window that was not seen is taken for good when firing is asked, so that what was seen
    must suffice alone; and an alert is over only by what was seen.

    Args:
        condition: The alert.
        target: Share that must be good.
        long: Counted in its long window.
        short: Counted in its short one.
        firing: Whether it fires already.
        earlier: Counted in the long window as it was at each of ``looks_back``.

    >>> page = plan_alerts(0.999, 30 * 86400.0).conditions[0]
    >>> bad = Counts(20, 100, 3600, 3600), Counts(8, 10, 300, 300)
    >>> judge_condition(page, 0.999, *bad, firing=False).state
    'firing'
    """
    long_burn, short_burn = burn(long, target), burn(short, target)
    state = _still(condition, short, short_burn)
    if not firing:
        state = _begins(condition, target, (long, long_burn), (short, short_burn))
    if state == "firing" and not firing and not _lasted(condition, target, earlier):
        state = "pending"
    return Finding(
        name=condition.name,
        severity=condition.severity,
        state=state,
        summary=_tell(condition, long_burn, long),
        long_burn=long_burn,
        short_burn=short_burn,
        receivers=condition.receivers,
    )


def _lasted(condition: Condition, target: float, earlier: Sequence[Counts]) -> bool:
    burned = (_surely(one, burn(one, target)) > condition.factor for one in earlier)
    return len(earlier) == len(condition.looks_back) and all(burned)


def _still(condition: Condition, short: Counts, short_burn: float | None) -> State:
    """The short window alone says when it is over."""
    if short_burn is None or short.coverage < ENOUGH:
        return "unknown"
    return "firing" if short_burn >= RESET * condition.factor else "ok"


def _begins(
    condition: Condition,
    target: float,
    long: tuple[Counts, float | None],
    short: tuple[Counts, float | None],
) -> State:
    (long_counts, long_burn), (short_counts, short_burn) = long, short
    above_short = _surely(short_counts, short_burn) > condition.factor
    above_long = _surely(long_counts, long_burn) > condition.factor
    if above_long and above_short and _no_chance(condition, target, long_counts):
        return "firing"
    if above_short:
        return "pending"
    seen = short_burn is not None and long_burn is not None
    return "ok" if seen and short_counts.coverage >= ENOUGH else "unknown"


def _surely(counts: Counts, rate: float | None) -> float:
    return rate * counts.coverage if rate is not None else 0.0


def _no_chance(condition: Condition, target: float, long: Counts) -> bool:
    share = condition.factor * (1 - target)
    return not condition.guarded or surely_above(long.bad, long.total, share, ALPHA)


def _tell(condition: Condition, long_burn: float | None, long: Counts) -> str:
    window = length(condition.tier.long_seconds)
    if long_burn is None:
        return f"nothing is known of the last {window}"
    return (
        f"the budget burns {long_burn:.3g} times too fast: {long.bad:.0f} of {long.total:.0f} failed "
        f"in the last {window}"
    )


def judge_silence(watched: Watched, recent: Counts, before: Counts, *, firing: bool) -> Finding:
    """Say whether an indicator has stopped: nothing is told any more, or nothing happens any more.

    Args:
        watched: The Objective.
        recent: Of the last ``silence_seconds``.
        before: Of the hour before those.
        firing: Whether that is known already.

    >>> shop = Watched(objective="shop", environment="prod", service="shop", target=0.999,
    ...                period_seconds=30 * 86400.0)
    >>> judge_silence(shop, Counts(seconds=300), Counts(0, 50, 3600, 3600), firing=False).state
    'firing'
    """
    lately = length(watched.silence_seconds)
    if recent.covered_seconds <= 0:
        known = before.covered_seconds > 0 or firing
        said = f"nothing was told of {watched.objective} for {lately}: its budget is unknown"
        return _ticket("silence", "firing" if known else "unknown", said)
    if recent.total > 0:
        return _ticket("silence", "ok", f"{watched.objective} is told of again")
    seconds = before.covered_seconds or before.seconds
    usual = before.total / seconds * recent.covered_seconds if seconds else 0.0
    said = f"nothing has happened for {lately} where about {usual:.0f} events were usual"
    return _ticket("silence", "firing" if firing or usual >= SURE_EVENTS else "ok", said)


def judge_contradiction(counts: Counts) -> Finding:
    """Say whether the counts make sense: never more good or bad events than all.

    >>> judge_contradiction(Counts(bad=-3, total=100)).state
    'firing'
    """
    if counts.total <= 0 and counts.bad == 0:
        return _ticket("contradiction", "unknown", "nothing was counted")
    if counts.bad < -1e-6:
        said = f"more events were good than there were: {counts.total - counts.bad:.0f} of {counts.total:.0f}"
    elif counts.bad > counts.denominator * (1 + 1e-9):
        said = f"more events were bad than there were: {counts.bad:.0f} of {counts.denominator:.0f}"
    else:
        return _ticket("contradiction", "ok", "the counts make sense")
    return _ticket("contradiction", "firing", f"{said}: the indicator counts something else")


def _ticket(name: str, state: State, summary: str) -> Finding:
    return Finding(name=name, severity="ticket", state=state, summary=summary)


def judge_objective(
    watched: Watched,
    plan: AlertPlan,
    counts: Mapping[float, Counts],
    firing: Collection[str],
    recent: Counts | None = None,
    before: Counts | None = None,
    earlier: Mapping[str, Sequence[Counts]] | None = None,
) -> tuple[Finding, ...]:
    """Say how all alerts of an Objective stand.

    Args:
        watched: The Objective at one place.
        plan: Its alerts.
        counts: By length of the window, in seconds, ending now.
        firing: Names of those that fire.
        recent: Of the last ``silence_seconds``; None: silence is not judged.
        before: Of the hour before those.
        earlier: Of alerts that must have been true for a while, what they saw at their ``looks_back``.
    """
    held = earlier or {}
    found = [
        judge_condition(
            one,
            watched.target,
            counts.get(one.tier.long_seconds, Counts(seconds=one.tier.long_seconds)),
            counts.get(one.tier.short_seconds, Counts(seconds=one.tier.short_seconds)),
            firing=one.name in firing,
            earlier=held.get(one.name, ()),
        )
        for one in plan.conditions
    ]
    if plan.conditions:
        longest = max(one.tier.long_seconds for one in plan.conditions)
        found.append(judge_contradiction(counts.get(longest, Counts())))
    if recent is not None and before is not None:
        found.append(judge_silence(watched, recent, before, firing="silence" in firing))
    return tuple(found)
