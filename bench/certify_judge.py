"""Certify the canary judge by simulation: ``python -m bench.certify_judge --runs 5000 --out FILE``.

Plays every scenario of ``examples/scenarios`` so often, and says how far it is. What is finished is
written to the file, so that it can be stopped and goes on from there; rollouts of other rules than today's
are not taken from it. Exits 1 when a good version was rolled back more often than promised, or when a bad
one is missed, found later than designed, or costs users more.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from andon.api.v1.definitions import JudgePolicy
from andon.app.simulation import (
    OWN,
    STRICT,
    OwnJudge,
    Scenario,
    chance_of,
    read_scenarios,
    simulate,
    without_tolerance,
)
from andon.calc.intervals import exact_interval
from andon.domains.reliability.simulator.outcome import End, Outcome, outcome
from andon.domains.reliability.simulator.traffic import Drawn, draw, samples, stable_before
from bench.judge_at_once import Ask, stopped_at

ROOT = Path(__file__).parent.parent
FILES = ROOT / "examples" / "scenarios"
RULES = (
    "calc/sequential.py",
    "calc/dispersion.py",
    "calc/histogram.py",
    "domains/delivery/editions.py",
    "domains/delivery/evidence.py",
    "domains/delivery/judge.py",
    "domains/delivery/slowness.py",
    "domains/reliability/simulator/people.py",
    "domains/reliability/simulator/traffic.py",
)
"""Sources whose change makes what was finished before worthless."""

POLICIES: dict[str, Callable[[JudgePolicy], JudgePolicy]] = {
    OWN: lambda policy: policy,
    STRICT: without_tolerance,
}
RUNS_AT_ONCE = 100
CHECKED = 50
"""One rollout of so many is put before the judge itself, whatever ``judge_at_once`` says of it."""

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
    "latency-two-percent-one-second": Design(1.0, 1.25),
}
INTERVAL_MINUTES = 5 / 60


# --- Playing ------------------------------------------------------------------------------------


class Order(Struct, frozen=True):
    """Some rollouts that one process plays."""

    scenario: Scenario
    judges: tuple[str, ...]
    seed: int
    first: int
    count: int
    rules: str

    @property
    def key(self) -> str:
        judges = ",".join(self.judges)
        return f"{self.scenario.name} {judges} {self.seed} {self.first} {self.count} {self.rules}"


class Played(Struct):
    """A line of the file: how rollouts ended for each judge."""

    key: str
    ends: dict[str, list[End]]


def play(order: Order) -> Played:
    """Play rollouts before each judge."""
    ends: dict[str, list[End]] = {judge: [] for judge in order.judges}
    spec = order.scenario.spec
    for index in range(order.first, order.first + order.count):
        chance = chance_of(order.scenario, order.seed, index)
        before, drawn = stable_before(spec, chance), draw(spec, chance)
        failed = drawn.canary.errors.cumsum()
        for judge in order.judges:
            policy = POLICIES[judge](spec.judge)
            stop = _stop(order.scenario, policy, drawn, before, checked=index % CHECKED == 0)
            at = None if stop is None else float(drawn.time.at[stop])
            ends[judge].append(End(at, None, False, int(failed[-1 if stop is None else stop])))
    return Played(order.key, ends)


def _stop(
    scenario: Scenario,
    policy: JudgePolicy,
    drawn: Drawn,
    before: Mapping[int, int],
    *,
    checked: bool,
) -> int | None:
    """Return the interval after which the judge rolls back."""
    try:
        at_once = stopped_at(scenario.spec, policy, drawn, before)
    except Ask:
        return _asked(scenario, policy, drawn, before)
    if checked and at_once != _asked(scenario, policy, drawn, before):
        raise RuntimeError(f"the judge and its arithmetic at once differ in {scenario.name}")
    return at_once


def _asked(
    scenario: Scenario, policy: JudgePolicy, drawn: Drawn, before: Mapping[int, int]
) -> int | None:
    judge = OwnJudge(policy, scenario.spec.objective, before)
    for index, sample in enumerate(samples(scenario.spec, drawn)):
        if judge.look(sample) == "RollBack":
            return index
    return None


# --- Going on from a file ------------------------------------------------------------------------


def rules_of(scenario: Scenario) -> str:
    """Return a digest of all that decides how a scenario's rollouts end."""
    digest = hashlib.sha256(msgspec.json.encode(scenario.spec))
    for name in RULES:
        digest.update((ROOT / "src" / "andon" / name).read_bytes())
    return digest.hexdigest()[:16]


