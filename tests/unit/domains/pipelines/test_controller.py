"""What a build Run makes of its jobs: only a pass is green, and everything says why."""

from __future__ import annotations

from typing import Any

from andon.api.v1.actions import ActionFailed, CaseDone, JobDone, RunJob, TestsDone
from andon.api.v1.approvals import ApprovalSpec, ApprovalStatus
from andon.api.v1.control import NewObject
from andon.api.v1.definitions import Approvals
from andon.api.v1.jobs import BuildPlan, JobPlan, PackPlan, RetryPlan
from andon.api.v1.pipelines import Quarantine
from andon.api.v1.records import Subject
from andon.testing.build_play import BEGAN, CHANGE, FAILED, KILLED, PASSED, BuildPlay

WEB = PackPlan(service="web", path="dist")


def job(name: str, **more: Any) -> JobPlan:
    return JobPlan(name=name, run="true", **{"evidence": name, **more})


def plan(*jobs: JobPlan, **more: Any) -> BuildPlan:
    return BuildPlan(repository="/r/shop", sha="a" * 40, jobs=jobs, **more)


def ends(**by_job: Any) -> Any:
    """Jobs end as is said, attempt after attempt; the others pass."""

    def outcome(action: RunJob, attempt: int) -> Any:
        found = by_job.get(action.job.name.replace("-", "_"), PASSED)
        return found[min(attempt, len(found) - 1)] if isinstance(found, list) else found

    return outcome


def played(built: BuildPlan, outcome: Any = None, **spec: Any) -> BuildPlay:
    play = BuildPlay(outcome or ends())
    play.ship(built, **spec)
    play.play()
    return play


def evidence(play: BuildPlay) -> dict[str, Any]:
    return {one.spec.check: one.spec for one in play.all("Evidence")}


def began(play: BuildPlay) -> list[str]:
    return [one.job.name for one in play.asked]


def consent(by: str, name: str = "ok", at: float = BEGAN + 1) -> NewObject:
    spec = ApprovalSpec(
        subject=Subject(change=CHANGE), by=f"person:{by}", reason="seen", approved_at=at, job=name
    )
    labels = {"change": CHANGE, "job": name}
    return NewObject(
        kind="Approval", name=f"{by}-{name}", spec=spec, status=ApprovalStatus(), labels=labels
    )


# --- rules ----------------------------------------------------------------------------------------


def test_a_skip_goes_on_to_what_needs_it_and_is_no_pass():
    rule = "if: change.branch == 'main'"
    jobs = (job("lint"), job("e2e", skip=rule), job("load", needs=("e2e",)))
    play = played(plan(*jobs, packs=(WEB,)))
    assert play.run().status.phase == "Succeeded"
    assert play.states() == {
        "lint": "passed",
        "e2e": "skipped-by-rule",
        "load": "skipped-by-rule",
        "pack-web": "passed",
    }
    assert play.row("load").message == f"needs e2e, which was skipped: {rule}"
    found = evidence(play)["e2e"]
    assert (found.verdict, found.value, found.message) == ("Inconclusive", {"skipped": rule}, rule)
    assert began(play) == ["lint"]


def test_where_rules_leave_nothing_to_do_the_run_is_neither_green_nor_red():
    play = played(plan(job("unit", skip="paths: src/**"), job("tidy", always=True), packs=(WEB,)))
    status = play.run().status
    assert (status.phase, status.reason) == ("Cancelled", "SkippedByRule")
    assert "every job was skipped: paths: src/**" in status.message
    assert play.states()["pack-web"] == "not-run"
    assert not play.all("Evidence")


def test_what_a_skipped_job_would_have_built_is_not_packed():
    packs = (WEB, PackPlan(service="docs", path="out", job="docs"))
    play = played(plan(job("unit"), job("docs", skip="paths: docs/**"), packs=packs))
    assert play.run().status.phase == "Succeeded"
    assert play.states()["pack-docs"] == "skipped-by-rule"
    assert [one.spec.service for one in play.all("Artifact")] == ["web"]


def test_a_check_of_several_jobs_passes_only_if_all_of_them_did():
    jobs = (job("unit-1", evidence="tests"), job("unit-2", evidence="tests", skip="if: false"))
    found = evidence(played(plan(*jobs, packs=(WEB,))))["tests"]
    assert (found.verdict, found.message) == ("Inconclusive", "unit-2: if: false")


# --- failures, retries, flakes -------------------------------------------------------------------


def test_what_is_tried_again_and_passes_is_told_as_a_flake():
    retry = RetryPlan(times=2, reasons=("failure",))
    play = played(plan(job("unit", retry=retry), packs=(WEB,)), ends(unit=[FAILED, PASSED]))
    assert play.states()["unit"] == "passed"
    assert play.row("unit").message == "passed on attempt 2; before: exit code 1"
    assert evidence(play)["unit"].value["flaky"]["unit"]["attempts"] == 2
    assert "andon-flake.seen build/unit" in [line.replace("cdeventsx.", "") for line in told(play)]
    states = [one.data["state"] for one in play.events if "taskrun" in one.type]
    assert states == ["failed", "passed"]


