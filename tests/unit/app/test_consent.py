"""Consent as people give it, take it back and look at it: on the real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.api.v1.control import Selector
from andon.app import commands, queries, why
from andon.kernel.errors import Denied
from andon.ports.asking import Asked
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[2] / "scenario"
TWO = "requires: [unit]\n  approvals: { count: 2, people: [team:sre] }"


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Scenario]:
    """A Change at the gate of prod, where two of team sre must approve."""
    edit = [{"find": "requires: [unit, acceptance]", "put": TWO}]
    play = [
        {"ship": "v1", "edit": edit},
        {"wait": "until run rollout-prod-web-v1 is EvidenceMissing"},
    ]
    scenario = Scenario({"play": play}, FOLDER, tmp_path / "a.db")
    assert not scenario.play()
    yield scenario
    scenario.close()


def approve(scenario: Scenario, name: str, *teams: str):
    asked = Asked(by=f"person:{name}", teams=teams, emails=(f"{name}@example.com",))
    change = next(iter(scenario.labels))
    return scenario.line.command(
        lambda tx, turns, now: commands.approve(
            tx, turns, change, "prod", asked=asked, reason="looked", now=now
        )
    )


def test_approving_twice_returns_the_first_approval_and_records_nothing(waiting: Scenario):
    first = approve(waiting, "bob", "sre", "shop")
    waiting.line.clock.advance(60)
    assert approve(waiting, "bob", "sre") == first
    assert first.spec.by == "person:bob"
    assert first.spec.teams == ("sre", "shop")
    assert len(waiting.line.look(lambda tx: tx.list(Selector(kind="Approval")))) == 1


def test_a_refused_approval_leaves_nothing_behind(waiting: Scenario):
    for name, teams in (("ada", ("sre",)), ("bob", ("shop",))):
        with pytest.raises(Denied):
            approve(waiting, name, *teams)
    assert waiting.line.look(lambda tx: tx.list(Selector(kind="Approval"))) == []
    assert not any("approval.given" in line for line in waiting.ledger())


def test_where_no_consent_is_asked_for_whoever_made_it_may_go_on_unjudged(tmp_path: Path):
    scenario = Scenario({"play": [{"ship": "v1"}]}, FOLDER, tmp_path / "a.db")
    assert not scenario.play()
    assert approve(scenario, "ada").spec.by == "person:ada"
    scenario.close()


def test_why_and_the_change_show_who_approved_and_who_is_missing(waiting: Scenario):
    approve(waiting, "bob", "sre")
    change = next(iter(waiting.labels))
    now = waiting.line.clock.now()
    answer = waiting.line.look(lambda tx: why.explain(tx, change, "prod", now))
    (lack,) = answer["missing"]
    assert lack["reason"] == "1 of 2 approvals: bob; needs somebody of team:sre"
    assert [one["by"] for one in answer["approvals"]] == ["person:bob"]
    shown = waiting.line.look(lambda tx: queries.change_with_runs(tx, tx.require("Change", change)))
    assert [(one["environment"], one["reason"]) for one in shown["approvals"]] == [
        ("prod", "looked")
    ]


def test_an_approval_grows_too_old_and_may_be_given_again(waiting: Scenario):
    first = approve(waiting, "bob", "sre")
    waiting.line.clock.advance(31 * 86400)
    assert approve(waiting, "bob", "sre").name != first.name
