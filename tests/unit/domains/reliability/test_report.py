"""A report leaves out what was agreed and known beforehand, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from andon.api.v1.objectives import Exclusion
from andon.calc.burn import Counts
from andon.domains.reliability.goals import Goal, default_goals
from andon.domains.reliability.report import Line, exclusion_key, excuse, report_line

HOUR = 3600.0
GOAL = default_goals("shop", "prod")[0]
MOVE = Exclusion(start="2026-03-10", end="2026-03-11", reason="the move", agreed="2026-03-01")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


MARCH = at("2026-03-01"), at("2026-04-01")
KNOWN = {exclusion_key(MOVE): at("2026-03-05")}


def count(first: float, last: float) -> Counts:
    """Serve a request a second; all of them failed on the tenth of March."""
    bad = max(0.0, min(last, at("2026-03-11")) - max(first, at("2026-03-10")))
    return Counts(bad, last - first, last - first, last - first)


def line(*exclusions: Exclusion, known: dict[str, float], goal: Goal = GOAL) -> Line:
    return report_line(goal, count, excuse(exclusions, known, *MARCH), *MARCH)


def test_without_exclusions_the_outage_counts():
    told = line(known={})
    assert told.state == "missed"
    assert told.achieved == pytest.approx(1 - 1 / 31)


def test_what_was_agreed_and_known_before_does_not_count():
    told = line(MOVE, known=KNOWN)
    assert (told.state, told.achieved) == ("met", 1)
    assert told.excused_seconds == 24 * HOUR
    assert told.counts.seconds == 30 * 24 * HOUR


@pytest.mark.parametrize("known", [{}, {exclusion_key(MOVE): at("2026-03-10 00:01")}])
def test_what_was_written_down_later_excuses_nothing(known: dict[str, float]):
    told = line(MOVE, known=known)
    assert told.state == "missed"
    assert [one.because for one in told.excused] == [
        "it was not on the policy branch before it began"
    ]


def test_what_was_agreed_later_excuses_nothing():
    late = Exclusion(start="2026-03-10", end="2026-03-11", reason="late", agreed="2026-03-12")
    told = line(late, known={exclusion_key(late): 1.0})
    assert told.excused[0].because == "it was agreed after it had begun"


def test_exclusions_that_overlap_are_left_out_once():
    other = Exclusion(start="2026-03-10", end="2026-03-12", reason="more", agreed="2026-03-01")
    known = {**KNOWN, exclusion_key(other): 1.0}
    assert line(MOVE, other, known=known).excused_seconds == 48 * HOUR


def test_an_exclusion_that_reaches_into_the_period_is_cut():
    early = Exclusion(start="2026-02-20", end="2026-03-02", reason="early", agreed="2026-02-01")
    told = line(early, known={exclusion_key(early): 1.0})
    assert told.excused_seconds == 24 * HOUR


def test_a_period_that_was_hardly_observed_is_unknown():
    dark = report_line(GOAL, lambda a, b: Counts(0, 10, b - a, (b - a) / 2), (), *MARCH)
    assert (dark.state, dark.counts.coverage) == ("unknown", 0.5)
    nothing = report_line(GOAL, lambda a, b: Counts(seconds=b - a), (), *MARCH)
    assert (nothing.state, nothing.achieved) == ("unknown", None)
