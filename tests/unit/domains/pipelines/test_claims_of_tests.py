"""Evidence of a suite says how much of it was looked at, and no suite passes that did not run."""

from __future__ import annotations

from andon.api.v1.actions import JobDone, TestsDone
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import StepRow
from andon.domains.pipelines.claims import Finding, figures_of, find


def finding(*suites: TestsDone) -> Finding:
    rows = []
    for number, tests in enumerate(suites):
        job = JobPlan(name=f"unit-{number}", evidence="tests")
        figures = figures_of(JobDone(state="passed", tests=tests))
        rows.append((job, StepRow(name=job.name, position=number, state="passed", figures=figures)))
    return find(rows)["tests"]


def test_a_suite_that_ran_wholly_leaves_nothing_out() -> None:
    found = finding(TestsDone(passed=3, declared=3))
    assert (found.verdict, found.coverage) == ("Pass", None)


def test_what_was_skipped_or_never_came_to_be_was_not_looked_at() -> None:
    assert finding(TestsDone(passed=3, skipped=1, declared=4)).coverage == 0.75
    assert finding(TestsDone(passed=3, declared=12)).coverage == 0.25


def test_a_suite_in_which_nothing_ran_proves_nothing() -> None:
    found = finding(TestsDone())
    assert (found.verdict, found.coverage, found.message) == ("Inconclusive", 0.0, "no test ran")
    assert finding(TestsDone(skipped=4, declared=4)).verdict == "Inconclusive"


def test_one_empty_shard_among_others_is_no_matter() -> None:
    found = finding(TestsDone(), TestsDone(passed=2, declared=2))
    assert (found.verdict, found.coverage) == ("Pass", None)


def test_a_test_that_passed_only_at_another_try_is_named() -> None:
    found = finding(TestsDone(passed=2, declared=2, flaky=("s::a",)))
    assert found.verdict == "Pass"
    assert "s::a" in found.message
    assert found.value["tests"]["flaky"] == ["s::a"]