def told(play: BuildPlay) -> list[str]:
    return [
        f"{event.type.removeprefix('dev.').split('.0')[0]} {event.subject}" for event in play.events
    ]


def test_only_a_reason_that_is_named_is_tried_again_and_only_so_often():
    timeout = JobDone(state="failed", fault="change", reason="timeout", message="too slow")
    seven = JobDone(state="failed", fault="change", exit_code=7, message="exit code 7")
    retry = RetryPlan(times=2, reasons=("timeout", 7))
    jobs = (job("slow", retry=retry), job("odd", retry=retry), job("bad", retry=retry))
    play = played(plan(*jobs), ends(slow=timeout, odd=[seven, seven, FAILED], bad=FAILED))
    assert began(play).count("slow") == 3
    assert began(play).count("odd") == 3
    assert began(play).count("bad") == 1
    assert play.run().status.reason == "JobFailed"


def test_what_may_not_be_resumed_is_interrupted_and_not_run_again():
    play = played(plan(job("migrate", resumes=False), job("unit")), ends(migrate=KILLED))
    assert began(play).count("migrate") == 1
    row = play.row("migrate")
    assert (row.state, row.fault) == ("interrupted", "machine")
    assert play.run().status.reason == "MachineFault"
    assert not play.all("Evidence")


def test_a_job_that_nobody_asked_to_end_was_ended_by_the_machine():
    stray = JobDone(state="cancelled", message="cancelled")
    play = played(plan(job("unit", resumes=False)), ends(unit=stray))
    assert (play.states()["unit"], play.run().status.reason) == ("interrupted", "MachineFault")


def test_retries_of_the_machine_and_of_the_change_are_counted_apart():
    retry = RetryPlan(times=1, reasons=("failure",))
    outcomes = [KILLED, KILLED, FAILED, KILLED, PASSED]
    play = played(plan(job("unit", retry=retry)), ends(unit=outcomes))
    assert (play.states()["unit"], play.row("unit").failures) == ("passed", 1)
    for_ever = played(plan(job("unit", retry=retry)), ends(unit=KILLED))
    assert began(for_ever).count("unit") == 4


def test_a_machine_that_cannot_begin_a_job_that_may_not_resume_does_not_try_twice():
    away = ActionFailed(code="Unavailable", message="out of reach", retry=True)
    play = played(plan(job("migrate", resumes=False)), ends(migrate=away))
    assert (play.states()["migrate"], len(began(play))) == ("interrupted", 1)


# --- matrices ------------------------------------------------------------------------------------


def matrix(count: int, **more: Any) -> tuple[JobPlan, ...]:
    return tuple(job(f"unit-{n}", evidence="unit", group="unit", **more) for n in range(count))


def test_when_one_of_a_matrix_fails_the_others_are_ended_by_name():
    def outcome(action: RunJob, attempt: int) -> Any:
        return FAILED if action.job.name == "unit-1" else None

    waiting = job("unit-3", evidence="unit", group="unit", fail_fast=True, needs=("unit-2",))
    play = played(plan(*matrix(3, fail_fast=True), waiting), outcome)
    assert play.states() == {
        "unit-0": "cancelled",
        "unit-1": "failed",
        "unit-2": "cancelled",
        "unit-3": "cancelled",
    }
    assert (
        play.row("unit-0").message == "unit-1 did not pass, and the others of its matrix are ended"
    )
    assert play.run().status.message == "unit-1: exit code 1"


def test_what_does_not_need_a_failed_job_goes_on_and_what_needs_it_does_not():
    jobs = (
        *matrix(4, at_once=1),
        job("after-good", needs=("unit-3",)),
        job("after-bad", needs=("unit-1",)),
        job("after-that", needs=("after-bad", "unit-0")),
    )
    play = played(plan(*jobs), ends(unit_1=FAILED))
    states = play.states()
    assert [states[f"unit-{n}"] for n in range(4)] == ["passed", "failed", "passed", "passed"]
    assert states["after-good"] == "passed"
    assert states["after-bad"] == states["after-that"] == "not-run"
    assert play.row("after-that").message == "unit-1 did not pass"
    assert play.run().status.phase == "Failed"


def test_nobody_is_asked_about_a_run_that_is_lost():
    jobs = (job("bad"), job("ask", approval=Approvals(count=1), needs=("good",)), job("good"))
    play = played(plan(*jobs), ends(bad=FAILED))
    assert play.states() == {"bad": "failed", "good": "passed", "ask": "not-run"}
    assert play.run().status.phase == "Failed"


