"""A person's rollback does not wait for a job: it ends it, with all its children."""

from __future__ import annotations

from pathlib import Path

from driver import installation, steps_of
from project import Project, Shape

FOR_EVER = "while true; do sleep 0.1; done"


def test_rollback_cancels_the_job_that_runs_and_latches_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path / "hello")
    with installation(tmp_path / "state") as andon:
        assert andon.ship(project).code == 0
        endless = {"postDeploy": [{"name": "look", "run": FOR_EVER}]}
        waited = andon.ship(
            project, project.commit("two", Shape(service=endless)), "--timeout", "1s"
        )
        assert waited.code == 9, waited.text
        assert "it goes on" in waited.text
        change = andon.begin(project)
        andon.running(change, "post-look")
        assert andon.ask() == "two"

        back = andon.andon("rollback", "prod", "hello", "-m", "it takes for ever")
        assert back.code == 0, back.text
        assert andon.ended(change)["phase"] == "RolledBack"
        andon.settled("one")
        run = andon.run(change)
        assert run is not None
        assert run["reason"] == "Aborted"
        assert steps_of(run)["post-look"] == "cancelled"
        assert andon.job_trees("look") == [] or not andon.agent_status().jobs
        why = andon.andon("why", "hello", "--environment", "prod")
        assert "it takes for ever" in why.text
        assert "unlatch" not in why.text
