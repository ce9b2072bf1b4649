"""Transitions of every Run, checked at every turn of random plays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from andon.api.v1.actions import Notify
from andon.api.v1.control import Decision
from andon.api.v1.records import ENDED_STEP, TERMINAL, Object
from andon.runtime.turns import Turns, load_view
from andon.testing.scenario import Scenario
from andon.testing.simulated_line import SimulatedLine

FOLDER = Path(__file__).parents[1] / "scenario"

faults = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["job", "errors", "deploy", "disagree", "restarts", "drain", "pack"]
            ),
            "share": st.just(0.1),
            "machine": st.booleans(),
            "times": st.integers(0, 2),
            "environment": st.sampled_from(["", "prod"]),
        }
    ),
    max_size=2,
)
slow = st.fixed_dictionaries(
    {
        "kind": st.just("slow"),
        "name": st.sampled_from(["SetWeights", "RunJob", "DeployReplicas", "WriteDesired"]),
        "seconds": st.sampled_from([0.5, 3, 12]),
    }
)
hold = st.fixed_dictionaries(
    {"hold": st.just({"environment": "prod"}), "expires": st.sampled_from([1, 5, 40])}
)
rollback = st.just({"rollback": "web", "in": "prod"})
cancel = st.sampled_from(["build-v2", "rollout-dev-web-v2", "rollout-prod-web-v2"]).map(
    lambda run: {"cancel": run}
)
REFUSALS = ("there is no earlier version", "there is no run", "refused with Conflict")
interruptions = st.one_of(
    hold, rollback, cancel, st.just({"restart": True}), st.just({"lose": "everything"})
)


class WatchedTurns(Turns):
    """Turns that check what every decision must keep to."""

    def apply(
        self, tx: Any, obj: Object, decision: Decision, token: int, now: float, *place: Any
    ) -> Any:
        controller = self.controller_of(obj)
        assert controller is not None
        again = controller.reconcile(load_view(tx, obj, controller), now)
        assert again == decision, f"{obj.name}: the same view gave another decision"
        before = {row.name: row for row in tx.steps(obj.uid)}
        for row in decision.steps:
            old = before.get(row.name)
            restored = row.name == "deploy" and "lost" in row.message
            if old is not None and old.state in ENDED_STEP and not restored:
                assert row.state == old.state, f"{obj.name}: {row.name} was marked twice"
        if getattr(obj.status, "phase", "") in TERMINAL:
            assert all(isinstance(ask.action, Notify) for ask in decision.ask)
            assert decision.status is None or decision.status.phase == obj.status.phase
        asked = super().apply(tx, obj, decision, token, now, *place)
        self._check_latch(tx, obj)
        self._check_weights(tx, obj)
        return asked

    def _check_latch(self, tx: Any, obj: Object) -> None:
        now = tx.get(obj.kind, obj.name)
        back = getattr(now.status, "memory", {}).get("back", {}) if obj.kind == "Run" else {}
        if back.get("fault") == "change":
            assert tx.get("Hold", f"latch-{obj.name}"), (
                "the latch is not in the verdict's transaction"
            )

    def _check_weights(self, tx: Any, obj: Object) -> None:
        rows = [row for row in tx.actions(obj.uid) if row.outcome is None]
        weights = [row.key for row in rows if type(row.action).__name__ == "SetWeights"]
        assert len(weights) <= 1 or obj.kind == "Environment", f"a race of weights: {weights}"


class WatchedLine(SimulatedLine):
    """A line whose every turn is watched."""

    def start(self) -> None:
        self.turns.__class__ = WatchedTurns
        super().start()


@settings(
    max_examples=8,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(
    faults,
    st.lists(slow, max_size=1),
    st.lists(st.tuples(st.integers(0, 12), interruptions), max_size=3),
)
def test_whatever_happens_transitions_keep_their_rules(
    faults: list[dict[str, Any]],
    slow: list[dict[str, Any]],
    between: list[tuple[int, dict[str, Any]]],
):
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario({"play": []}, FOLDER, Path(folder) / "a.db", WatchedLine)
        try:
            scenario.line.start()
            play: list[dict[str, Any]] = [
                {"ship": "v1"},
                {"wait": "until change v1 is over"},
                {"wait": 5},
            ]
            play += [{"faults": [{**one, "change": "v2"} for one in faults] + slow}, {"ship": "v2"}]
            for seconds, interruption in between:
                play += [{"wait": seconds}, interruption]
            play += [{"wait": 90}, {"faults": []}, {"wait": 90}]
            problems = [problem for item in play for problem in scenario.perform(item)]
            assert not [one for one in problems if not any(said in one for said in REFUSALS)]
            _check_the_end(scenario)
        finally:
            scenario.close()


def _check_the_end(scenario: Scenario) -> None:
    """In the end nothing moves any more, and what runs is what is desired."""
    facts = scenario.facts()
    moving = [name for name, phase in facts["runs"].items() if phase.split()[0] not in TERMINAL]
    stuck = [name for name, phase in facts["runs"].items() if "NoWayBack" in phase]
    assert not moving or facts["holds"], f"{moving} do not end: {facts['messages']}"
    if not moving and not stuck:
        assert facts["desired"] == facts["running"]
