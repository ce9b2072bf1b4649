"""What was promised and what was kept in a period, without the time that was agreed not to count.

An exclusion counts only if it was agreed before it began *and* was known to Andon by then: what is
written down afterwards excuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from andon.api.v1.objectives import Exclusion
from andon.calc.burn import Counts, add, burn, error_rate
from andon.domains.reliability.goals import Goal
from andon.domains.reliability.objectives import ALL, State
from andon.kernel.cron import time_zone
from andon.kernel.periods import parse_moment

Count = Callable[[float, float], Counts]
"""Counts from one moment to another, seconds since the Unix epoch."""


class Excused(Struct, frozen=True, kw_only=True):
    """An exclusion as a report sees it.

    Args:
        begin: Its part of the period, seconds since the Unix epoch.
        end: Its end.
        reason: Why.
        counts: Whether it does.
        because: Why it does not; empty: it does.
    """

    begin: float
    end: float
    reason: str
    counts: bool
    because: str = ""


class Line(Struct, frozen=True, kw_only=True):
    """How one goal was kept in a period.

    Args:
        goal: What was promised.
        state: Whether it was kept; unknown where too little was observed.
        achieved: Share that was good; None: no data.
        counts: What happened, without what is excused.
        spent: Share of the period's budget; None: no data.
        excused: Exclusions that touch the period.
        excused_seconds: How long what counts of them lasted.
        end: When the period ended, seconds since the Unix epoch.
    """

    goal: Goal
    state: State
    achieved: float | None
    counts: Counts
    spent: float | None
    excused: tuple[Excused, ...]
    excused_seconds: float
    end: float


def exclusion_key(exclusion: Exclusion) -> str:
    """Name an exclusion by what it says, for when it was first known.

    >>> exclusion_key(Exclusion(start="2026-03-01", end="2026-03-02", reason="move", agreed="2026-02-01"))
    '2026-03-01/2026-03-02/UTC/2026-02-01'
    """
    return f"{exclusion.start}/{exclusion.end}/{exclusion.time_zone}/{exclusion.agreed}"


def excuse(
    exclusions: Iterable[Exclusion], known: Mapping[str, float], begin: float, end: float
) -> tuple[Excused, ...]:
    """Return the exclusions that touch a period, and whether each counts.

    Args:
        exclusions: As the Objective lists them.
        known: When each was first known to Andon, by ``exclusion_key``.
        begin: Of the period.
        end: Of the period.
    """
    found = []
    for exclusion in exclusions:
        zone = time_zone(exclusion.time_zone)
        start, stop = parse_moment(exclusion.start, zone), parse_moment(exclusion.end, zone)
        first, last = max(start, begin), min(stop, end)
        if first < last:
            because = _refusal(exclusion, known, start)
            found.append(
                Excused(
                    begin=first,
                    end=last,
                    reason=exclusion.reason,
                    counts=not because,
                    because=because,
                )
            )
    return tuple(sorted(found, key=lambda one: one.begin))


def _refusal(exclusion: Exclusion, known: Mapping[str, float], start: float) -> str:
    agreed = parse_moment(exclusion.agreed, time_zone(exclusion.time_zone))
    if agreed > start:
        return "it was agreed after it had begun"
    seen = known.get(exclusion_key(exclusion))
    if seen is None or seen > start:
        return "it was not on the policy branch before it began"
    return ""


def report_line(
    goal: Goal, count: Count, excused: Sequence[Excused], begin: float, end: float
) -> Line:
    """Say how a goal was kept in a period.

    Args:
        goal: What was promised.
        count: Counts a part of the period.
        excused: Exclusions that touch it.
        begin: Of the period, seconds since the Unix epoch.
        end: Of the period.
    """
    spans = _spans([(one.begin, one.end) for one in excused if one.counts], begin, end)
    counts = Counts()
    for first, last in spans:
        counts = add(counts, count(first, last))
    left_out = end - begin - sum(last - first for first, last in spans)
    if goal.slice_seconds:
        counts = Counts(
            counts.bad,
            counts.total,
            counts.seconds,
            counts.covered_seconds,
            counts.seconds / goal.slice_seconds,
        )
    rate, spent = error_rate(counts), burn(counts, goal.target)
    return Line(
        goal=goal,
        state=_state(goal, counts, spent),
        achieved=None if rate is None else float(f"{1 - rate:.12g}"),
        counts=counts,
        spent=spent,
        excused=tuple(excused),
        excused_seconds=left_out,
        end=end,
    )


def _state(goal: Goal, counts: Counts, spent: float | None) -> State:
    if spent is None:
        return "unknown"
    if counts.coverage < goal.min_coverage and spent * counts.coverage <= ALL:
        return "unknown"
    return "missed" if spent > ALL else "met"


def _spans(
    holes: Sequence[tuple[float, float]], begin: float, end: float
) -> list[tuple[float, float]]:
    """Return what is left of a period without holes, which may overlap.

    >>> _spans([(2, 4), (3, 5)], 0, 10)
    [(0, 2), (5, 10)]
    """
    left, at = [], begin
    for first, last in sorted(holes):
        if first > at:
            left.append((at, first))
        at = max(at, last)
    return [*left, (at, end)] if at < end else left
