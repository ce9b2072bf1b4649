"""Plays one rollout before several judges at once: all of them see the same traffic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from andon.api.v1.samples import Sample
from andon.api.v1.simulation import ScenarioSpec
from andon.domains.reliability.looking import Judge, Maker
from andon.domains.reliability.simulator.outcome import End
from andon.domains.reliability.simulator.traffic import draw, samples, stable_before


def play(
    scenario: ScenarioSpec, makers: Mapping[str, Maker], chance: np.random.Generator
) -> dict[str, End]:
    """Play one rollout; tells how it ended for each judge.

    Args:
        scenario: What happens.
        makers: Judges by name.
        chance: Seeded generator.
    """
    before = stable_before(scenario, chance)
    seats = {
        name: _Seat(maker(scenario.judge, scenario.objective, before))
        for name, maker in makers.items()
    }
    waiting, failed = list(seats.values()), 0
    for sample in samples(scenario, draw(scenario, chance)):
        failed += sample.canary.errors
        for seat in waiting:
            seat.look(sample, failed)
        waiting = [seat for seat in waiting if seat.rolled_back is None]
        if not waiting:
            break
    return {name: seat.end(failed) for name, seat in seats.items()}


class _Seat:
    """Where one judge sits, and what it said."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._fit = False
        self.rolled_back: tuple[float, int] | None = None
        self._advanced: float | None = None

    def look(self, sample: Sample, failed: int) -> None:
        verdict = self._judge.look(sample)
        self._fit = verdict == "Advance"
        if self._fit and self._advanced is None:
            self._advanced = sample.at
        if verdict == "RollBack":
            self.rolled_back = (sample.at, failed)

    def end(self, failed: int) -> End:
        at, until = self.rolled_back or (None, failed)
        return End(at, self._advanced, self.rolled_back is None and self._fit, until)
