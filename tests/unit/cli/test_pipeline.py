"""``andon pipeline show`` and ``andon pipeline lint``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from andon.cli.run import run

DOCUMENT = """\
apiVersion: andon/v1
kind: Pipeline
metadata: { name: shop }
spec:
  env: { LANG: C }
  templates:
    - { template: py, prefix: py, with: { python: "3.12" } }
    - { template: go, file: ci/go.yaml }
  jobs:
    unit:
      run: |
        one
        two
      timeoutSeconds: 60
      matrix: { axes: { os: [linux, mac] } }
    ship: { run: ship, needs: [unit], if: change.branch == 'main', timeoutSeconds: 5 }
---
apiVersion: andon/v1
kind: Template
metadata: { name: py }
spec:
  version: 1.0.0
  parameters: { python: { required: true } }
  jobs:
    test: { run: pytest $PARAM_PYTHON, timeoutSeconds: 9 }
"""
GO = """\
apiVersion: andon/v1
kind: Template
metadata: { name: go }
spec:
  version: 2.0.0
  jobs:
    vet: { run: go vet, timeoutSeconds: 9 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/go.yaml").write_text(GO)
    (tmp_path / "andon.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["pipeline", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, _ = call(capsys, *words, "--json")
    assert code in (0, 3)
    found: dict[str, Any] = json.loads(out)
    return found


def test_every_line_says_where_it_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "show", "unit-linux")
    assert code == 0
    assert out.splitlines() == [
        "unit-linux:  # andon.yaml:10",
        "  run:  # andon.yaml:11",
        "    one",
        "    two",
        "  env.LANG: C  # andon.yaml:5",
        "  env.MATRIX_OS: linux  # andon.yaml:15",
        "  timeoutSeconds: 60.0  # andon.yaml:14",
        "  evidence: unit  # default",
        '  values: {"os": "linux"}  # andon.yaml:15',
        "  failFast: true  # andon.yaml:15",
    ]


def test_jobs_of_templates_name_their_template_and_its_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = {job["name"]: job for job in answer(capsys, "show")["jobs"]}
    assert list(jobs) == ["unit-linux", "unit-mac", "ship", "py-test", "vet"]
    assert jobs["py-test"]["origin"] == "Template py 1.0.0 (andon.yaml:25)"
    assert jobs["py-test"]["lines"]["env.PARAM_PYTHON"] == "andon.yaml:7"
    assert jobs["vet"]["origin"] == "Template go 2.0.0 (ci/go.yaml:7)"
    assert jobs["vet"]["lines"]["run"] == "ci/go.yaml:7"


def test_a_skipped_job_shows_its_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ship,) = answer(capsys, "show", "ship", "--branch", "topic")["jobs"]
    assert ship["skip"] == "if: `change.branch == 'main'` is false"
    assert ship["lines"]["skip"] == "andon.yaml:16"
    (ship,) = answer(capsys, "show", "ship")["jobs"]
    assert "skip" not in ship


def test_an_unknown_job_is_not_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "show", "nothing")
    assert code == 4
    assert "no job is called nothing" in err


def test_lint_finds_nothing_in_a_sound_pipeline(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "lint", "--strict")
    assert (code, out) == (0, "0 errors, 0 remarks\n")


def test_remarks_are_errors_only_where_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "andon.yaml").write_text(DOCUMENT.replace(", timeoutSeconds: 5", ""))
    code, out, _ = call(capsys, "lint")
    assert code == 0
    assert "remark: andon.yaml:16:11: spec.jobs.ship: says no `timeoutSeconds`" in out
    assert call(capsys, "lint", "--strict")[0] == 3


@pytest.mark.parametrize(
    ("was", "is_", "message"),
    [
        ("needs: [unit]", "needs: [untt]", "no job is called `untt`"),
        ("needs: [unit]", "needs: [vett]", "no job is called `vett`"),
        ("needs: [unit]", "needs: [ship]", "jobs wait for each other: ship → ship"),
        ("file: ci/go.yaml", "source: 'https://h/ci'", "what is not pinned may be anything"),
        ("file: ci/go.yaml", "file: ../go.yaml", "leads out of the work tree"),
    ],
)
def test_lint_ends_with_3_where_something_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], was: str, is_: str, message: str
) -> None:
    (folder / "andon.yaml").write_text(DOCUMENT.replace(was, is_))
    code, out, _ = call(capsys, "lint")
    assert code == 3
    assert message in out
    found = answer(capsys, "lint")
    assert not found["valid"]
    assert found["problems"][0]["line"]


def test_a_link_out_of_the_repository_is_not_followed(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "go.yaml"
    outside.write_text(GO)
    (folder / "ci/go.yaml").unlink()
    (folder / "ci/go.yaml").symlink_to(outside)
    code, _, err = call(capsys, "lint")
    assert code == 3
    assert "there is no ci/go.yaml" in err
