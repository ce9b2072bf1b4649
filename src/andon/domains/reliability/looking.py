"""What every judge of a rollout looks like from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.samples import Sample

Verdict = Literal["RollBack", "Advance", "Wait"]


class Judge(Protocol):
    """One rollout's judge; it remembers what it has seen."""

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval and say what it comes to so far."""
        ...


Maker = Callable[[JudgePolicy, ObjectiveSpec | None, Mapping[int, int]], Judge]
"""Begins a judge: its policy, the Objective, and stable's latency before the rollout, by bucket."""
