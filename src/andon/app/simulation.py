"""Rollouts played before the judge and before other tools' rules, on as many processors as there are."""

from __future__ import annotations

import multiprocessing
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from msgspec import Struct, structs

from andon.api.parse import duplicates, read_documents
from andon.api.problems import invalid
from andon.api.v1.definitions import JudgePolicy, ObjectiveSpec
from andon.api.v1.samples import Sample
from andon.api.v1.simulation import SCENARIO, ScenarioSpec
from andon.domains.delivery.judge import decide, fold, frozen_thresholds, start_state
from andon.domains.reliability.baselines.argo import Argo
from andon.domains.reliability.baselines.flagger import Flagger
from andon.domains.reliability.baselines.kayenta import Kayenta
from andon.domains.reliability.baselines.threshold import Threshold, ZTest
from andon.domains.reliability.looking import Judge, Maker, Verdict
from andon.domains.reliability.simulator.outcome import End, Outcome, outcome
from andon.domains.reliability.simulator.rollout import play
from andon.kernel.errors import InvalidDocument, NotFound

RUNS_AT_ONCE = 20
"""A processor plays so many before it tells how they ended."""

Progress = Callable[[str, int, int], None]
"""Scenario, rollouts that are over, and all of them."""


class OwnJudge:
    """The judge that decides over real rollouts.

    Args:
        policy: Its error rates.
        objective: What it holds the canary to.
        before: Stable's latency before the rollout, by bucket.
    """

    def __init__(
        self, policy: JudgePolicy, objective: ObjectiveSpec | None, before: Mapping[int, int]
    ) -> None:
        self._policy = policy
        self._state = start_state(policy, objective, frozen_thresholds(before, objective))

    def look(self, sample: Sample) -> Verdict:
        """Take the next interval."""
        self._state = fold(self._state, sample)
        verdict, _ = decide(
            self._state,
            self._policy,
            last_step=sample.last_step,
            soak_done=sample.soak_done,
            restarts=sample.restarts,
            consistent=sample.consistent,
        )
        return "Wait" if verdict == "Untrustworthy" else verdict


def without_tolerance(policy: JudgePolicy) -> JudgePolicy:
    """Return a policy to which any rise is harm, and any slowdown."""
    return structs.replace(policy, tolerance=1.0, tolerated_slowdown=0.0)


def _strict(
    policy: JudgePolicy, objective: ObjectiveSpec | None, before: Mapping[int, int]
) -> Judge:
    return OwnJudge(without_tolerance(policy), objective, before)


OWN, STRICT = "andon", "andon-strict"
JUDGES: dict[str, Maker] = {
    OWN: OwnJudge,
    STRICT: _strict,
    "threshold": lambda _policy, objective, _before: Threshold(objective),
    "argo": lambda *_: Argo(),
    "argo-strict": lambda *_: Argo(
        interval_seconds=60, least_success=0.99, failure_limit=0, initial_delay_seconds=60
    ),
    "flagger": lambda *_: Flagger(),
    "kayenta": lambda *_: Kayenta(),
    "ztest": lambda *_: ZTest(),
}
"""Judges by name: ours as it decides, ours without tolerance, and other tools' documented examples."""


class Scenario(Struct, frozen=True):
    """A scenario and what it is called."""

    name: str
    spec: ScenarioSpec


def judges_named(names: Sequence[str]) -> dict[str, Maker]:
    """Return judges by name.

    Raises:
        NotFound: There is none of that name.
    """
    for name in names:
        if name not in JUDGES:
            raise NotFound(f"there is no judge {name!r}", hint=f"one of: {', '.join(JUDGES)}")
    return {name: JUDGES[name] for name in names}


def read_scenarios(data: bytes, file: str) -> tuple[Scenario, ...]:
    """Read all scenarios of a file.

    Raises:
        InvalidDocument: At least one has a problem, or there is none.
    """
    parsed = read_documents(data, file, SCENARIO)
    problems = (*parsed.problems, *duplicates(parsed.definitions))
    if problems:
        raise invalid(problems)
    if not parsed.definitions:
        raise InvalidDocument(
            f"there is no scenario in {file}", hint="begin with `kind: Scenario`: docs/simulate.md"
        )
    return tuple(
        Scenario(one.metadata.name, one.spec)
        for one in parsed.definitions
        if isinstance(one.spec, ScenarioSpec)
    )


def simulate(
    scenarios: Sequence[Scenario],
    judges: Sequence[str],
    *,
    runs: int,
    seed: int,
    processes: int | None = None,
    progress: Progress = lambda *_: None,
) -> list[Outcome]:
    """Play each scenario many times before several judges, all of which see the same traffic.

    Args:
        scenarios: What happens.
        judges: Their names.
        runs: Rollouts of each scenario.
        seed: The same seed gives the same rollouts, on however many processors.
        processes: So many at once; None: one a processor.
        progress: Is told how far it is.

    Raises:
        NotFound: There is no judge of that name.
    """
    judges_named(judges)
    orders = [
        _Order(scenario, tuple(judges), seed, first, min(RUNS_AT_ONCE, runs - first))
        for scenario in scenarios
        for first in range(0, runs, RUNS_AT_ONCE)
    ]
    ends: dict[str, list[dict[str, End]]] = {scenario.name: [] for scenario in scenarios}
    workers = min(processes or os.cpu_count() or 1, len(orders))
    for order, played in zip(orders, _played(orders, workers), strict=True):
        told = ends[order.scenario.name]
        told += played
        progress(order.scenario.name, len(told), runs)
    return [
        outcome(
            scenario.name,
            judge,
            [end[judge] for end in ends[scenario.name]],
            harmful=scenario.spec.harmful,
            promised=scenario.spec.promised,
        )
        for scenario in scenarios
        for judge in judges
    ]


class _Order(Struct, frozen=True):
    """Some rollouts that one process plays."""

    scenario: Scenario
    judges: tuple[str, ...]
    seed: int
    first: int
    count: int


def _played(orders: Sequence[_Order], workers: int) -> Iterator[list[dict[str, End]]]:
    if workers <= 1:
        yield from map(_play, orders)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        try:
            yield from pool.map(_play, orders)
        finally:
            pool.shutdown(cancel_futures=True)


def _play(order: _Order) -> list[dict[str, End]]:
    scenario, makers = order.scenario, judges_named(order.judges)
    return [
        play(scenario.spec, makers, chance_of(scenario, order.seed, index))
        for index in range(order.first, order.first + order.count)
    ]


def chance_of(scenario: Scenario, seed: int, index: int) -> np.random.Generator:
    """Return what draws one rollout of a scenario, by its number."""
    return np.random.default_rng([seed, zlib.crc32(scenario.name.encode()), index])
