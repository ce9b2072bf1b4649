"""Certify the canary judge's error rates by simulation: ``python bench/certify_judge.py --runs 5000``.

Prints one row a scenario: share of runs rolled back with its one-sided 95 % bound (Clopper and Pearson
1934), median minute of the verdict and median number of failed canary requests. Exits 8 when a good
version's share is above alpha beyond doubt, or a bad one is missed too often.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct
from scipy.stats import beta

from andon.api.v1.definitions import JudgePolicy
from andon.domains.delivery.judge import Sample, fold, frozen_thresholds, judge, start_state
from andon.testing.canary_traffic import Traffic, Version

POLICY = JudgePolicy()


class Scenario(Struct, kw_only=True):
    name: str
    harmful: bool
    canary: Version
    stable: Version | None
    rps: float = 100
    minutes: float = 30
    seconds: float = 5
    clients: int = 100_000
    storms: float = 0.0
    weight: Callable[[float], float] = lambda _: 10.0
    change: Callable[[float, Version], Version] = lambda _, version: version
    fault_after: float = 0.0


def ramp(share: float) -> float:
    return (5.0, 10.0, 25.0, 50.0)[min(3, int(share * 4))]


def outage(share: float, version: Version) -> Version:
    return Version(errors=0.9) if 0.4 < share < 0.5 else version


def drift(share: float, version: Version) -> Version:
    return Version(errors=version.errors * (0.25 + 4 * share))


CALM = Version(errors=0.001)
SHOP = Version(median_seconds=0.05, spread=0.9)
FAST = Version(median_seconds=0.003, spread=0.3, stall=0.02)
SCENARIOS = (
    Scenario(name="equal 0.1 %", harmful=False, canary=CALM, stable=CALM),
    Scenario(name="equal 0.1 %, 5 rps", harmful=False, canary=CALM, stable=CALM, rps=5),
    Scenario(
        name="chronic 2 %", harmful=False, canary=Version(errors=0.02), stable=Version(errors=0.02)
    ),
    Scenario(name="shared outage", harmful=False, canary=CALM, stable=CALM, change=outage),
    Scenario(
        name="shared outage, 60 clients",
        harmful=False,
        canary=CALM,
        stable=CALM,
        change=outage,
        clients=60,
    ),
    Scenario(
        name="ramp and drift",
        harmful=False,
        canary=Version(errors=0.004),
        stable=Version(errors=0.004),
        weight=ramp,
        change=drift,
    ),
    Scenario(name="storms", harmful=False, canary=CALM, stable=CALM, storms=0.01),
    Scenario(
        name="storms, 30 clients", harmful=False, canary=CALM, stable=CALM, storms=0.01, clients=30
    ),
    Scenario(
        name="at tolerance",
        harmful=False,
        canary=Version(errors=0.0125),
        stable=Version(errors=0.01),
    ),
    Scenario(name="latency equal", harmful=False, canary=SHOP, stable=SHOP, minutes=15),
    Scenario(
        name="latency equal, stalls",
        harmful=False,
        canary=FAST,
        stable=FAST,
        minutes=6,
        seconds=1,
        rps=300,
        weight=ramp,
    ),
    Scenario(
        name="latency 5 % slower",
        harmful=False,
        canary=Version(median_seconds=0.0525, spread=0.9),
        stable=SHOP,
        minutes=15,
    ),
    Scenario(name="0.1 -> 1 %", harmful=True, canary=Version(errors=0.01), stable=CALM),
    Scenario(name="0.1 -> 5 %", harmful=True, canary=Version(errors=0.05), stable=CALM),
    Scenario(
        name="0 -> 5 %, 300 rps",
        harmful=True,
        canary=Version(errors=0.05),
        stable=Version(),
        rps=300,
    ),
    Scenario(
        name="0.1 -> 5 % at 10 min",
        harmful=True,
        canary=Version(errors=0.05),
        stable=CALM,
        fault_after=1 / 3,
    ),
    Scenario(
        name="2 % one second slower",
        harmful=True,
        canary=Version(median_seconds=0.05, spread=0.9, slow=0.02),
        stable=SHOP,
        minutes=15,
    ),
    Scenario(
        name="latency x 2",
        harmful=True,
        canary=Version(median_seconds=0.1, spread=0.9),
        stable=SHOP,
        minutes=15,
    ),
    Scenario(
        name="latency x 3",
        harmful=True,
        canary=Version(median_seconds=0.15, spread=0.9),
        stable=SHOP,
        minutes=15,
    ),
    Scenario(name="first release 5 %", harmful=True, canary=Version(errors=0.05), stable=None),
    Scenario(name="first release 0.5 %", harmful=False, canary=Version(errors=0.005), stable=None),
)


def samples(scenario: Scenario, chance: np.random.Generator) -> Iterator[Sample]:
    traffic = Traffic(chance, scenario.rps, clients=scenario.clients, storms=scenario.storms)
    count = int(scenario.minutes * 60 / scenario.seconds)
    for index in range(count):
        share = index / count
        healthy = scenario.stable or CALM
        canary = scenario.canary if share >= scenario.fault_after else healthy
        yield traffic.interval(
            (index + 1) * scenario.seconds,
            scenario.seconds,
            scenario.weight(share),
            scenario.change(share, canary),
            scenario.stable and scenario.change(share, scenario.stable),
        )


def before(scenario: Scenario, chance: np.random.Generator) -> dict[int, int]:
    if not scenario.stable:
        return {}
    traffic = Traffic(chance, scenario.rps)
    sample = traffic.interval(0, 60, 1e-6, scenario.stable, scenario.stable)
    return sample.stable.latency if sample.stable else {}


def run(scenario: Scenario, seed: int) -> tuple[float, int] | None:
    """Return minute of the rollback and failed canary requests by then."""
    chance = np.random.default_rng(seed)
    state = start_state(POLICY, None, frozen_thresholds(before(scenario, chance), None))
    for sample in samples(scenario, chance):
        state = fold(state, sample)
        said = judge(state, POLICY, None, last_step=True, soak_done=False)
        if said.verdict == "RollBack":
            return sample.at / 60, said.canary_errors
    return None


def upper_bound(hits: int, runs: int) -> float:
    return 1.0 if hits == runs else float(beta.ppf(0.95, hits + 1, runs - hits))


def lower_bound(hits: int, runs: int) -> float:
    return float(beta.ppf(0.05, hits, runs - hits + 1)) if hits else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    bad = False
    print(f"{'scenario':28} {'rolled back':>12} {'<= (95 %)':>10} {'minute':>7} {'failed':>7}")
    for scenario in SCENARIOS:
        if options.only not in scenario.name:
            continue
        ends = [run(scenario, options.seed * 1_000_000 + index) for index in range(options.runs)]
        hits = [end for end in ends if end]
        share = len(hits) / options.runs
        missed = (
            share < 0.95
            if scenario.harmful
            else lower_bound(len(hits), options.runs) > POLICY.alpha
        )
        bad |= missed
        minute = statistics.median(end[0] for end in hits) if hits else math.nan
        failed = statistics.median(end[1] for end in hits) if hits else math.nan
        print(
            f"{scenario.name:28} {share:12.2%} {upper_bound(len(hits), options.runs):10.2%}"
            f" {minute:7.1f} {failed:7.0f}{'  MISSED' if missed else ''}",
            flush=True,
        )
    return 8 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