def test_so_many_of_a_matrix_run_at_a_time():
    most = 0

    def outcome(action: RunJob, attempt: int) -> Any:
        nonlocal most
        most = max(most, len(play.rows().open("running")))
        return PASSED

    play = BuildPlay(outcome)
    play.ship(plan(*matrix(7, at_once=2)))
    play.play()
    assert (most, play.run().status.phase) == (2, "Succeeded")


# --- quarantine ----------------------------------------------------------------------------------


def failing(*names: str, passed: int = 8) -> JobDone:
    cases = tuple(CaseDone(id=name, state="failed") for name in names)
    tests = TestsDone(passed=passed, failed=len(names), failures=cases)
    return JobDone(state="failed", fault="change", message="exit code 1", tests=tests)


def kept(test: str, until: str = "2026-12-31") -> Quarantine:
    return Quarantine(test=test, owner="team:shop", until=until)


def test_a_job_that_fails_by_quarantined_tests_alone_stops_nothing_and_is_named():
    quarantine = (kept("a::one[x]"), kept("b::*"))
    jobs = (job("unit"), job("build", needs=("unit",)))
    play = played(
        plan(*jobs, packs=(WEB,), quarantine=quarantine), ends(unit=failing("a::one[x]", "b::two"))
    )
    assert play.states()["unit"] == "quarantined"
    assert play.states()["build"] == "passed"
    found = evidence(play)["unit"]
    assert (found.verdict, found.coverage) == ("Pass", 0.8)
    assert found.value["quarantined"] == ["a::one[x]", "b::two"]


def test_quarantine_excuses_nothing_but_its_tests_and_not_for_ever():
    quarantine = (kept("a::one"), kept("old", until="2026-01-31"))
    hidden = JobDone(
        state="failed",
        fault="change",
        tests=TestsDone(failed=300, failures=(CaseDone(id="a::one", state="failed"),)),
    )
    crashed = JobDone(
        state="failed", fault="change", reason="timeout", tests=failing("a::one").tests
    )
    for outcome in (failing("a::one", "b"), hidden, crashed, FAILED):
        play = played(plan(job("unit"), quarantine=quarantine), ends(unit=outcome))
        assert play.run().status.phase == "Failed"
    play = played(plan(job("unit"), quarantine=quarantine), ends(unit=failing("old")))
    assert "quarantine of old ended on 2026-01-31 (team:shop" in play.row("unit").message


# --- artifacts, results --------------------------------------------------------------------------


def test_what_a_job_leaves_reaches_those_that_need_it():
    left = JobDone(state="passed", artifact="blob-1")
    jobs = (job("build"), job("unit"), job("deploy", needs=("unit", "build")))
    play = played(plan(*jobs, trusted=False), ends(build=left))
    (deploy,) = [one for one in play.asked if one.job.name == "deploy"]
    assert (deploy.takes, deploy.trusted) == (("blob-1",), False)


def test_a_job_whose_inputs_are_the_same_is_not_run_again():
    built = plan(job("unit", key="k1"), job("web", key="k2", needs=("unit",)), packs=(WEB,))
    play = played(built, ends(web=JobDone(state="passed", artifact="blob-1")))
    play.ship(built, "again")
    play.play()
    assert began(play) == ["unit", "web"]
    assert play.states("again")["unit"] == "passed"
    assert play.row("unit", "again").message == "reused: build/unit passed with the same inputs"
    assert play.row("web", "again").artifact == "blob-1"
    claims = [one.spec for one in play.all("Evidence") if one.name == "again-unit-web"]
    assert claims[0].observed_at < play.run("again").status.started_at


def test_strangers_and_flakes_make_no_result_and_a_schedule_takes_none():
    retry = RetryPlan(times=1, reasons=("failure",))
    for made, outcome in (
        (plan(job("unit", key="k"), trusted=False), ends()),
        (plan(job("unit", key="k", retry=retry)), ends(unit=[FAILED, PASSED])),
    ):
        assert not played(made, outcome).all("JobResult")
    play = played(plan(job("unit", key="k")))
    play.ship(plan(job("unit", key="k"), trusted=False), "stranger")
    play.ship(plan(job("unit", key="k")), "nightly", schedule="shop")
    play.play()
    assert len(began(play)) == 2
    assert play.row("unit", "stranger").figures["reused"] == "build/unit"


def test_a_result_counts_no_longer_than_what_it_left_is_kept_nor_elsewhere():
    built = plan(job("unit", key="k", keep_artifacts_seconds=50))
    play = played(built, ends(unit=JobDone(state="passed", artifact="blob-1")))
    play.ship(BuildPlan(repository="/r/other", sha="b" * 40, jobs=built.jobs), "other")
    play.play()
    play.now += 60
    play.ship(built, "late")
    play.play()
    assert len(began(play)) == 3
    play.ship(built, "later")
    play.play()
    assert len(began(play)) == 3


