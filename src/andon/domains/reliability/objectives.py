"""How a promise stands, from counts: met, missed or unknown.

Nothing that was not seen counts as good. A window is unknown where too little of it was observed, where
nothing happened in it, and while nothing is heard any more; it is missed all the same where what was
seen is enough to say so, whatever the rest was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from andon.calc.burn import Counts, burn, error_rate, time_to_empty
from andon.domains.reliability.goals import Goal

State = Literal["met", "missed", "unknown"]
Reason = Literal[
    "Kept",
    "Spent",
    "NoData",
    "NoEvents",
    "Silent",
    "Gaps",
    "Contradictory",
    "Unsupported",
    "Future",
]
SKEW = 1.0
"""By so many events good ones may seem more than all: they are not read at the same instant."""
NEVER = 0.0
ALL = 1 + 1e-9
"""A budget spent to the last event is kept."""


class Reading(Struct, frozen=True, kw_only=True):
    """What was counted for a goal.

    Args:
        window: In its window, as far as that has come.
        recent: Just now, for how fast the budget burns.
        since: When counting began, seconds since the Unix epoch; 0: it did not.
        heard_at: When something was last observed; 0: never.
        expected_slices: Slices of time in the whole window; 0: events are counted.
    """

    window: Counts = Counts()
    recent: Counts = Counts()
    since: float = NEVER
    heard_at: float = NEVER
    expected_slices: float = 0.0


class Standing(Struct, frozen=True, kw_only=True):
    """How a goal stands.

    Args:
        state: Met, missed or unknown.
        reason: Why, in one word.
        message: Why, in a sentence.
        counts: What happened in the window.
        error_rate: Share that failed; None: no data.
        remaining: Share of the budget left, negative when overdrawn; None: no data.
        burn: How fast the budget burns just now, 1 being as fast as allowed; None: no data.
        empty_seconds: Until nothing is left at this burn; infinity: never; None: no data.
        coverage: Share of the window that was observed, 0 to 1, since counting began.
        begin: When the window begins.
        end: When it ends.
        since: When counting began.
        heard_at: When something was last observed.
        silent: Nothing is heard any more: worth an alarm.
    """

    state: State
    reason: Reason
    message: str
    counts: Counts = Counts()
    error_rate: float | None = None
    remaining: float | None = None
    burn: float | None = None
    empty_seconds: float | None = None
    coverage: float = 0.0
    begin: float = 0.0
    end: float = 0.0
    since: float = 0.0
    heard_at: float = 0.0
    silent: bool = False


class Promise(Struct, frozen=True):
    """A goal and how it stands."""

    goal: Goal
    standing: Standing


def evaluate(goal: Goal, reading: Reading, now: float) -> Standing:
    """Say how a goal stands.

    Args:
        goal: What is promised.
        reading: What was counted.
        now: Seconds since the Unix epoch.

    >>> from andon.domains.reliability.goals import default_goals
    >>> goal = default_goals("shop", "prod")[0]
    >>> seen = Counts(bad=1, total=1000, seconds=3600, covered_seconds=3600)
    >>> standing = evaluate(goal, Reading(window=seen, recent=seen, since=1, heard_at=3601), 3601)
    >>> standing.state, standing.remaining, standing.message
    ('met', 0.9, '90 % of the budget is left')
    >>> evaluate(goal, Reading(), 3601).message
    'nothing was ever observed'
    """
    begin, end = goal.window_at(now)
    counts = _settled(reading)
    state, reason, message = _verdict(goal, reading, counts, now)
    left = _remaining(goal, counts, reading)
    recent = burn(_not_negative(reading.recent), goal.target)
    return Standing(
        state=state,
        reason=reason,
        message=message,
        counts=counts,
        error_rate=error_rate(counts),
        remaining=left,
        burn=recent,
        empty_seconds=time_to_empty(left, recent, goal.period_seconds),
        coverage=counts.coverage,
        begin=begin,
        end=end,
        since=reading.since,
        heard_at=reading.heard_at,
        silent=is_silent(goal, reading, now),
    )


def is_silent(goal: Goal, reading: Reading, now: float) -> bool:
    """Say whether an indicator that once spoke has stopped.

    >>> from andon.domains.reliability.goals import default_goals
    >>> is_silent(default_goals("shop", "prod")[0], Reading(since=1, heard_at=100), 500)
    True
    """
    return reading.heard_at > NEVER and now - reading.heard_at > goal.silence_seconds


def _settled(reading: Reading) -> Counts:
    """Return the window's counts, with the slices that a budget of time is made of."""
    counts = _not_negative(reading.window)
    if not reading.expected_slices:
        return counts
    return Counts(
        counts.bad, counts.total, counts.seconds, counts.covered_seconds, reading.expected_slices
    )


def _not_negative(counts: Counts) -> Counts:
    if counts.bad >= 0:
        return counts
    return Counts(0.0, counts.total, counts.seconds, counts.covered_seconds, counts.expected)


