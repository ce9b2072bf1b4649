"""Tests as data: a suite is split over real jobs, its reports are read, and what they say is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from driver import Installation, installation
from project import Project, Shape

import andon as installed

NAMES = ("slow", "middle", "brisk", "quick")
SPLIT = """\
andon tests split s::slow s::middle s::brisk s::quick > share
{
  echo '<testsuite name="s">'
  while read name; do
    case $name in s::slow) s=9;; s::middle) s=4;; s::brisk) s=3;; *) s=2;; esac
    echo "<testcase name='${name#s::}' time='$s'>"
    if [ $name = s::quick ] && [ -e app/flaky ]; then echo '<flakyFailure message="not now"/>'; fi
    echo '</testcase>'
  done < share
  echo '</testsuite>'
} > report.xml
"""
JOB = {
    "run": SPLIT,
    "shards": 2,
    "level": "unit",
    "reports": {"junit": ["report.xml"]},
}


def shares(andon: Installation, change: str) -> list[str]:
    """Return what each shard said it would do."""
    run = andon.run(change, "build")
    assert run is not None
    logs = [
        andon.andon("logs", run["name"], step["name"]).text
        for step in run["steps"]
        if step["name"].startswith("unit")
    ]
    return sorted(line for log in logs for line in log.splitlines() if "shard " in line)


def test_a_suite_is_split_by_what_earlier_runs_took_and_flakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Jobs see what PATH names: the sources of an Andon that is not quite installed as well.
    monkeypatch.setenv(
        "PATH", f"{os.environ['PATH']}{os.pathsep}{Path(installed.__file__).parents[1]}"
    )
    project = Project(tmp_path / "hello", Shape(jobs={"unit": JOB}))
    with installation(tmp_path / "state") as andon:
        first = andon.begin(project)
        assert andon.ended(first)["phase"] == "Succeeded", andon.andon("why", first).text
        assert all("no durations" in said for said in shares(andon, first))

        project.commit("two", files={"app/flaky": ""})
        second = andon.begin(project)
        assert andon.ended(second)["phase"] == "Succeeded", andon.andon("why", second).text
        assert [said.partition(": ")[2] for said in shares(andon, second)] == [
            "1 of 4, about 9.0s",
            "3 of 4, about 9.0s",
        ]

        said = andon.andon("tests", "--json")
        assert said.code == 0, said.text
        report = json.loads(said.text)
        assert (report["runs"], report["pipeline"]) == (2, "hello")
        assert report["pyramid"] == [
            {"level": "unit", "suites": 1, "tests": 4, "failed": 0, "skipped": 0, "seconds": 18.0}
        ]
        assert [one["id"] for one in report["slowest"]] == [f"s::{name}" for name in NAMES]
        assert report["budget"]["flakyRuns"] == [f"build-{second}"]

        flakes = andon.andon("tests", "flakes", "--owner", "ann").text
        assert "Flake budget healthy: 1 of 2 Runs" in flakes
        pasted = yaml.safe_load(flakes.partition("Pipeline's spec:\n")[2])
        assert [(one["test"], one["owner"]) for one in pasted["quarantine"]] == [
            ("s::quick", "ann")
        ]
        assert "s::slow" in andon.andon("tests").text
