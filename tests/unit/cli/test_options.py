"""Options that would do harm if a slip in them passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from andon.cli.run import run


@pytest.mark.parametrize("command", ["up", "worker"])
@pytest.mark.parametrize("url", ["postgresql:/host/db", "mysql://host/db", "andon"])
def test_slip_in_the_address_makes_no_database(
    command: str,
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([command, "--database", url, "--state", str(tmp_path / "state")]) == 2
    assert "postgresql://" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_port_that_no_machine_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "--port", "99999", "--state", str(tmp_path / "state")]) == 2
    assert "--port" in capsys.readouterr().err


def test_archive_names_the_option_that_is_no_duration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ledger", "archive", "--keep", "xx", "--state", str(tmp_path)]) == 2
    assert "--keep" in capsys.readouterr().err


def test_world_and_copy_cannot_both_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["admin", "resume", "--keep-world", "--enforce-copy", "--state", str(tmp_path)]
    assert run(asked) == 2
    assert "either the world counts or the copy" in capsys.readouterr().err
