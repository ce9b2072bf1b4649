"""What the judge promises, on the scenarios of the repository with frozen seeds; thousands: ``certify``."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist, median

import numpy as np
import pytest
from msgspec.structs import replace

from andon.api.v1.definitions import RolloutPolicy
from andon.api.v1.simulation import Behaviour, Latency
from andon.app.simulation import (
    OwnJudge,
    Scenario,
    read_scenarios,
    simulate,
    without_tolerance,
)
from andon.domains.reliability.power import Load, seconds_at
from andon.domains.reliability.simulator.outcome import Outcome
from andon.domains.reliability.simulator.traffic import draw, samples, stable_before

FILES = Path(__file__).parents[3] / "examples" / "scenarios"
RUNS = 300
ALL = {
    one.name: one
    for file in sorted(FILES.glob("*.yaml"))
    for one in read_scenarios(file.read_bytes(), file.name)
}
GOOD = [name for name, one in ALL.items() if not one.spec.harmful and one.spec.promised]
MINUTES, LATENCY_MINUTES, SECONDS = 8.0, 3.0, 10.0
"""A shorter rollout, looked at less often: less may go wrong, but all that happens in it happens."""


def shortened(scenario: Scenario) -> Scenario:
    spec = scenario.spec
    minutes = LATENCY_MINUTES if spec.canary.latency else MINUTES
    factor = minutes / spec.minutes
    outages = tuple(
        replace(one, from_minute=one.from_minute * factor, minutes=one.minutes * factor)
        for one in spec.outages
    )
    return Scenario(
        scenario.name, replace(spec, outages=outages, minutes=minutes, interval_seconds=SECONDS)
    )


def told(name: str, *judges: str, runs: int = RUNS, **more) -> dict[str, Outcome]:
    scenario = Scenario(name, replace(ALL[name].spec, **more))
    found = simulate([scenario], judges, runs=runs, seed=1, processes=1)
    return {one.judge: one for one in found}


@pytest.mark.parametrize("name", GOOD)
def test_good_release_is_rolled_back_no_more_often_than_alpha(name) -> None:
    (outcome,) = simulate([shortened(ALL[name])], ["andon"], runs=RUNS, seed=1, processes=1)
    assert not outcome.false_beyond_doubt(ALL[name].spec.judge.alpha)
    assert outcome.share <= ALL[name].spec.judge.alpha


@pytest.mark.parametrize(
    ("name", "share", "minutes", "failed"),
    [
        ("errors-triple", 0.98, 8.2, 16.5),
        ("errors-one-percent", 1.0, 1.0, 6.6),
        ("errors-five-percent", 1.0, 0.2, 5.6),
        ("errors-five-percent-late", 1.0, 10.3, None),
        ("little-traffic-five-percent", 0.99, 2.8, None),
        ("latency-two-percent-one-second", 1.0, 1.25, None),
    ],
)
def test_without_tolerance_it_is_as_fast_as_designed(name, share, minutes, failed) -> None:
    """The design's medians, with what 150 rollouts may differ from them by chance."""
    outcome = told(name, "andon-strict", runs=150)["andon-strict"]
    assert outcome.share >= share
    assert outcome.until_rollback.median <= 60 * minutes
    assert failed is None or outcome.failed_requests <= failed


def test_little_traffic_sees_a_tenfold_rise_in_most_rollouts() -> None:
    outcome = told("little-traffic-one-percent", "andon-strict", runs=150)["andon-strict"]
    assert outcome.high >= 0.79
    assert outcome.share >= 0.7


def test_users_lose_a_quarter_of_what_the_best_careful_rule_loses() -> None:
    judges = ("andon", "threshold", "argo", "argo-strict", "flagger", "kayenta")
    bad = told("errors-five-percent", *judges, runs=40)
    good = told("equal", *judges, runs=40)
    careful = [name for name in judges[1:] if good[name].rolled_back == 0]
    assert {"threshold", "argo", "flagger"} <= set(careful)
    best = min(bad[name].failed_requests for name in careful)
    assert bad["andon"].failed_requests <= 0.25 * best


@pytest.mark.parametrize(
    "name", ["latency-two-percent-one-second", "latency-doubled", "errors-five-percent-late"]
)
def test_canaries_that_were_missed_elsewhere_are_caught(name) -> None:
    assert told(name, "andon", runs=60)["andon"].share >= 0.97