# --- people --------------------------------------------------------------------------------------


def test_a_job_that_waits_for_people_runs_nothing_and_says_who_is_missing():
    rule = Approvals(count=2, people=("person:ann", "person:bob"))
    jobs = (job("unit"), job("ok", approval=rule, needs=("unit",)), job("push", needs=("ok",)))
    play = played(plan(*jobs))
    assert (play.run().status.phase, play.run().status.reason) == ("Waiting", "ApprovalMissing")
    assert play.states()["ok"] == "waiting"
    assert "0 of 2 approvals; needs ann or bob" in play.run().status.message
    for one in (consent("ann"), consent("eve"), consent("bob", "other"), consent("bob", at=1)):
        play.add(one)
    play.play()
    assert "1 of 2 approvals: ann" in play.row("ok").message
    play.objects.pop(("Approval", "bob-ok"))
    play.add(consent("bob"))
    play.play()
    assert play.run().status.phase == "Succeeded"
    assert play.row("ok").message == "approved by ann, bob"
    assert began(play) == ["unit", "push"]
    asked = [one for one in play.events if "approval.requested" in one.type]
    assert len(asked) == 1


# --- groups --------------------------------------------------------------------------------------


def test_runs_of_a_group_go_one_after_the_other_as_they_came():
    ready: set[str] = set()
    play = BuildPlay(lambda action, attempt: PASSED if action.run in ready else None)
    built = plan(job("unit"), concurrency="main")
    for name in ("one", "two", "three"):
        play.ship(built, name)
    play.ship(plan(job("unit"), concurrency="main", trusted=False), "stranger")
    play.play()
    assert [one.run for one in play.asked] == ["one", "stranger"]
    assert play.run("three").status.message == "waits for one, one at a time in group main"
    ready |= {"one", "two", "three", "stranger"}
    play.play()
    assert [one.run for one in play.asked] == ["one", "stranger", "two", "three"]


def test_a_newer_run_ends_those_before_it_where_it_says_so_but_not_by_a_stranger():
    play = BuildPlay(lambda action, attempt: PASSED if action.run == "two" else None)
    play.ship(plan(job("unit"), job("after", needs=("unit",)), concurrency="main"), "one")
    play.play()
    play.ship(plan(job("unit"), concurrency="main", cancel_older=True, trusted=False), "fork")
    play.play()
    assert play.run("one").status.phase == "Running"
    play.ship(plan(job("unit"), concurrency="main", cancel_older=True), "two")
    play.play()
    status = play.run("one").status
    assert (status.phase, status.reason) == ("Cancelled", "Superseded")
    assert "two" in status.message
    assert play.states("one") == {"unit": "cancelled", "after": "cancelled"}
    assert play.run("two").status.phase == "Succeeded"


# --- later ---------------------------------------------------------------------------------------


SLOW = (
    job("unit"),
    job("soak", blocking=False, needs=("unit",)),
    job("chart", needs=("soak",)),
)


def test_what_nothing_waits_for_runs_later_with_what_the_first_run_left():
    left = JobDone(state="passed", artifact="blob-1")
    play = played(plan(*SLOW, packs=(WEB,)), ends(unit=left))
    assert play.states() == {"unit": "passed", "pack-web": "passed"}
    assert play.states("build-later") == {"soak": "passed", "chart": "passed"}
    assert [one.takes for one in play.asked if one.job.name == "soak"] == [("blob-1",)]
    assert {check: one.verdict for check, one in evidence(play).items()} == {
        "unit": "Pass",
        "soak": "Pass",
        "chart": "Pass",
    }
    assert not play.all("Hold")


def test_a_later_failure_is_evidence_against_what_was_built_and_pulls_the_cord():
    play = played(plan(*SLOW, packs=(WEB,)), ends(soak=FAILED))
    assert play.run().status.phase == "Succeeded"
    assert play.run("build-later").status.phase == "Failed"
    (artifact,) = play.all("Artifact")
    claim = evidence(play)["soak"]
    assert (claim.verdict, claim.subject.digest) == ("Fail", artifact.spec.digest)
    (hold,) = play.all("Hold")
    assert hold.spec.scope == Subject(digest=artifact.spec.digest)
    assert hold.spec.source == "pipeline:soak"
    assert "andon-hold.pulled" in " ".join(told(play))
    assert "chart" not in evidence(play)


def test_a_machine_that_fails_later_pulls_no_cord_and_after_a_failure_nothing_comes_later():
    play = played(plan(*SLOW, packs=(WEB,)), ends(soak=KILLED))
    assert play.run("build-later").status.reason == "MachineFault"
    assert not play.all("Hold")
    assert "soak" not in evidence(play)
    assert ("Run", "build-later") not in played(plan(*SLOW), ends(unit=FAILED)).objects
