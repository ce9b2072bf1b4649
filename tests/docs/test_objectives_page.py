"""What the page about objectives shows is accepted, and says what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from andon.api.project import check_project
from andon.api.v1.objectives import ObjectiveSpec
from andon.cli.root import andon
from andon.cli.run import run
from andon.domains.reliability.goals import (
    DEFAULT_AVAILABILITY,
    DEFAULT_LATENCY,
    DEFAULT_WINDOW,
    goals_of,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/objectives.md").read_text()
DOCUMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ (andon .*)$", PAGE, re.MULTILINE)
PROJECT = """
apiVersion: andon/v1
kind: Service
metadata: {name: shop}
spec: {command: [./run]}
---
apiVersion: andon/v1
kind: Pipeline
metadata: {name: ci}
spec: {jobs: {test: {run: "true"}}}
---
"""


def test_every_option_is_one() -> None:
    assert len(COMMANDS) == 6
    for line in COMMANDS:
        _, *words = shlex.split(line)
        told = CliRunner().invoke(andon, [*words[:2], "--help"]).output
        for option in [one for one in words if one.startswith("--")]:
            assert option in told, line


def test_documents_are_accepted() -> None:
    text = PROJECT + "---\n".join(DOCUMENTS)
    parsed = check_project({"andon.yaml": text.encode()})
    assert [str(problem) for problem in parsed.problems] == []
    specs = {one.metadata.name: one.spec for one in parsed.definitions}
    goals = {
        goal.id
        for name, spec in specs.items()
        if isinstance(spec, ObjectiveSpec)
        for goal in goals_of(name, spec, ["prod"])
    }
    assert goals == {
        "shop/prod/availability",
        "shop/prod/latency",
        "shop-orders/prod/most",
        "shop-orders/prod/nearly-all",
        "shop-whole/prod/from-outside",
        "shop-whole/prod/quiet-logs",
    }


def test_the_defaults_are_those_of_the_page() -> None:
    assert (DEFAULT_AVAILABILITY, DEFAULT_LATENCY.target) == (0.99, 0.95)
    assert (DEFAULT_LATENCY.threshold_seconds, DEFAULT_WINDOW) == (1.0, "30d")


def test_an_openslo_file_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "openslo.yaml"
    file.write_text("apiVersion: openslo/v1\nkind: Service\nmetadata: {name: Shop}\nspec: {}\n")
    assert run(["slo", "check", str(file)]) == 0
    assert "warning" in capsys.readouterr().out
    assert run(["slo", "check", str(file), "--strict"]) == 3
    assert "did you mean `shop`?" in capsys.readouterr().out
