"""The control plane on Postgres: by one setting, and as hard to kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import installation
from project import Project, Shape
from traffic import until

from andon.testing.postgres import programs, running_postgres


@pytest.mark.postgres
def test_a_change_ships_on_postgres_over_a_killed_control_plane(tmp_path: Path) -> None:
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    state = tmp_path / "state"
    with (
        running_postgres(where) as server,
        installation(state, "--database", server.new_schema()) as andon,
    ):
        jobs = {"unit": {"run": "until test -e go; do sleep 0.05; done"}}
        project = Project(tmp_path / "hello", Shape(jobs=jobs))
        change = andon.begin(project)
        andon.running(change, "unit", "build")
        [tree] = until(lambda: andon.job_trees("unit"), "the job runs")
        andon.kill()
        (tree / "go").touch()
        andon.start()
        assert andon.ended(change)["phase"] == "Succeeded"
        assert andon.ask() == "one"
        assert andon.andon("ledger", "verify").code == 0
        assert not list(state.glob("control.db*"))
