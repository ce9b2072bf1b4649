"""Rollouts decided again from what the store kept of them, and looked at ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.app import queries
from andon.app.judging import REQUESTS, Judging, _thinned
from andon.kernel.errors import NotFound, UsageError
from andon.testing.scenario import Scenario

SCENARIOS = Path(__file__).parents[2] / "scenario"
BAD, GOOD = "rollout-prod-web-v2", "rollout-prod-web-v1"


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The story of a bad change, to its end."""
    script = yaml.safe_load((SCENARIOS / "bad_change.yaml").read_text())
    scenario = Scenario(script, SCENARIOS, tmp_path_factory.mktemp("judging") / "andon.db")
    assert scenario.play() == []
    yield scenario
    scenario.close()


@pytest.fixture
def metrics(tmp_path):
    store = MetricChunks(tmp_path, 1000)
    yield store
    store.close()


@pytest.fixture
def judging(played, metrics) -> Judging:
    return Judging(played.line.store, metrics, played.line.clock)


def ask(played, coroutine):
    return played.line._wait(coroutine)


def test_what_was_decided_live_comes_out_again_byte_for_byte(played, judging) -> None:
    told = ask(
        played, judging.replay(played._named(BAD), ["threshold", "argo", "flagger", "kayenta"])
    )
    assert told["same"]
    assert told["sameState"]
    (decision,) = told["decisions"]
    assert (decision["step"], decision["verdict"]) == ("canary-10", "RollBack")
    assert decision["reason"] == decision["reasonNow"]
    assert decision["sample"] == told["samples"] > 0
    assert [one["judge"] for one in told["judges"]] == [
        *("andon", "threshold", "argo", "flagger", "kayenta")
    ]
    own, *others = told["judges"]
    assert own["verdict"] == "RollBack"
    assert own["rollbackAfterSeconds"] is not None
    assert {one["verdict"] for one in others} <= {"Advance", "Wait"}


def test_steps_that_passed_come_out_again_too(played, judging) -> None:
    told = ask(played, judging.replay(played._named(GOOD), []))
    assert told["same"]
    assert {one["verdict"] for one in told["decisions"]} <= {"Advance", "Wait"}
    assert len(told["judges"]) == 1


def test_other_counts_than_were_seen_are_noticed(played, judging) -> None:
    def repeat_the_last(tx) -> None:
        run = tx.get("Run", played._named(GOOD))
        tx.add_samples(run.uid, tx.samples(run.uid)[-1:])

    played.line.tx(repeat_the_last)
    assert not ask(played, judging.replay(played._named(GOOD), []))["same"]


def test_run_without_judgement_and_unknown_rules_are_refused(played, judging) -> None:
    with pytest.raises(UsageError, match="nothing was judged"):
        ask(played, judging.replay(played._named("rollout-dev-web-v1"), []))
    with pytest.raises(NotFound, match="there is no judge 'coin'"):
        ask(played, judging.replay(played._named(BAD), ["coin"]))


def test_forecast_goes_by_the_traffic_that_was_counted(played, judging, metrics) -> None:
    now_ms = int(played.line.clock.now() * 1000)
    for back, count in ((600_000, 0), (300_000, 30_000), (0, 60_000)):
        rows = [
            (labels(kind), float(count * share)) for kind, share in (("2xx", 0.999), ("5xx", 0.001))
        ]
        metrics.append(now_ms - back, rows)
    told = ask(played, judging.forecast("web", "prod"))
    assert told["requestsPerSecond"] == pytest.approx(100, rel=0.02)
    assert told["errorShare"] == pytest.approx(0.001, rel=0.02)
    seen = {one["risk"]: one["afterSeconds"] for one in told["seen"]}
    assert seen[1.2] is None
    assert seen[30.0] < 60
    assert (told["fewestErrors"], told["firstWeight"]) == (4, 10)


def labels(kind: str):
    named = {
        "__name__": REQUESTS,
        "class": kind,
        "environment": "prod",
        "service": "web",
        "version": "v1",
    }
    return tuple(sorted(named.items()))


