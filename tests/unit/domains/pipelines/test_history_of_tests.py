"""What is told of tests over many Runs."""

from __future__ import annotations

import yaml

from andon.api.v1.actions import CaseDone
from andon.api.v1.pipelines import Quarantine
from andon.domains.pipelines.flake_budget import budget
from andon.domains.pipelines.flakes import flakiest, kept, suggestion
from andon.domains.pipelines.history import (
    CURRENT_COMMITS,
    History,
    Suite,
    durations,
    newly_failing,
    slowest,
    tell,
)

NOW = 1_795_000_000.0  # 2026-11-18
UNTIL = "2026-12-02"


def report(at: int, cases: str, *, commit: str = "", name: str = "unit", **other: object) -> Suite:
    """Make a report: ``a+ b- c~ d?`` passed, failed, passed at another try, was skipped."""
    states = {"+": "passed", "-": "failed", "~": "passed", "?": "skipped"}
    found = [
        CaseDone(
            id=word[0],
            state=states[word[1]],
            seconds=float(word[2:] or 1),
            message="no" if word[1] == "-" else "",
            flaky=word[1] == "~",
        )
        for word in cases.split()
    ]
    known = {"run": f"run-{at}", "change": f"c{at}", "job": name, "level": "unit"} | other
    return Suite(
        name=name, commit=commit or f"c{at}", at=float(at), cases=lambda: iter(found), **known
    )


def of(history: History, id: str, name: str = "unit") -> tuple[str, int, int, int]:
    story = history.stories[name, id]
    return story.state, story.commits, story.failed, story.flaky


def test_a_test_that_passes_and_fails_at_one_commit_is_flaky() -> None:
    history = tell(
        [
            report(1, "a+ b-"),
            report(2, "a- b-", commit="x", run="r", attempt=0),
            report(2, "a+ b-", commit="x", run="r", attempt=1),
        ]
    )
    assert of(history, "a") == ("flaky", 2, 0, 1)
    assert of(history, "b") == ("failed", 2, 2, 0)
    assert history.flaky_runs == {"r": {"a"}}


def test_another_run_of_the_same_commit_shows_a_flake_too_whatever_lies_between() -> None:
    history = tell([report(1, "a-", commit="x"), report(2, "a+"), report(3, "a+", commit="x")])
    assert of(history, "a") == ("passed", 2, 0, 1)
    assert history.flaky_runs == {"run-3": {"a"}}


def test_what_a_report_says_passed_at_another_try_is_flaky() -> None:
    history = tell([report(1, "a~")])
    assert of(history, "a") == ("flaky", 1, 0, 1)
    assert history.flaky_runs == {"run-1": {"a"}}


def test_other_choices_of_a_matrix_are_other_suites() -> None:
    history = tell([report(1, "a+", name="unit (py=3.11)"), report(1, "a-", name="unit (py=3.12)")])
    assert history.flaky_runs == {}
    assert of(history, "a", "unit (py=3.12)") == ("failed", 1, 1, 0)


def test_a_test_mended_by_a_commit_is_not_flaky() -> None:
    history = tell([report(1, "a+"), report(2, "a-"), report(3, "a+")])
    assert flakiest(history.current(), 5) == []


def test_a_test_that_changes_sides_again_and_again_is_suspected_only() -> None:
    history = tell([report(at, "a-" if at % 2 else "a+") for at in range(5)])
    (found,) = flakiest(history.current(), 5)
    assert not found.proven
    assert suggestion([found], [], "ann", NOW) == ""


def test_newly_failing_is_what_passed_before_and_says_since_when() -> None:
    history = tell(
        [
            report(1, "a+ b- c+"),
            report(2, "a- b- c+"),
            report(3, "a- b- c-"),
        ]
    )
    found = [
        (one.id, one.failing_since and one.failing_since.change)
        for one in newly_failing(history.current(), 5)
    ]
    assert found == [("c", "c3"), ("a", "c2")]


def test_a_test_that_is_gone_is_shown_no_more_but_for_a_run_that_broke_off() -> None:
    before = [report(1, "a+5 b+1")]
    later = [report(2 + n, "b+1") for n in range(CURRENT_COMMITS)]
    assert [one.id for one in slowest(tell(before + later[:-1]).current(), 5)] == ["a", "b"]
    assert [one.id for one in slowest(tell(before + later).current(), 5)] == ["b"]


def test_the_pyramid_is_that_of_the_newest_commit() -> None:
    history = tell(
        [
            report(1, "a+ b- d?"),
            report(2, "a+2 b+4 d? e?"),
            report(2, "z-", name="whole", level="end-to-end"),
        ]
    )
    floor = history.floors["unit"]
    assert (floor.suites, floor.tests, floor.failed, floor.skipped) == (1, 2, 0, 2)
    assert history.floors["end-to-end"].failed == 1


def test_durations_are_the_usual_ones() -> None:
    history = tell([report(at, f"a+{seconds}") for at, seconds in enumerate([1, 90, 2, 3, 2])])
    assert durations(history.current()) == {"a": 2.0}


def test_shards_of_a_suite_are_one_suite() -> None:
    history = tell([report(1, "a+", job="unit-1"), report(1, "b+ c?", job="unit-2")])
    assert sorted(story.id for story in history.current()) == ["a", "b"]
    assert history.skipped == {"unit": 1}


def test_more_flaky_runs_than_agreed_exhaust_the_budget() -> None:
    assert budget(2, 100, 0.02, 100).state == "healthy"
    spent = budget(3, 100, 0.02, 100)
    assert spent.state == "exhausted"
    assert spent.low < 0.03 < spent.high


def test_a_suggested_quarantine_is_yaml_and_leaves_out_what_has_one() -> None:
    known = Quarantine(test="b*", owner="ann", until=UNTIL)
    over = Quarantine(test="a", owner="ann", until="2026-11-01")
    history = tell(
        [
            report(1, "a~ b~ c+"),
            report(2, "a+ b+ c+"),
        ]
    )
    text = suggestion(flakiest(history.current(), 5), [known, over], "ann", NOW)
    assert yaml.safe_load(text) == {
        "quarantine": [
            {
                "test": "a",
                "owner": "ann",
                "until": UNTIL,
                "reason": "passed and failed at 1 of 2 commits",
            }
        ]
    }


def test_quarantines_tell_when_they_end_and_which_may_go() -> None:
    history = tell([report(1, "a~ b+ c-"), report(2, "a+ b+ c-")])
    quarantine = [
        Quarantine(test="b", owner="bob", until=UNTIL),
        Quarantine(test="a", owner="ann", until="2026-11-10"),
        Quarantine(test="gone", owner="eve", until=UNTIL),
    ]
    over, calm, gone = kept(quarantine, history.current(), NOW)
    assert (over.quarantine.test, over.days_left < 0, over.calm) == ("a", True, False)
    assert (calm.tests, calm.calm) == (("b",), True)
    assert (gone.tests, gone.calm) == ((), False)
