"""The page about imports: its commands run as they stand, and its table tells the truth."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

from andon.cli.run import run
from andon.domains.pipelines.foreign.carrying import Became

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/import.md").read_text()
GOLDEN = ROOT / "tests/unit/domains/pipelines/foreign/golden"


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / ".github/workflows").mkdir(parents=True)
    shutil.copy(GOLDEN / "github.yml", tmp_path / ".github/workflows/ci.yml")
    shutil.copy(GOLDEN / "gitlab.yml", tmp_path / ".gitlab-ci.yml")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^andon (import .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        assert run(words) == 0
        assert run(["validate", words[-1]]) == 0


def test_the_words_of_the_report_are_explained():
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == set(get_args(Became))


def test_options_on_the_page_exist(capsys):
    assert run(["import", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in re.findall(r"`(--[a-z-]+)`", PAGE))