def test_forecast_for_expected_traffic_advises_to_stay_until_a_tripling_is_seen(
    played, judging
) -> None:
    told = ask(played, judging.forecast("web", "prod", requests_per_second=100, error_share=0.001))
    assert next(one for one in told["seen"] if one["risk"] == 3.0)["afterSeconds"] is None
    assert any("to see a tripling of errors, stay at" in one for one in told["advice"])


def test_forecast_without_traffic_asks_what_to_expect(played, judging) -> None:
    with pytest.raises(NotFound, match="no traffic of web in prod was counted"):
        ask(played, judging.forecast("web", "prod"))
    with pytest.raises(NotFound, match="never rolled out"):
        ask(played, judging.forecast("shop", "prod", requests_per_second=1))
    with pytest.raises(UsageError, match="`rolling`"):
        ask(played, judging.forecast("web", "dev", requests_per_second=1))


def under_way(played, name: str, phase: str = "Running") -> str:
    """Have a Change that is over stand in the middle of its way once more."""
    change = played._named(name)

    def put(tx) -> None:
        found = tx.get("Change", change)
        tx.put_status(found, replace(found.status, phase=phase))

    played.line.tx(put)
    return change


def test_a_change_is_told_what_the_judge_will_see_of_it(played, judging, metrics) -> None:
    over = played._named("v2")
    assert ask(played, judging.foresee(over)) == {"change": over, "rollouts": []}
    change = under_way(played, "v2")
    try:
        (row,) = ask(played, judging.foresee(change))["rollouts"]
        assert (row["service"], row["environment"], row["forecast"]) == ("web", "prod", None)
        assert row["unknown"] == "no traffic of web in prod was counted in the last hour"
        now_ms = int(played.line.clock.now() * 1000)
        for back, count in ((600_000, 0), (300_000, 30_000), (0, 60_000)):
            metrics.append(now_ms - back, [(labels("2xx"), float(count))])
        (row,) = ask(played, judging.foresee(change))["rollouts"]
        assert row["unknown"] == ""
        told = row["forecast"]
        assert told["requestsPerSecond"] == pytest.approx(100, rel=0.02)
        assert {one["risk"]: one["afterSeconds"] for one in told["seen"]}[1.2] is None
        assert ask(played, judging.foresee(change))["rollouts"] == [row]
        spec = played.line.get("Change", change).spec
        diff = played.line.look(lambda tx: queries.diff(tx, spec, "prod", {}))
        assert ask(played, judging.foresee_diff(diff)) == [row]
    finally:
        under_way(played, "v2", "RolledBack")
    with pytest.raises(NotFound, match="there is no change"):
        ask(played, judging.foresee("nothing"))


def test_what_runs_already_is_not_foreseen(played, judging) -> None:
    change = under_way(played, "v1")
    try:
        assert ask(played, judging.foresee(change))["rollouts"] == []
    finally:
        under_way(played, "v1", "Succeeded")


def test_rounds_tell_evidence_and_counts_up_to_the_verdict(played, judging) -> None:
    told = ask(played, judging.rounds(played._named(BAD)))
    rounds = told["rounds"]
    assert told["looks"] == len(rounds) > 1
    assert rounds[-1]["verdict"] == "RollBack"
    assert {one["verdict"] for one in rounds[:-1]} == {"Wait"}
    assert rounds[-1]["harmLog"] >= told["harmThreshold"] > rounds[0]["harmLog"]
    assert rounds[-1]["canaryErrors"] > 0
    assert [one["canaryRequests"] for one in rounds] == sorted(
        one["canaryRequests"] for one in rounds
    )
    with pytest.raises(UsageError, match="nothing was judged"):
        ask(played, judging.rounds(played._named("rollout-dev-web-v1")))


def test_of_many_rounds_those_stay_that_said_something_new() -> None:
    said = [{"verdict": "Wait", "weight": 10.0, "at": float(at)} for at in range(5000)]
    said[3333] |= {"verdict": "Untrustworthy"}
    kept = _thinned(said)
    assert len(kept) < 610
    assert kept[0] == said[0]
    assert kept[-1] == said[-1]
    assert {3333.0, 3334.0} <= {one["at"] for one in kept}