def _remaining(goal: Goal, counts: Counts, reading: Reading) -> float | None:
    spent = burn(counts, goal.target)
    return None if spent is None or reading.since <= NEVER else _neat(1 - spent)


def _verdict(goal: Goal, reading: Reading, counts: Counts, now: float) -> tuple[State, Reason, str]:
    if goal.sli.unsupported:
        return "unknown", "Unsupported", goal.sli.unsupported
    if reading.heard_at <= NEVER:
        return "unknown", "NoData", "nothing was ever observed"
    if reading.heard_at > now + goal.silence_seconds:
        return "unknown", "Future", "what was observed lies in the future: was the clock put back?"
    if is_silent(goal, reading, now):
        minutes = (now - reading.heard_at) / 60
        return "unknown", "Silent", f"nothing was observed for {minutes:.0f} minutes"
    if reading.window.bad < -max(SKEW, 0.001 * reading.window.total):
        return "unknown", "Contradictory", "more events are counted as good than there were"
    if counts.total <= 0:
        return "unknown", "NoEvents", "nothing happened that could be judged"
    spent = burn(counts, goal.target) or 0.0
    if counts.coverage < goal.min_coverage and not _certainly_spent(spent, counts):
        unseen = 1 - counts.coverage
        return "unknown", "Gaps", f"{_percent(unseen)} of the window was not observed"
    if spent > ALL:
        return "missed", "Spent", f"{_percent(spent)} of the budget is spent"
    return "met", "Kept", f"{_percent(1 - spent)} of the budget is left"


def _certainly_spent(spent: float, counts: Counts) -> bool:
    """Say whether it is spent even if all went well where nothing was seen, at the same traffic.

    Slices of time are divided by all that were expected anyway.
    """
    return spent > ALL if counts.expected else spent * counts.coverage > ALL


def composite(parts: Sequence[tuple[Goal, Standing]]) -> Standing:
    """Say how a composite Objective stands: its budget is the weighted mean of those of its parts.

    It is unknown while a part is, unless the rest has spent it all by itself.

    >>> from andon.domains.reliability.goals import default_goals
    >>> one, other = default_goals("shop", "prod")
    >>> half = Standing(state="met", reason="Kept", message="", remaining=0.5, burn=1, coverage=1)
    >>> over = Standing(state="missed", reason="Spent", message="", remaining=-0.3, burn=2, coverage=1)
    >>> both = composite([(one, half), (other, over)])
    >>> both.state, both.remaining, both.burn
    ('met', 0.1, 1.5)
    """
    weight = math.fsum(goal.weight for goal, _ in parts)
    known = [(goal, one) for goal, one in parts if one.state != "unknown"]
    unknown = [(goal, one) for goal, one in parts if one.state == "unknown"]
    spent = [goal.weight * (1 - (one.remaining or 0.0)) / weight for goal, one in known]
    left = _neat(1 - math.fsum(spent)) if known else None
    rates = [goal.weight * one.burn / weight for goal, one in known if one.burn is not None]
    rate = _neat(math.fsum(rates)) if len(rates) == len(known) > 0 else None
    coverage = math.fsum(goal.weight * one.coverage for goal, one in parts) / weight
    first = parts[0][1]
    state, reason, message = _whole(unknown, left)
    return Standing(
        state=state,
        reason=reason,
        message=message,
        remaining=left,
        burn=rate,
        empty_seconds=time_to_empty(left, rate, parts[0][0].period_seconds),
        coverage=coverage,
        begin=first.begin,
        end=first.end,
        since=max(one.since for _, one in parts),
        heard_at=min(one.heard_at for _, one in parts),
        silent=any(one.silent for _, one in parts),
    )


def _whole(
    unknown: Sequence[tuple[Goal, Standing]], left: float | None
) -> tuple[State, Reason, str]:
    if left is not None and left < 1 - ALL:
        return "missed", "Spent", f"{_percent(1 - left)} of the budget is spent"
    if unknown or left is None:
        goal, one = unknown[0]
        return "unknown", one.reason, f"{goal.name}: {one.message}"
    return "met", "Kept", f"{_percent(left)} of the budget is left"


def worst(standings: Iterable[Standing]) -> Standing | None:
    """Return the one to look at first: missed before unknown before met, then by what is left.

    >>> worst([]) is None
    True
    """
    order = {"missed": 0, "unknown": 1, "met": 2}
    return min(
        standings,
        key=lambda one: (order[one.state], one.remaining if one.remaining is not None else 1.0),
        default=None,
    )


def _percent(share: float) -> str:
    """Write a share as people say it, not rounding up to all or down to none.

    >>> _percent(0.9), _percent(0.9996), _percent(14.4)
    ('90 %', '99.9 %', '1440 %')
    """
    percent = 100 * share
    if 0 < percent < 10 or 99 < percent < 100:
        return f"{math.floor(percent * 10 + 1e-9) / 10:g} %"
    return f"{percent:.0f} %"


def _neat(value: float) -> float:
    return float(f"{value:.12g}")
