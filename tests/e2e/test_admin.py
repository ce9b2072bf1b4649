"""Andon itself: moved to Postgres under traffic, copied while it runs, and restored from an old copy."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from driver import Installation, installation
from project import Project
from traffic import Traffic, until

from andon.testing.postgres import programs, running_postgres

SECRET = "open-sesame"


def answered(said: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(said[said.index("{") :])
    return found


def paused(andon: Installation) -> str:
    return str(andon.client.get("/admin")["paused"])


@pytest.mark.postgres
def test_running_installation_moves_to_postgres_under_traffic(tmp_path: Path) -> None:
    where = programs()
    if where is None:
        pytest.skip("no Postgres: install the dev extra")
    state = tmp_path / "state"
    with running_postgres(where) as server, installation(state) as andon:
        project = Project(tmp_path / "hello")
        assert andon.ship(project).code == 0
        full = server.new_schema()
        url = server.new_schema().replace("postgres@", f"postgres:{SECRET}@")
        before = len(andon.client.get("/ledger", {"limit": 1000}))
        with Traffic(andon.service()["address"]) as traffic:
            traffic.more(50)
            refused = andon.andon("admin", "migrate", "--to", "sqlite:///elsewhere")
            assert (refused.code, "not a Postgres server" in refused.text) == (2, True)
            moved = andon.andon("admin", "migrate", "--to", url)
            assert moved.code == 0, moved.text
            assert "every table and chain verified" in moved.text
            traffic.more(50)
        assert traffic.failures == []
        events = andon.client.get("/ledger", {"limit": 1000})
        assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
        assert len(events) > before
        told = [one["type"] for one in events[before:]]
        asked = told.index("dev.cdeventsx.andon-access.used.0.1.0")
        assert told.index("dev.cdeventsx.andon-installation.moved.0.1.0") > asked
        assert paused(andon) == ""
        # It goes on: another version, over a restart, on the database it moved to.
        project.commit("two")
        andon.kill()
        andon.start()
        assert andon.ship(project).code == 0
        assert andon.ask() == "two"
        assert andon.andon("ledger", "verify").code == 0
        again = andon.andon("admin", "migrate", "--to", full)
        assert (again.code, "on Postgres already" in again.text) == (5, True)
        assert SECRET not in moved.text + andon.log.read_text() + json.dumps(events)
        # What it left is kept, and refused.
        assert (state / "database.json").stat().st_mode & 0o777 == 0o600
        andon.kill()
        left = Installation(state, "--database", str(state / "control.db"))
        said = left.andon("up", "--port", "0", "--database", str(state / "control.db"))
        assert (said.code, "this installation has moved to" in said.text) == (5, True), said.text
        assert SECRET not in said.text
        andon.start()


def test_old_copy_never_rolls_production_back_by_surprise(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy.andon"
    with installation(state) as andon:
        project = Project(tmp_path / "hello")
        assert andon.ship(project).code == 0
        made = andon.andon("admin", "backup", str(copy))
        assert (made.code, copy.stat().st_mode & 0o777) == (0, 0o600), made.text
        assert andon.andon("admin", "backup", "--verify", str(copy)).code == 0
        assert andon.andon("admin", "backup", str(copy)).code == 5
        project.commit("two")
        assert andon.ship(project).code == 0
        assert andon.andon("ledger", "checkpoint").code == 0
        refused = andon.andon("admin", "restore", str(copy))
        assert (refused.code, "is held by" in refused.text) == (5, True)
        with Traffic(andon.service()["address"]) as traffic:
            andon.kill()
            refused = andon.andon("admin", "restore", str(copy))
            assert (refused.code, "not empty" in refused.text) == (5, True), refused.text
            for file in state.glob("control.db*"):
                file.unlink()
            restored = andon.andon("admin", "restore", str(copy))
            assert restored.code == 0, restored.text
            andon.start()
            assert "Paused" in andon.andon("status").text
            traffic.more(50)
            undecided = andon.andon("admin", "resume")
            assert undecided.code == 12, undecided.text
            assert "prod/hello" in undecided.text
            assert andon.andon("admin", "resume", "--check").code == 12
            kept = andon.andon("admin", "resume", "--keep-world")
            assert (kept.code, paused(andon)) == (0, ""), kept.text
            assert andon.andon("admin", "resume", "--check").code == 0
            traffic.more(200)
        assert traffic.failures == []
        assert set(traffic.answers) == {"two"}
        assert andon.andon("ledger", "verify").code == 0
        # It goes on from there, and knows what came before.
        project.commit("three")
        assert andon.ship(project).code == 0
        assert andon.ask() == "three"
        assert andon.andon("rollback", "prod", "hello", "-m", "try").code == 0
        andon.settled("two")


def test_copy_is_enforced_when_a_person_says_so_and_continues_elsewhere(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy.andon"
    with installation(state) as andon:
        project = Project(tmp_path / "hello")
        assert andon.ship(project).code == 0
        assert andon.andon("admin", "pause", "--reason", "a quiet copy").code == 0
        assert "a quiet copy" in andon.andon("status").text
        assert andon.andon("admin", "resume").code == 0
        assert answered(andon.andon("admin", "backup", str(copy), "--json").text)["artifacts"]
        project.commit("two")
        assert andon.ship(project).code == 0
        andon.kill()
        for file in state.glob("control.db*"):
            file.unlink()
        assert andon.andon("admin", "restore", str(copy)).code == 0
        andon.start()
        assert andon.andon("admin", "resume", "--enforce-copy").code == 0
        andon.settled("one")
        until(lambda: not andon.client.get("/status", {})["runs"], "the rollback ends")
        assert andon.andon("admin", "resume", "--check").code == 0
    # On a machine that has nothing: the artifacts are in the copy, so that it runs again.
    elsewhere = tmp_path / "elsewhere"
    shutil.rmtree(project.path)
    with_nothing = Installation(elsewhere)
    restored = with_nothing.andon("admin", "restore", str(copy))
    assert restored.code == 0, restored.text
    with installation(elsewhere) as other:
        assert paused(other).startswith("restored from a copy")
        assert other.andon("admin", "resume").code == 0
        other.settled("one")
        assert other.andon("ledger", "verify").code == 0


def test_killed_move_leaves_the_installation_where_it_was(tmp_path: Path) -> None:
    """Broken off after the pause: the next start goes on, as if nothing had been begun."""
    state = tmp_path / "state"
    with installation(state) as andon:
        andon.kill()
        with sqlite3.connect(state / "control.db") as file:
            reason = "the installation moves to another database"
            file.execute("INSERT INTO setting VALUES ('paused', ?)", (reason,))
        file.close()
        andon.start()
        assert paused(andon) == ""
