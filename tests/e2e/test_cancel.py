"""Cancelling ends real processes, takes real traffic back, and still cleans up."""

from __future__ import annotations

from pathlib import Path

from driver import installation, steps_of
from project import Project, Shape
from traffic import until

FOR_EVER = "while true; do sleep 0.1; done"


def test_a_build_and_a_rollout_are_cancelled_while_a_job_runs(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    sweep = {"run": "echo swept", "always": True}
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0

        jobs = {"unit": {"run": FOR_EVER}, "sweep": sweep}
        project.commit("two", Shape(jobs=jobs))
        change = andon.begin(project)
        run = andon.running(change, "unit", "build")
        (tree,) = until(lambda: andon.job_trees("unit"), "the job is in its tree")
        assert tree.is_dir()
        said = andon.andon("runs", "cancel", run["name"], "-m", "wrong branch")
        assert said.code == 0, said.text
        assert "clean-up jobs run" in said.text
        assert andon.ended(change)["phase"] == "Cancelled"
        ended = andon.run(change, "build")
        assert ended is not None
        assert steps_of(ended) | {"unit": "cancelled", "sweep": "passed"} == steps_of(ended)
        assert not andon.agent_status().jobs
        again = andon.andon("runs", "cancel", run["name"], "-m", "again")
        assert (again.code, "wrong branch" in again.text) == (0, True)

        service = {"postDeploy": [{"name": "look", "run": FOR_EVER}, {"name": "sweep", **sweep}]}
        project.commit("three", Shape(service=service))
        change = andon.begin(project)
        run = andon.running(change, "post-look")
        assert andon.ask() == "three"
        said = andon.andon("runs", "cancel", run["name"], "-m", "not today")
        assert "goes back to the version before" in said.text
        assert andon.ended(change)["phase"] == "Cancelled"
        andon.settled("one")
        ended = andon.run(change)
        assert ended is not None
        wanted = {"post-look": "cancelled", "post-sweep": "passed", "back-weight": "passed"}
        assert steps_of(ended) | wanted == steps_of(ended)
        assert "cancelled by" in andon.andon("why", change).text
        assert "cancelled by" in andon.andon("why").text, "the newest change is meant"
        assert andon.client.get("/status")["holds"] == []

        over = andon.andon("runs", "cancel", f"build-{change}", "-m", "too late")
        assert over.code == 5, over.text
        assert andon.andon("schedules").text.startswith("nothing is scheduled")


def test_a_schedule_says_in_its_zone_when_it_is_next(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    text = (project.path / "andon.yaml").read_text()
    entry = '"schedule": [{"cron": "* * * * *", "timezone": "Europe/Berlin"}], "jobs"'
    (project.path / "andon.yaml").write_text(text.replace('"jobs"', entry, 1))
    project.git("commit", "--quiet", "--all", "--message", "every minute")
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0
        (found,) = andon.client.get("/schedules")
        assert found["nextAt"] % 60 == 0
        assert found["nextLocal"].startswith("20")
        assert "Europe/Berlin" in andon.andon("schedules").text
