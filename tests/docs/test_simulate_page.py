"""The page about simulations: its commands run, its scenario is accepted, its judges are all there are."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from andon.app.simulation import JUDGES, read_scenarios
from andon.cli.run import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/simulate.md").read_text()
(SCENARIO,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^andon (simulate .*)$", PAGE, re.MULTILINE)


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, capsys) -> None:
    shutil.copytree(ROOT / "examples/scenarios", tmp_path / "examples/scenarios")
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        few = re.sub(r"--runs \d+", "--runs 2 --processes 1", command)
        capsys.readouterr()
        assert run(shlex.split(few)) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["judge"] for one in told["outcomes"]] == ["andon", "andon-strict", "argo"]


def test_the_scenario_says_all_there_is_to_say() -> None:
    (scenario,) = read_scenarios(SCENARIO.encode(), "docs/simulate.md")
    assert scenario.spec.storms is not None
    assert scenario.spec.outages


def test_all_judges_are_explained() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == list(JUDGES)


def test_what_is_wrong_with_a_scenario_is_said_where_it_is(tmp_path, capsys) -> None:
    broken = tmp_path / "scenario.yaml"
    broken.write_text(SCENARIO.replace("harmful: true", "harmfull: true"))
    assert run(["simulate", "--scenario", str(broken)]) == 3
    said = capsys.readouterr().err
    assert "scenario.yaml:6" in said
    assert "harmfull" in said
    assert run(["simulate", "--scenario", str(tmp_path / "none.yaml")]) == 4
    assert run(["simulate", "--scenario", str(broken), "--judge", "coin"]) != 0