def finished(out: Path | None) -> dict[str, Played]:
    """Return what was played before, by key; a line that was cut off counts for nothing."""
    found: dict[str, Played] = {}
    if out is None or not out.exists():
        return found
    for line in out.read_bytes().splitlines():
        try:
            one = msgspec.json.decode(line, type=Played)
        except msgspec.DecodeError:
            continue
        found[one.key] = one
    return found


def played(orders: Sequence[Order], out: Path | None, processes: int) -> Iterator[Played]:
    """Play what is not in the file, add it there, and return all in their order."""
    known = finished(out)
    missing = [one for one in orders if one.key not in known]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        try:
            fresh = pool.map(play, missing)
            for order in orders:
                yield known[order.key] if order.key in known else _kept(next(fresh), out)
        finally:
            pool.shutdown(cancel_futures=True)


def _kept(one: Played, out: Path | None) -> Played:
    if out is not None:
        with out.open("ab") as file:
            file.write(b"\n" + msgspec.json.encode(one) + b"\n")
    return one


# --- What comes out ------------------------------------------------------------------------------


def all_scenarios() -> list[Scenario]:
    return [
        one
        for file in sorted(FILES.glob("*.yaml"))
        for one in read_scenarios(file.read_bytes(), file.name)
    ]


def judges_for(scenario: Scenario) -> tuple[str, ...]:
    """Return whom a scenario tells something: no tolerance, where both versions are not the same."""
    same = scenario.spec.stable == scenario.spec.canary
    return (OWN, STRICT) if scenario.spec.harmful or same else (OWN,)


def _forgoes(scenario: Scenario, judge: str) -> bool:
    """Say whether slow spells happen to a judge that tolerates none."""
    stable = scenario.spec.stable
    stalls = stable and stable.latency and stable.latency.stalls_per_second
    return bool(stalls) and judge == STRICT


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
    return _later_than(design, outcome)


def _later_than(design: Design, outcome: Outcome) -> str:
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
        f"{outcome.scenario:32} {outcome.judge:13} {outcome.runs:6} {outcome.share:8.2%} "
        f"{outcome.low:8.2%} {outcome.high:8.2%} {'-' if median is None else f'{median / 60:.2f}':>7} "
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
        f"failed requests: {lost[OWN]:.1f}, best careful rule ({best}) {lost[best]:.1f}: {ratio:.2f}",
        flush=True,
    )
    return "" if ratio <= QUARTER else "users lose more than a quarter"


class Certification:
    """All cells, told as each is finished.

    Args:
        runs: Rollouts of a cell.
        seed: The same one gives the same rollouts.
        only: Scenarios whose name contains this.
    """

    def __init__(self, runs: int, seed: int, only: str = "") -> None:
        self._scenarios = [one for one in all_scenarios() if only in one.name]
        self.orders = [
            Order(one, judges_for(one), seed, first, min(RUNS_AT_ONCE, runs - first), rules)
            for one in self._scenarios
            for rules in (rules_of(one),)
            for first in range(0, runs, RUNS_AT_ONCE)
        ]

    def tell(self, found: Iterator[Played]) -> bool:
        """Print each cell; says whether all is as promised."""
        good, done, began = True, 0, time.monotonic()
        for scenario in self._scenarios:
            mine = [order for order in self.orders if order.scenario.name == scenario.name]
            parts = [next(found) for _ in mine]
            done += len(mine)
            for judge in judges_for(scenario):
                ends = [end for part in parts for end in part.ends[judge]]
                told = outcome(
                    scenario.name,
                    judge,
                    ends,
                    harmful=scenario.spec.harmful,
                    promised=scenario.spec.promised and not _forgoes(scenario, judge),
                )
                said = complaint(told, scenario)
                good &= not said
                print(row(told, said), flush=True)
            spent = time.monotonic() - began
            print(
                f"# {done / len(self.orders):.0%} after {spent:.0f} s", file=sys.stderr, flush=True
            )
        return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--out", type=Path, help="file to go on from")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(
        f"{'scenario':32} {'judge':13} {'runs':>6} {'back':>8} {'from':>8} {'to':>8} {'minute':>7} "
        f"{'failed':>8}",
        flush=True,
    )
    certification = Certification(options.runs, options.seed, options.only)
    good = certification.tell(played(certification.orders, options.out, options.processes))
    if not options.only:
        said = lost_requests(min(options.runs, 500), options.seed)
        good &= not said
        print(said or "all is as promised" if good else said or "a promise is broken", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
