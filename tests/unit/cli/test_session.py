from __future__ import annotations

from pathlib import Path

import pytest

from andon.cli.session import find_state


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    assert find_state("a", {"ANDON_STATE": "b"}, tmp_path) == tmp_path / "a"


def test_the_environment_wins_over_the_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert find_state("", {"ANDON_STATE": "/b"}, tmp_path) == Path("/b")


@pytest.mark.parametrize("mark", ["andon.yaml", ".git"])
def test_the_nearest_project_upwards_has_the_state(tmp_path: Path, mark: str) -> None:
    (tmp_path / ".git").mkdir()
    project = tmp_path / "project"
    (project / "deep" / "deeper").mkdir(parents=True)
    (project / mark).touch()
    assert find_state("", {}, project / "deep" / "deeper") == project / ".andon"
