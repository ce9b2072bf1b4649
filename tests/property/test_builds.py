"""Whatever a build's jobs look like and however they end: its Run is never green by mistake."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andon.api.v1.actions import ActionFailed, CaseDone, JobDone, RunJob, TestsDone
from andon.api.v1.control import Decision
from andon.api.v1.jobs import BuildPlan, JobPlan, PackPlan, RetryPlan
from andon.api.v1.pipelines import Quarantine
from andon.api.v1.records import ENDED_STEP, TERMINAL, Object
from andon.testing.build_play import FAILED, KILLED, PASSED, BuildPlay

GREEN = {"passed", "quarantined", "skipped-by-rule"}
FLAKY_TEST = JobDone(
    state="failed",
    fault="change",
    message="exit code 1",
    tests=TestsDone(passed=3, failed=1, failures=(CaseDone(id="a::b", state="failed"),)),
)
AWAY = ActionFailed(code="Unavailable", message="out of reach", retry=True)
endings = st.lists(
    st.sampled_from([PASSED, PASSED, PASSED, FAILED, KILLED, FLAKY_TEST, AWAY]),
    min_size=1,
    max_size=4,
)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[JobPlan, ...]:
    names = [f"j{number}" for number in range(draw(st.integers(1, 9)))]
    found: list[JobPlan] = []
    for name in names:
        before = [job.name for job in found if not job.always]
        group = draw(st.sampled_from(["", "", "m", "n"]))
        found.append(
            JobPlan(
                name=name,
                evidence=draw(st.sampled_from([name, "tests"])),
                needs=tuple(draw(st.sets(st.sampled_from(before or [""]), max_size=2)) - {""}),
                always=draw(st.integers(0, 7)) == 0,
                group=group,
                fail_fast=bool(group) and group == "m",
                at_once=draw(st.integers(0, 2)) if group else 0,
                skip=draw(st.sampled_from(["", "", "", "", "if: false"])),
                resumes=draw(st.booleans()),
                blocking=draw(st.integers(0, 5)) > 0,
                retry=draw(st.sampled_from([None, RetryPlan(times=2, reasons=("failure",))])),
                key=draw(st.sampled_from(["", f"key-{name}"])),
            )
        )
    return tuple(draw(st.permutations(found)))


class Watched:
    """Checks every decision of a play."""

    def __init__(self, play: BuildPlay) -> None:
        self.play = play
        self.ended: Counter[str] = Counter()
        play.watch = self.check

    def check(self, run: Object, decision: Decision) -> None:
        rows = self.play.rows(run.name)
        after = {row.name: row for row in rows.values()} | {one.name: one for one in decision.steps}
        given = run.spec.build.given
        for row in decision.steps:
            old = rows.get(row.name)
            assert old is None or old.state not in ENDED_STEP or old.state == row.state
            if row.state in ENDED_STEP and (old is None or old.state not in ENDED_STEP):
                self.ended[f"{run.name}/{row.name}"] += 1
        for ask in decision.ask:
            if isinstance(ask.action, RunJob):
                self._check_begin(ask.action.job, after, given)
        assert len(msgspec.json.encode(decision.status.memory if decision.status else {})) < 2000

    def _check_begin(self, job: JobPlan, after: dict[str, Any], given: dict[str, str]) -> None:
        """No job begins before its needs."""
        states = {need: "passed" if need in given else after[need].state for need in job.needs}
        wanted = ENDED_STEP if job.always else {"passed", "quarantined"}
        assert set(states.values()) <= wanted, f"{job.name} began with {states}"


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(jobs(), st.data(), st.integers(0, 1000), st.booleans())
def test_no_run_is_green_with_a_failed_job_and_every_job_ends_once(
    found: tuple[JobPlan, ...], data: st.DataObject, seed: int, excused: bool
):
    ends = {job.name: data.draw(endings) for job in found}
    chance = random.Random(seed)
    play = BuildPlay(
        lambda action, attempt: ends[action.job.name][min(attempt, len(ends[action.job.name]) - 1)],
        pick=chance.choice,
    )
    watched = Watched(play)
    quarantine = (Quarantine(test="a::*", owner="o", until="2030-01-01"),) if excused else ()
    built = BuildPlan(
        repository="/r/shop",
        sha="a" * 40,
        jobs=found,
        packs=(PackPlan(service="web", path="dist"),),
        quarantine=quarantine,
    )
    play.ship(built)
    play.play()
    for run in play.all("Run"):
        _check_run(play, run)
    assert all(count == 1 for count in watched.ended.values())
    _check_claims(play)


def _check_run(play: BuildPlay, run: Object) -> None:
    rows = play.rows(run.name)
    assert run.status.phase in TERMINAL, (
        f"{run.name} is {run.status.phase}: {play.states(run.name)}"
    )
    assert all(row.state in ENDED_STEP for row in rows.values())
    for row in rows.values():
        assert row.state != "failed" or row.fault == "change"
        assert row.state != "interrupted" or row.fault == "machine"
        assert row.state in {"passed"} or row.message, f"{row.name} is {row.state} and says nothing"
    states = set(play.states(run.name).values())
    if run.status.phase == "Succeeded":
        assert states <= GREEN
        assert states & {"passed", "quarantined"}
    if states & {"failed", "interrupted"}:
        assert run.status.phase == "Failed"


def _check_claims(play: BuildPlay) -> None:
    """No check passes of which a job did not; what an attempt hid is told."""
    for one in play.all("Evidence"):
        if one.spec.verdict != "Pass":
            continue
        run = play.run(one.spec.source.split(":", 1)[1].split("/")[0])
        mine = [job for job in run.spec.build.jobs if job.evidence == one.spec.check]
        rows = [play.row(job.name, run.name) for job in mine if job.name in play.rows(run.name)]
        assert all(row.state in {"passed", "quarantined"} for row in rows)
        flaky = {row.name for row in rows if row.failures and row.state == "passed"}
        assert flaky == set(one.spec.value.get("flaky", ()))


def test_a_run_of_two_thousand_jobs_remembers_nothing_of_those_that_are_over():
    jobs = tuple(
        JobPlan(name=f"j{n}", evidence=f"j{n}", needs=(f"j{n - 70}",) if n >= 70 else ())
        for n in range(2000)
    )
    play = BuildPlay()
    most = Counter[str]()

    def watch(run: Object, decision: Decision) -> None:
        status = decision.status
        most["memory"] = max(
            most["memory"], len(msgspec.json.encode(status.memory)) if status else 0
        )
        most["asked"] = max(most["asked"], len(decision.ask))

    play.watch = watch
    play.ship(BuildPlan(repository="/r/shop", sha="a" * 40, jobs=jobs))
    play.play()
    assert play.run().status.phase == "Succeeded"
    assert most == {"memory": 2, "asked": 64}
