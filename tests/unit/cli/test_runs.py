"""What people read of a Run's steps."""

from __future__ import annotations

from typing import Any

import click
import pytest

from andon.api.v1.records import StepRow
from andon.app.shapes import step_json
from andon.cli.commands.runs import tell_run
from andon.testing.line import a_run


def told(**row: Any) -> str:
    steps = [step_json(StepRow(name="unit", position=0, **row))]
    return click.unstyle(tell_run(a_run(steps=steps, canaryRequests=0))[-1])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"state": "skipped-by-rule", "message": "if: `false` is false"}, "if: `false` is false"),
        (
            {"state": "running", "attempt": 1, "message": "exit code 1; trying again"},
            "attempt 2; e",
        ),
        ({"state": "interrupted", "fault": "machine", "message": "killed"}, "interrupted"),
        (
            {
                "state": "passed",
                "attempt": 1,
                "message": "passed on attempt 2",
                "figures": {"flaky": {}},
            },
            "passed on attempt 2",
        ),
    ],
)
def test_a_step_says_its_state_and_why(row: dict[str, Any], said: str):
    line = told(**row)
    assert row["state"] in line
    assert said in line
    assert line.count("attempt") == bool(row.get("attempt"))


def test_an_answer_names_the_rule_the_flake_and_what_was_reused():
    skipped = step_json(StepRow(name="a", position=0, state="skipped-by-rule", message="paths: x"))
    assert (skipped["rule"], skipped["flaky"], skipped["reused"]) == ("paths: x", False, "")
    figures = {"flaky": {"attempts": 2}, "reused": "r/j", "quarantined": ["t"]}
    other = step_json(StepRow(name="a", position=0, state="passed", message="m", figures=figures))
    assert (other["rule"], other["flaky"], other["reused"]) == ("", True, "r/j")
    assert other["quarantined"] == ["t"]
