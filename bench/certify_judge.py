"""Certify the canary judge by simulation: ``python -m bench.certify_judge --runs 5000``.

Plays every scenario of ``examples/scenarios`` so often. Exits 8 when a good version was rolled back more
often than promised beyond doubt (lower end of the exact 99 % interval above alpha), when the share itself
is above alpha, or when a bad one is missed or found later than designed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msgspec import Struct

from andon.app.simulation import OWN, Scenario, read_scenarios, simulate
from andon.calc.intervals import exact_interval
from andon.domains.reliability.simulator.outcome import Outcome

FILES = Path(__file__).parent.parent / "examples" / "scenarios"
STRICT = "andon-strict"
CAUGHT = 0.95
SLACK = 1.08
"""The design's figures are of a thousand rollouts: two standard errors of such a median."""
CAREFUL = ("threshold", "argo", "argo-strict", "flagger", "kayenta")
QUARTER = 0.25
AT_MOST_FALSE = 0.01


class Design(Struct, frozen=True):
    """What the design measured without tolerance: share caught, median minute, failed requests."""

    share: float
    minutes: float
    failed: float | None = None


DESIGNED = {
    "errors-triple": Design(0.99, 7.6),
    "errors-one-percent": Design(1.0, 1.0),
    "errors-five-percent": Design(1.0, 0.2, 5.6),
    "errors-five-percent-late": Design(1.0, 10.2),
    "little-traffic-one-percent": Design(0.79, 15.0),
    "little-traffic-five-percent": Design(1.0, 2.8),
}
INTERVAL_MINUTES = 5 / 60


def all_scenarios() -> list[Scenario]:
    return [
        one
        for file in sorted(FILES.glob("*.yaml"))
        for one in read_scenarios(file.read_bytes(), file.name)
    ]


def complaint(outcome: Outcome, scenario: Scenario) -> str:
    """Say what is wrong with an outcome; empty: nothing."""
    alpha = scenario.spec.judge.alpha
    if not outcome.promised:
        return ""
    if not outcome.harmful:
        low, _ = exact_interval(outcome.rolled_back, outcome.runs, 0.99)
        return "rolls good releases back" if low > alpha or outcome.share > alpha else ""
    design = DESIGNED.get(scenario.name) if outcome.judge == STRICT else None
    if design is None:
        missed = outcome.judge == OWN and scenario.name not in DESIGNED and outcome.share < CAUGHT
        return "missed too often" if missed else ""
    if outcome.high < design.share:
        return f"caught in fewer than the {design.share:.0%} of the design"
    median = outcome.until_rollback.median
    if median is None or median / 60 > max(
        design.minutes * SLACK, design.minutes + INTERVAL_MINUTES
    ):
        return f"found later than the {design.minutes:g} minutes of the design"
    if design.failed is not None and outcome.failed_requests > design.failed * SLACK:
        return f"more requests fail than the {design.failed:g} of the design"
    return ""


def row(outcome: Outcome, said: str) -> str:
    median = outcome.until_rollback.median
    return (
        f"{outcome.scenario:32} {outcome.judge:13} {outcome.share:8.2%} "
        f"{outcome.low:8.2%} {outcome.high:8.2%} {'-' if median is None else f'{median / 60:.1f}':>7} "
        f"{outcome.failed_requests:8.1f}{'' if outcome.promised else '  (no promise)'}"
        f"{f'  MISSED: {said}' if said else ''}"
    )


def lost_requests(runs: int, seed: int) -> str:
    """Compare what users lose with the best rule that seldom stops good releases; empty: little."""
    named = {one.name: one for one in all_scenarios()}
    both = [named["equal"], named["errors-five-percent"]]
    found = simulate(both, [OWN, *CAREFUL], runs=runs, seed=seed)
    false = {one.judge: one.share for one in found if not one.harmful}
    lost = {one.judge: one.failed_requests for one in found if one.harmful}
    best = min(CAREFUL, key=lambda name: lost[name] if false[name] < AT_MOST_FALSE else 1e9)
    ratio = lost[OWN] / lost[best]
    print(
        f"failed requests: {lost[OWN]:.1f}, best careful rule ({best}) {lost[best]:.1f}: {ratio:.2f}"
    )
    return "" if ratio <= QUARTER else "users lose more than a quarter"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    bad = False
    print(
        f"{'scenario':32} {'judge':13} {'back':>8} {'from':>8} {'to':>8} {'minute':>7} {'failed':>8}"
    )
    for scenario in all_scenarios():
        if options.only not in scenario.name:
            continue
        judges = [OWN, *([STRICT] if scenario.spec.harmful else [])]
        for outcome in simulate([scenario], judges, runs=options.runs, seed=options.seed):
            said = complaint(outcome, scenario)
            bad |= bool(said)
            print(row(outcome, said), flush=True)
    if not options.only:
        said = lost_requests(min(options.runs, 500), options.seed)
        bad |= bool(said)
        print(said)
    return 8 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
