from __future__ import annotations

import subprocess
import sys

import click
import pytest

from andon.cli.root import COMMANDS, andon
from andon.cli.run import run

NAMES = [name for section in COMMANDS.values() for name in section]
HEAVY = (
    "asyncio",
    "msgspec",
    "rich",
    "starlette",
    "uvicorn",
    "http.client",
    "sqlite3",
    "subprocess",
    "andon.api",
    "andon.ports",
    "andon.app",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_table_loads(name: str) -> None:
    assert isinstance(andon.get_command(click.Context(andon), name), click.Command)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"Usage: andon {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in NAMES)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from andon.cli import main; main(['--help']); "
        "print([n for n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in HEAVY if f"'{name}'" in done.stderr] == []


def test_a_mistyped_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["shpi"]) == 2
    assert "did you mean `andon ship`?" in capsys.readouterr().err