def test_tables_of_other_rules_come_out_as_published() -> None:
    late = told("errors-five-percent-late", "kayenta", "flagger", runs=30)
    assert late["kayenta"].share <= 0.1
    assert late["flagger"].until_rollback.median == 21 * 60
    chronic = told("chronic", "argo-strict", "flagger", runs=10)
    assert chronic["argo-strict"].share == chronic["flagger"].share == 1.0
    assert told("equal", "ztest", runs=60)["ztest"].share >= 0.1


@pytest.mark.parametrize(
    ("risk", "requests_per_second"), [(5.0, 100.0), (10.0, 100.0), (50.0, 5.0)]
)
def test_forecast_is_about_the_middle_of_what_happens(risk, requests_per_second) -> None:
    load = Load(requests_per_second=requests_per_second, error_share=0.001)
    forecast = seconds_at(OwnJudge, RolloutPolicy(), None, load, risk, weight=10)
    happened = told(
        "errors-triple",
        "andon",
        runs=60,
        canary=Behaviour(errors=0.001 * risk),
        requests_per_second=requests_per_second,
    )["andon"].until_rollback
    assert happened.p10 <= forecast <= happened.p90
    assert 0.6 <= forecast / happened.median <= 1.6


def test_a_fifth_slower_is_seen_by_whoever_tolerates_no_slowdown() -> None:
    outcome = told("latency-fifth-slower", "andon-strict", runs=60)["andon-strict"]
    assert outcome.share == 1.0
    assert outcome.until_rollback.median <= 60 * 3.5


def without_looking_at_stable(slower: float, seed: int, minutes: int = 15) -> float | None:
    """Return when the design's simple bets roll back, in minutes, that take frozen shares for eternal.

    Ten requests a second, lognormal as in the scenarios, at thresholds frozen at p50 to p99.
    """
    chance, looks, requests = np.random.default_rng(seed), minutes * 12, 50
    shares = 1 - np.array([0.5, 0.75, 0.9, 0.95, 0.99])
    reached = [NormalDist().inv_cdf(1 - one) - math.log(slower) / 0.9 for one in shares]
    logs = chance.normal(size=(looks, requests))
    above = (logs[:, :, None] > np.array(reached)).sum(axis=1)[:, :, None]
    odds = np.array([1.5, 2, 3, 5, 10, 30])
    lost = np.log1p(shares[:, None] * (odds - 1))
    stakes = np.exp(np.cumsum(above * np.log(odds) - requests * lost, axis=0)).mean(axis=(1, 2))
    stops = np.flatnonzero(stakes >= 100)
    return (stops[0] + 1) / 12 if len(stops) else None


def test_the_designs_figure_for_a_fifth_slower_trusts_that_stable_never_changes() -> None:
    """It is met without looking at stable, and then by a good release too while both are slower."""
    found = [without_looking_at_stable(1.2, seed) for seed in range(100)]
    assert None not in found
    assert median(found) <= 0.9
    fast = ALL["latency-equal"].spec
    slow = Behaviour(latency=Latency(median_seconds=0.06, spread=0.9))
    both = replace(fast, minutes=3, stable=slow, canary=slow)
    for seed in range(30):
        chance = np.random.default_rng(seed)
        strict = OwnJudge(without_tolerance(fast.judge), None, stable_before(fast, chance))
        verdicts = {strict.look(sample) for sample in samples(both, draw(both, chance))}
        assert "RollBack" not in verdicts


def test_few_clients_are_told_of_without_a_promise() -> None:
    assert told("hardly-any-clients-storms", "andon", runs=60, minutes=15)["andon"].share <= 0.2
    assert not ALL["hardly-any-clients-storms"].spec.promised


def test_result_does_not_depend_on_the_number_of_processes() -> None:
    short = replace(ALL["errors-one-percent"].spec, minutes=2)
    scenarios = [Scenario("a", short), Scenario("b", short)]
    alone = simulate(scenarios, ["andon", "argo"], runs=25, seed=7, processes=1)
    together = simulate(scenarios, ["andon", "argo"], runs=25, seed=7, processes=3)
    assert alone == together
    assert alone != simulate(scenarios, ["andon", "argo"], runs=25, seed=8, processes=1)
