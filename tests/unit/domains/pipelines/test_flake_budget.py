"""A Run tells when more Runs than agreed pass only on another attempt."""

from __future__ import annotations

from andon.api.v1.actions import JobDone, RunJob, TestsDone
from andon.api.v1.jobs import BuildPlan, JobPlan, RetryPlan
from andon.domains.pipelines.flake_budget import CHECK
from andon.testing.build_play import FAILED, PASSED, BuildPlay

RETRIED = JobPlan(name="unit", run=":", retry=RetryPlan(times=1, reasons=("failure",)))


def plan(ratio: float = 0.02, job: JobPlan = RETRIED, *, trusted: bool = True) -> BuildPlan:
    return BuildPlan(
        repository="shop", sha="1", jobs=(job,), flake_budget_ratio=ratio, trusted=trusted
    )


def flaky(job: RunJob, attempt: int) -> JobDone:
    return PASSED if attempt else FAILED


def ship(play: BuildPlay, number: int, one: BuildPlan) -> str:
    name = f"build-{number}"
    play.ship(one, name, sequence=number)
    play.play()
    assert play.run(name).status.phase == "Succeeded"
    return play.run(name).status.message


def claims(play: BuildPlay) -> list[tuple[str, str]]:
    found = [one.spec for one in play.all("Evidence") if one.spec.check == CHECK]
    return [(spec.source, spec.verdict) for spec in found]


def test_the_third_flaky_run_exhausts_the_default_budget_and_so_it_stays() -> None:
    play = BuildPlay(flaky)
    assert [ship(play, number, plan()) for number in (1, 2)] == ["", ""]
    assert "flake budget exhausted" in ship(play, 3, plan())
    play.outcome = lambda job, attempt: PASSED
    assert "flake budget exhausted" in ship(play, 4, plan())
    assert claims(play) == [
        ("run:build-1", "Pass"),
        ("run:build-2", "Pass"),
        ("run:build-3", "Fail"),
        ("run:build-4", "Fail"),
    ]


def test_flakes_of_long_ago_are_forgotten() -> None:
    play = BuildPlay(flaky)
    for number in (1, 2):
        ship(play, number, plan())
    assert ship(play, 101, plan()) == ""


def test_a_run_without_flakes_says_nothing() -> None:
    play = BuildPlay()
    assert ship(play, 1, plan()) == ""
    assert claims(play) == []


def test_without_a_budget_the_first_flake_is_too_many() -> None:
    assert "exhausted" in ship(BuildPlay(flaky), 1, plan(0.0))


def test_a_stranger_spends_nothing() -> None:
    play = BuildPlay(flaky)
    assert ship(play, 1, plan(0.0, trusted=False)) == ""
    assert claims(play) == []


def test_a_test_that_its_runner_tried_again_counts() -> None:
    done = JobDone(state="passed", tests=TestsDone(passed=1, flaky=("s::a",)))
    play = BuildPlay(lambda job, attempt: done)
    assert "exhausted" in ship(play, 1, plan(0.0))
    (claim,) = (one for one in play.all("Evidence") if one.spec.check == CHECK)
    assert claim.spec.value["flaky"] == ["s::a"]
