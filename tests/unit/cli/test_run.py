from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from andon.cli import root
from andon.cli.run import run
from andon.kernel.errors import ERRORS, AndonError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let ``andon version`` end in an error."""

    def install(error: BaseException) -> None:
        @click.command()
        @root.flags
        def command() -> None:
            raise error

        monkeypatch.setattr("andon.cli.commands.version.command", command)

    return install


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_its_exit_code(
    kind: type[AndonError],
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(kind("it went wrong", hint="andon why it"))
    assert run(["version"]) == kind.exit_code
    assert capsys.readouterr().err == "error: it went wrong\n  andon why it\n"


@pytest.mark.parametrize("arguments", [["--json", "version"], ["version", "--json"]])
def test_a_machine_gets_the_error_as_json(
    arguments: list[str],
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(AndonError("it went wrong", hint="mend it"))
    assert run(arguments) == 1
    assert json.loads(capsys.readouterr().err) == {
        "code": "InternalError",
        "message": "it went wrong",
        "hint": "mend it",
        "exitCode": 1,
    }


def test_an_unexpected_error_goes_into_a_file_and_off_the_screen(
    failing: Callable[[BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert run(["--state", str(tmp_path), "version"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (file,) = (tmp_path / "crash").iterdir()
    assert str(file) in said
    assert "ZeroDivisionError" in file.read_text()


def test_an_interrupt_ends_with_130(failing: Callable[[BaseException], None]) -> None:
    failing(KeyboardInterrupt())
    assert run(["version"]) == 130


def test_a_reader_who_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m andon schema | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].endswith("0")
    assert done.stderr == ""


def test_a_missing_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["unlatch", "prod", "shop"]) == 2
    assert "--reason" in capsys.readouterr().err


def test_no_control_plane_is_unavailable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--state", str(tmp_path)]) == 7
    said = capsys.readouterr().err
    assert f"no control plane is running for {tmp_path}" in said
    assert "andon up" in said


def test_a_full_disk_is_named_and_no_fault_of_andon(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(OSError(errno.ENOSPC, "No space left on device", "/backup/ledger"))
    assert run(["version"]) == 7
    assert capsys.readouterr().err.startswith("error: /backup/ledger cannot be written: No space")
