"""What was imported is run, and does what it did where it came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from andon.cli.run import run as andon

GITHUB = """\
name: live
on: [push]
env: {GREETING: "it's me"}
jobs:
  unit:
    runs-on: ubuntu-latest
    strategy: {matrix: {part: [a, b]}}
    steps:
      - uses: actions/checkout@v4
      - run: |
          echo "X=${{ matrix.part }}" >> "$GITHUB_ENV"
          [[ "$GREETING" == "it's me" ]]
      - run: test "$X" = '${{ matrix.part }}'
      - run: exit 7
        if: matrix.part == 'c'
      - run: mkdir out && echo hi > out/${{ matrix.part }}
        if: github.event_name != 'schedule'
      - uses: actions/upload-artifact@v4
        with: {path: out/}
  use:
    needs: unit
    runs-on: ubuntu-latest
    steps:
      - run: cat out/a out/b
      - run: import sys; print(sys.version)
        shell: python
  pulled:
    needs: unit
    runs-on: ubuntu-latest
    if: github.event_name == 'pull_request'
    steps: [{run: "false"}]
  unknown:
    runs-on: ubuntu-latest
    steps: [{uses: some/scan@v1}]
"""
GITLAB = """\
stages: [build, test]
variables: {DIR: out}
.shell: {before_script: ["export A=1"], after_script: ["echo after", "false"]}
compile:
  stage: build
  script: ["mkdir $DIR", "echo hi > $DIR/x"]
  artifacts: {paths: [out/]}
test:
  stage: test
  extends: .shell
  parallel: {matrix: [{PY: ["1", "2"]}]}
  script: ["test $A = 1", "cat out/x", 'test "$PY" = 1 || test "$PY" = 2', "test $CI_PROJECT_DIR = $PWD"]
fails:
  stage: test
  extends: .shell
  script: ["exit 3"]
"""


@pytest.mark.parametrize(
    ("engine", "text", "states"),
    [
        (
            "github",
            GITHUB,
            {
                "unit-a": "passed",
                "unit-b": "passed",
                "use": "passed",
                "pulled": "skipped-by-rule",
                "unknown": "failed",
            },
        ),
        (
            "gitlab",
            GITLAB,
            {"compile": "passed", "test-1": "passed", "test-2": "passed", "fails": "failed"},
        ),
    ],
)
def test_what_was_imported_runs_as_it_did_where_it_came_from(tmp_path, engine, text, states):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ci.yml").write_text(text)
    assert andon(["import", engine, str(folder / "ci.yml"), "-o", str(folder / "andon.yaml")]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "andon", "run", "--json"],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 8
    assert {e["step"]: e["state"] for e in events if e["event"] == "ended"} == states
