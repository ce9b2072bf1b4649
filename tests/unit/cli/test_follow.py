from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from andon.cli.follow import _ends_change, exit_code, needs_person, news
from andon.cli.live import render
from andon.testing.line import a_change, a_hold, a_run


@pytest.mark.parametrize(
    ("phase", "code"), [("Succeeded", 0), ("Failed", 8), ("RolledBack", 8), ("Cancelled", 5)]
)
def test_how_a_change_ended_is_the_exit_code(phase: str, code: int) -> None:
    assert exit_code(a_change(phase=phase), {}) == code


def _why(**answer: Any) -> dict[str, Any]:
    return {"holds": [], "missing": []} | answer


def test_a_hold_that_a_person_lifts_ends_the_waiting_with_10() -> None:
    assert exit_code(a_change(phase="Waiting"), _why(holds=[a_hold()])) == 10


def test_a_missing_approval_needs_a_person() -> None:
    assert needs_person(_why(missing=[{"check": "approval", "person": True}]))


def test_what_opens_by_itself_needs_nobody() -> None:
    growing = {"check": "tests", "person": False}
    assert not needs_person(_why(holds=[a_hold(lift="Automatic")], missing=[growing]))


def test_a_rotation_that_was_rolled_back_ends_no_change() -> None:
    assert _ends_change(a_run(phase="RolledBack"))
    assert not _ends_change(a_run(phase="RolledBack", name="rotation-prod-shop-db-2-0a1b2c"))


def test_news_tell_steps_weights_and_failures_in_words() -> None:
    failed = a_run()["steps"][0] | {"state": "failed", "message": "exit 1\nmore"}
    change = a_change(runs=[a_run(phase="Failed", message="tests failed", steps=[failed])])
    lines = [line for line, _ in news(change)]
    assert any("canary-25" in line and line.endswith("exit 1") for line in lines)
    assert any("takes 25 % of the traffic" in line for line in lines)
    assert lines[-1].endswith("tests failed")


def test_the_live_display_shows_evidence_and_its_threshold() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(render(a_change(runs=[a_run()])))
    text = console.export_text()
    assert "25 %" in text
    assert "0.7 of 4.6" in text
    assert "2.9 of 4.6, about 12.0s more" in text
