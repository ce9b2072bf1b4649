"""What people may ask, what they are told, and verdicts decided again from what was stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from andon.api.v1.records import Subject
from andon.app import commands, queries, why
from andon.domains.delivery.judge import Sample, replay
from andon.kernel.digest import canonical_json
from andon.kernel.errors import Conflict, NotFound, UsageError
from andon.testing.scenario import Scenario

FOLDER = Path(__file__).parents[2] / "scenario"
BAD = [
    {"ship": "v1"},
    {"wait": "until change v1 is over"},
    {"faults": [{"kind": "errors", "change": "v2", "share": 0.05}]},
    {"ship": "v2"},
    {"wait": "until change v2 is over"},
    {"wait": 5},
]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., Scenario]]:
    opened = []

    def start(*items: dict) -> Scenario:
        scenario = Scenario({"play": list(items)}, FOLDER, tmp_path / "a.db")
        opened.append(scenario)
        assert not scenario.play()
        return scenario

    yield start
    for scenario in opened:
        scenario.close()


def pull(scenario: Scenario, scope: Subject, reason: str = "r", by: str = "ann"):
    return scenario.line.command(
        lambda tx, turns, now: commands.pull(
            tx, turns, scope, reason=reason, by=by, expires_at=0, now=now
        )
    )


def test_pulling_the_same_cord_again_changes_nothing(play: Callable[..., Scenario]):
    scenario = play()
    scope = Subject(environment="prod")
    first, again = pull(scenario, scope), pull(scenario, scope, "another reason")
    assert first == again
    assert pull(scenario, scope, by="bob").name != first.name
    assert scenario.ledger() == ["hold.pulled hold-1", "hold.pulled hold-2"]


@pytest.mark.parametrize(("scope", "reason"), [(Subject(), "r"), (Subject(service="web"), "  ")])
def test_a_hold_needs_a_scope_and_a_reason(
    play: Callable[..., Scenario], scope: Subject, reason: str
):
    with pytest.raises(UsageError):
        pull(play(), scope, reason)


def test_unknown_scope_field_is_named():
    with pytest.raises(UsageError, match="colour"):
        commands.scope_from({"colour": "red"})


@pytest.mark.parametrize(("service", "error"), [("web", Conflict), ("nobody", NotFound)])
def test_rollback_without_an_earlier_version_is_refused(play, service: str, error: type):
    scenario = play({"ship": "v1"}, {"wait": "until change v1 is over"}, {"wait": 5})
    with pytest.raises(error):
        scenario._rollback(service, {"in": "prod"})


def test_why_answers_for_every_kind_of_subject(play: Callable[..., Scenario]):
    scenario = play(*BAD)
    run = scenario.line.get("Run", scenario._named("rollout-prod-web-v2"))
    digest = run.spec.rollout.version.digest
    names = {"run": run.name, "change": run.spec.change, "service": "web", "digest": digest[7:19]}
    for kind, name in names.items():
        answer = scenario.line.look(lambda tx, name=name: why.explain(tx, name, "", 0.0))
        assert (answer["kind"], answer["open"]) == (kind, False)
        assert answer["holds"][0]["opens"] == "andon unlatch prod web -m REASON"
    answer = scenario.line.look(lambda tx: why.explain(tx, "dev", "", 0.0))
    assert (answer["kind"], answer["open"]) == ("environment", True)
    with pytest.raises(NotFound):
        scenario.line.look(lambda tx: why.explain(tx, "nobody", "", 0.0))


def test_why_tells_nothing_of_what_may_not_be_seen(play: Callable[..., Scenario]):
    scenario = play(*BAD)
    pull(scenario, Subject(environment="prod", service="web"), "a merger")
    run = scenario.line.get("Run", scenario._named("rollout-prod-web-v2"))
    digest = run.spec.rollout.version.digest
    for name in (run.name, run.spec.change, "web", digest[7:19]):
        said = scenario.line.look(
            lambda tx, name=name: why.explain(tx, name, "", 0.0, lambda place: place == "dev")
        )
        assert (said["open"], said["holds"], said["missing"]) == (True, [], [])
        # How a Change ended is its own, wherever that was.
        story = [one for one in said["story"] if "ended as" not in one["text"]]
        told = json.dumps({**said, "subject": "", "story": story})
        assert "merger" not in told
        assert "prod" not in told
        whole = scenario.line.look(lambda tx, name=name: why.explain(tx, name, "", 0.0))
        assert "merger" in json.dumps(whole)
        if name != run.name:
            assert any("dev" in one["text"] for one in said["story"])


def test_diff_shows_what_a_ship_would_change(play: Callable[..., Scenario]):
    scenario = play({"ship": "v1"}, {"wait": "until change v1 is over"}, {"wait": 5})
    change = next(iter(scenario.labels))
    spec = scenario.line.get("Change", change).spec
    digest = scenario.line.get("Environment", "prod").status.services["web"].digest
    same = scenario.line.look(lambda tx: queries.diff(tx, spec, "prod", {"web": digest}))
    assert same["services"][0]["changes"] == []
    other = scenario.line.look(lambda tx: queries.diff(tx, spec, "prod", {"web": "sha256:other"}))
    assert [one["field"] for one in other["services"][0]["changes"]] == ["artifact"]
    assert same["services"][0]["judged"] is None
    assert other["services"][0]["judged"]["rollout"]["strategy"] == "canary"
    with pytest.raises(NotFound):
        scenario.line.look(lambda tx: queries.diff(tx, spec, "moon", {}))


def test_a_verdict_is_decided_again_byte_for_byte_from_its_samples(play: Callable[..., Scenario]):
    scenario = play(*BAD)
    run = scenario.line.get("Run", scenario._named("rollout-prod-web-v2"))
    plan = run.spec.rollout
    stored = scenario.line.look(lambda tx: tx.samples(run.uid))
    samples = msgspec.convert(stored, list[Sample], strict=False)
    frozen = tuple(run.status.memory["frozen"])
    said = replay(plan.rollout.judge, plan.objective, frozen, samples)[-1]
    evidence = scenario.line.get("Evidence", f"{run.name}-canary-10").spec
    assert evidence.verdict == "Fail"
    found = {**msgspec.to_builtins(said), "sample": len(samples)}
    assert canonical_json(found) == canonical_json(evidence.value)
