"""An alert that could never fire is refused, and one that falls away is told: nobody counts on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from andon.api.project import check_project
from andon.cli.run import run

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
OWN = {"name": "own", "burn": 2, "window": "1h", "severity": "page"}
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-slo, annotations: {}}
spec:
  service: shop
  indicator:
    metadata: {name: errors}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'sum(bad_total)'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'sum(all_total)'}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: most, target: 0.8}]
"""


def project(**spec: object) -> str:
    document = {
        "apiVersion": "andon/v1",
        "kind": "Objective",
        "metadata": {"name": "slo"},
        "spec": {"service": "shop", **spec},
    }
    return PROJECT + json.dumps(document)


def problems(**spec: object) -> list[tuple[str, str, str]]:
    found = check_project({"andon.yaml": project(**spec).encode()}).problems
    return [(one.field, one.message, one.hint) for one in found]


def test_target_for_which_no_page_could_ever_fire_is_refused() -> None:
    ((field, message, hint),) = problems(availability=0.8)
    assert field == "spec.availability"
    assert message == (
        "no page could ever fire: even if all fails, 0.8 over 30d burns 5 times too fast, and the "
        "mildest page asks for 6"
    )
    assert hint == (
        "`pages: false` if nobody is to be woken, a page under `alerts` with a `burn` below 5, or a "
        "target above 0.8334"
    )


@pytest.mark.parametrize(
    "said",
    [
        {"availability": 0.8, "pages": False},
        {"availability": 0.8334},
        {"availability": 0.8, "window": "7d"},
        {"availability": 0.8, "alerts": [OWN]},
        {"availability": 0.8, "alerts": [{**OWN, "burn": 4.99}]},
    ],
)
def test_what_the_hint_says_helps(said: dict[str, object]) -> None:
    assert problems(**said) == []


def test_each_target_of_every_form_is_looked_at() -> None:
    latency = {"thresholdSeconds": 1, "target": 0.7}
    assert [one[0] for one in problems(availability=0.999, latency=latency)] == [
        "spec.latency.target"
    ]
    targets = [{"target": 0.99}, {"target": 0.5}]
    found = problems(indicator={"gateway": {}}, targets=targets)
    assert [one[0] for one in found] == ["spec.targets[1].target"]
    assert [one[0] for one in problems(availability=0.95, window="1Y")] == ["spec.availability"]


@pytest.mark.parametrize(
    ("alert", "field", "said"),
    [
        ({"burn": 100}, "spec.alerts[0].burn", "burn of 100 can never fire at a target of 0.99:"),
        ({"burn": 1000}, "spec.alerts[0].burn", "can never fire"),
        ({"window": "31d"}, "spec.alerts[0].window", "at most the Objective's own window (30d)"),
        ({"window": "0h"}, "spec.alerts[0].window", "no length of time"),
        ({"after": "2d"}, "spec.alerts[0].after", "at most 1d, found 2d"),
        ({"name": "page-1h"}, "spec.alerts[0].name", "already called `page-1h`"),
        ({"name": "silence"}, "spec.alerts[0].name", "already called `silence`"),
    ],
)
def test_own_alert_that_means_nothing_is_refused(
    alert: dict[str, object], field: str, said: str
) -> None:
    ((where, message, _),) = problems(availability=0.99, alerts=[{**OWN, **alert}])
    assert where == field
    assert said in message


def test_alert_that_falls_away_is_a_warning_with_its_place() -> None:
    parsed = check_project({"andon.yaml": project(availability=0.9).encode()})
    assert parsed.problems == ()
    ((place, said),) = [((one.field, one.line), one.message) for one in parsed.warnings]
    assert place == ("spec.availability", 12)
    assert said.startswith("there is no alert page-1h: it could never fire")


def test_validate_warns_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "andon.yaml"
    file.write_text(project(availability=0.9))
    assert run(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert "warning" in said
    assert "there is no alert page-1h" in said
    file.write_text(project(availability=0.8))
    assert run(["validate", "--json", str(file)]) == 3
    assert json.loads(capsys.readouterr().out)["problems"][0]["field"] == "spec.availability"


def test_openslo_without_a_page_is_a_warning_and_a_problem_in_strict_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "openslo.yaml"
    file.write_text(SLO)
    assert run(["slo", "check", "--json", str(file)]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert run(["slo", "check", "--strict", "--json", str(file)]) == 3
    assert json.loads(capsys.readouterr().out)["problems"] == [warning]
    assert (warning["field"], warning["line"]) == ("spec.objectives[0].target", 16)
    file.write_text(SLO.replace("annotations: {}", 'annotations: {andon/pages: "false"}'))
    assert run(["slo", "check", "--strict", str(file)]) == 0
