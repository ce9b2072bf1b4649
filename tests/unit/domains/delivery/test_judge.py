"""The canary judge on traffic with frozen seeds: cases that must not be missed, calibration, words."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from andon.api.v1.definitions import BusinessMetric, JudgePolicy, LatencyObjective, ObjectiveSpec
from andon.api.v1.samples import MetricCounts
from andon.domains.delivery.evidence import halves_log, harm_log
from andon.domains.delivery.judge import (
    ArmCounts,
    Judgement,
    JudgeState,
    Sample,
    fold,
    frozen_thresholds,
    judge,
    start_state,
)
from andon.testing.canary_traffic import Traffic, Version

POLICY = JudgePolicy()
OBJECTIVE = ObjectiveSpec(service="storefront", availability=0.99)
CLEAN, CALM, BAD = Version(), Version(errors=0.001), Version(errors=0.05)
SHOP = Version(median_seconds=0.05, spread=0.9)
FAST = Version(median_seconds=0.003, spread=0.3, stall=0.02)

Play = Callable[[float], tuple[float, Version, Version | None]]
"""Weight and both versions at a second of the rollout."""


def steadily(canary: Version, stable: Version | None, weight: float = 10) -> Play:
    return lambda _: (weight, canary, stable)


def say(state: JudgeState, **more) -> Judgement:
    more = {"last_step": True, "soak_done": False, **more}
    return judge(state, POLICY, OBJECTIVE, **more)


def run(
    traffic: Traffic,
    play: Play,
    *,
    minutes: float = 10,
    seconds: float = 10,
    frozen: tuple[int, ...] = (),
    until: tuple[str, ...] = ("RollBack",),
    **more,
) -> tuple[Judgement, float]:
    """Return the first judgement among ``until``, or the last one, and its second."""
    state, at = start_state(POLICY, OBJECTIVE, frozen), 0.0
    while at < minutes * 60:
        at += seconds
        state = fold(state, traffic.interval(at, seconds, *play(at)))
        said = say(state, **more)
        if said.verdict in until:
            break
    return said, at


def traffic(seed: int, rps: float = 100, **more) -> Traffic:
    return Traffic(np.random.default_rng(seed), rps, **more)


def frozen_of(version: Version, rps: float = 100) -> tuple[int, ...]:
    before = traffic(99, rps).interval(60, 60, 1e-6, version, version)
    assert before.stable
    return frozen_thresholds(before.stable.latency, OBJECTIVE)


def arm(requests: int, errors: int = 0, counted: int | None = None, clients: int = 0) -> ArmCounts:
    counted = errors if counted is None else counted
    return ArmCounts(requests=requests, errors=errors, client_errors=counted, clients=clients)


def after(*samples: tuple[ArmCounts, ArmCounts | None]) -> JudgeState:
    state = start_state(POLICY, OBJECTIVE)
    for index, (canary, stable) in enumerate(samples):
        state = fold(state, Sample(at=index, seconds=1, weight=10, canary=canary, stable=stable))
    return state


# --- Cases that must not be missed --------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_errors_against_an_error_free_baseline_stop_the_line_after_a_handful(seed) -> None:
    said, at = run(traffic(seed, 300), steadily(BAD, CLEAN), seconds=1, minutes=2)
    assert said.verdict == "RollBack"
    assert said.canary_errors <= 10
    assert at <= 15


def test_fault_that_begins_after_ten_minutes_is_found_soon() -> None:
    for seed in range(10):
        play: Play = lambda at: (10, BAD if at > 600 else CALM, CALM)  # noqa: E731
        said, at = run(traffic(seed), play, seconds=5, minutes=12)
        assert said.verdict == "RollBack"
        assert 600 < at <= 660


def test_retry_storm_of_one_client_is_one_error_a_window() -> None:
    storm = after(
        *[(arm(30, 0), arm(270, 0))] * 5,
        (arm(430, 400, counted=1), arm(270, 0)),
        *[(arm(130, 100, counted=0), arm(270, 0))] * 3,
    )
    said = say(storm)
    assert said.verdict == "Wait"
    assert "(1 counted once a client)" in said.reason


def test_retry_storm_at_stable_does_not_hide_a_bad_canary_for_long() -> None:
    def play(at: float) -> tuple[float, Version, Version]:
        return 10, BAD if at > 120 else CALM, Version(errors=0.5) if 30 < at < 40 else CALM

    said, at = run(traffic(4), play, seconds=5)
    assert said.verdict == "RollBack"
    assert at < 240


def test_two_percent_of_requests_one_second_slower_are_found() -> None:
    slow = replace(SHOP, slow=0.02)
    frozen = frozen_of(SHOP)
    for seed in range(5):
        said, _ = run(traffic(seed, 300), steadily(slow, SHOP), seconds=2, minutes=6, frozen=frozen)
        assert said.verdict == "RollBack"
        assert "canary requests took over" in said.reason


def test_seven_of_ten_points_a_hundred_times_worse_are_found() -> None:
    worse = replace(SHOP, median_seconds=5.0)
    said, at = run(
        traffic(1),
        lambda at: (10, worse if at % 100 >= 30 else SHOP, SHOP),
        frozen=frozen_of(SHOP),
    )
    assert said.verdict == "RollBack"
    assert at <= 200


# --- Calibration beside tests/unit/app/test_calibration.py, with frozen seeds ----------------------


def outage(at: float) -> tuple[float, Version, Version]:
    version = Version(errors=0.9) if 200 < at < 280 else CALM
    return 10, version, version


GOOD: dict[str, tuple[Play, dict]] = {
    "shared outage of few clients": (outage, {"clients": 60}),
    "retry storms of few clients": (steadily(CALM, CALM), {"storms": 0.01, "clients": 30}),
    "full weight after equal halves": (
        lambda at: (50 if at < 300 else 99.999, Version(errors=0.02), Version(errors=0.02)),
        {},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_release_is_rolled_back_no_more_often_than_promised(name) -> None:
    play, load = GOOD[name]
    runs = 300
    wrong = sum(
        run(traffic(1000 + seed, **load), play)[0].verdict == "RollBack" for seed in range(runs)
    )
    assert wrong <= POLICY.alpha * runs


def test_storms_of_hardly_any_clients_roll_back_seldom() -> None:
    wrong = 0
    for seed in range(100):
        load = traffic(seed, storms=0.01, clients=3)
        wrong += run(load, steadily(CALM, CALM), seconds=2, minutes=5)[0].verdict == "RollBack"
    assert wrong <= 5


@pytest.mark.parametrize("version", [SHOP, FAST], ids=["slow service", "fast with stalls"])
def test_equally_fast_version_is_not_rolled_back(version) -> None:
    frozen = frozen_of(version)
    for seed in range(40):
        play = steadily(version, version, weight=(10, 25, 50)[seed % 3])
        said, _ = run(traffic(seed), play, minutes=6, seconds=2, frozen=frozen)
        assert said.verdict != "RollBack"


def test_slightly_slower_version_is_not_rolled_back() -> None:
    frozen = frozen_of(SHOP)
    for seed in range(20):
        slower = replace(SHOP, median_seconds=SHOP.median_seconds * 1.05)
        said, _ = run(traffic(seed), steadily(slower, SHOP), minutes=10, frozen=frozen)
        assert said.verdict != "RollBack"


def test_single_long_stall_of_the_canary_alone_is_not_decisive() -> None:
    stalled = replace(FAST, slow=0.9, slow_seconds=2.0)
    frozen = frozen_of(FAST)
    said, _ = run(
        traffic(2, 300),
        lambda at: (10, stalled if 20 < at <= 35 else FAST, FAST),
        minutes=4,
        seconds=1,
        frozen=frozen,
    )
    assert said.verdict != "RollBack"


@pytest.mark.parametrize(
    ("canary", "stable", "rps", "minutes"),
    [(Version(errors=0.01), CALM, 100, 15), (BAD, CALM, 100, 2), (BAD, CALM, 5, 15)],
)
def test_bad_release_is_caught(canary, stable, rps, minutes) -> None:
    ends = [
        run(traffic(seed, rps), steadily(canary, stable), minutes=minutes, seconds=5)[0].verdict
        for seed in range(60)
    ]
    assert ends.count("RollBack") >= 57


def test_much_slower_release_is_caught() -> None:
    frozen = frozen_of(SHOP)
    slower = replace(SHOP, median_seconds=SHOP.median_seconds * 3)
    for seed in range(5):
        said, _ = run(traffic(seed), steadily(slower, SHOP), minutes=5, seconds=5, frozen=frozen)
        assert said.verdict == "RollBack"


# --- Promotion ----------------------------------------------------------------------------------


def test_clean_canary_advances_after_about_three_hundred_requests() -> None:
    seen = [
        run(
            traffic(seed, 300),
            steadily(CLEAN, CLEAN),
            seconds=1,
            until=("Advance",),
            last_step=False,
        )[0].canary_requests
        for seed in range(20)
    ]
    assert 280 <= statistics.median(seen) <= 380


def test_version_that_just_breaks_its_objective_seldom_advances() -> None:
    at_limit = Version(errors=0.01)
    ends = [
        run(
            traffic(seed),
            steadily(at_limit, Version(errors=0.004)),
            minutes=5,
            until=("RollBack", "Advance"),
            last_step=False,
        )[0].verdict
        for seed in range(200)
    ]
    assert ends.count("Advance") <= 0.05 * 200


def test_last_step_needs_the_risk_claim_or_a_soak() -> None:
    state = after(*[(arm(300), arm(300))] * 4)
    assert say(state, last_step=False).verdict == "Advance"
    assert say(state).verdict == "Wait"
    soaked = say(state, soak_done=True)
    assert soaked.verdict == "Advance"
    assert "without an alarm" in soaked.reason


def test_last_step_advances_when_risk_is_proven_low() -> None:
    state = after(*[(arm(500, 5), arm(500, 10))] * 4)
    assert say(state).verdict == "Advance"


def test_suspicion_keeps_a_fit_looking_canary_from_advancing() -> None:
    state = after(*[(arm(3000), arm(27_000))] * 2, (arm(30, 3), arm(270)))
    said = say(state, last_step=False, soak_done=True)
    assert said.verdict == "Wait"
    assert "too close to advance" in said.reason


def test_wait_tells_how_long_at_todays_traffic() -> None:
    said = say(after(*[(arm(30), arm(270))] * 5), last_step=False)
    assert said.verdict == "Wait"
    assert said.expected_seconds == pytest.approx(6, abs=2.5)
    assert "expected in" in said.reason


def test_wait_without_any_progress_promises_nothing() -> None:
    assert say(after((arm(30), arm(270)))).expected_seconds is None


# --- First release, full weight, guards, words --------------------------------------------------


def test_first_release_is_judged_against_its_objective_alone() -> None:
    for seed in range(10):
        good, _ = run(
            traffic(seed), steadily(CALM, None, 100), until=("RollBack", "Advance"), seconds=1
        )
        bad, _ = run(traffic(seed), steadily(BAD, None, 100), minutes=1, seconds=1)
        assert (good.verdict, bad.verdict) == ("Advance", "RollBack")
        assert "no stable version to compare with" in good.reason


def test_first_release_slower_than_its_objective_is_rolled_back() -> None:
    limit = LatencyObjective(threshold_seconds=0.2, target=0.99)
    objective = ObjectiveSpec(service="storefront", availability=0.99, latency=limit)
    state = start_state(POLICY, objective, frozen_thresholds({}, objective))
    slow = replace(SHOP, slow=0.2)
    load = traffic(1)
    for second in range(90):
        state = fold(state, load.interval(second, 1, 100, slow, None))
    said = judge(state, POLICY, objective, last_step=True, soak_done=True)
    assert said.verdict == "RollBack"


def test_fault_that_shows_only_at_full_weight_is_found() -> None:
    quiet = [(arm(300), arm(300))] * 10
    said = say(after(*quiet, *[(arm(600, 30), arm(0))] * 3))
    assert said.verdict == "RollBack"


def test_no_traffic_is_neither_good_nor_bad() -> None:
    fit = [(arm(300), arm(300))] * 4
    assert say(after(), soak_done=True).verdict == "Wait"
    idle = say(after(*fit, (arm(0), arm(100, 50))), last_step=False, soak_done=True)
    assert idle.verdict == "Wait"
    assert idle.reason == "storefront: no traffic for 1.0s"


def test_disagreeing_counts_are_untrustworthy_whatever_they_say() -> None:
    harmful = after((arm(100, 50), arm(900)))
    assert say(harmful).verdict == "RollBack"
    assert say(harmful, consistent=False).verdict == "Untrustworthy"


def halved(requests: int, errors: int, half: tuple[int, int]) -> ArmCounts:
    return replace(arm(requests, errors, clients=200), half=(*half, half[1]))


def test_harm_is_not_concluded_while_halves_of_stable_differ_as_much() -> None:
    sick, well = halved(900, 30, (450, 28)), halved(900, 30, (450, 15))
    harmful = arm(100, 9, clients=90)
    assert say(after(*[(harmful, well)] * 6)).verdict == "RollBack"
    said = say(after(*[(harmful, sick)] * 6))
    assert said.verdict == "Untrustworthy"
    assert "one half of stable's own clients fails more than the other" in said.reason
    assert say(after((arm(1000, 600), sick), *[(harmful, sick)] * 6)).guard == "excess-errors"


def test_halves_that_are_not_told_prove_nothing() -> None:
    for half in ((0, 0), (900, 30)):
        state = after(*[(arm(100), halved(900, 30, half))] * 4)
        assert state.halves == start_state(POLICY, OBJECTIVE).halves or state.begun


def test_halves_of_alike_clients_seldom_raise_doubt() -> None:
    doubts = 0
    for seed in range(200):
        chance, state = np.random.default_rng(seed), start_state(POLICY, OBJECTIVE)
        for index in range(60):
            halves = chance.binomial(450, 0.01, size=2).tolist()
            stable = halved(900, sum(halves), (450, halves[0]))
            sample = Sample(at=index, seconds=10, weight=10, canary=arm(100, 1), stable=stable)
            state = fold(state, sample)
            doubtful = halves_log(state) >= -np.log(POLICY.alpha)
        doubts += bool(doubtful)
    assert doubts <= 0.01 * 200


@pytest.mark.parametrize("seconds", [1, 5])
def test_one_slow_spell_decides_only_if_it_lasts_half_a_minute(seconds) -> None:
    slow = ArmCounts(requests=30 * seconds, clients=500, latency={90: 30 * seconds})
    well = ArmCounts(requests=270 * seconds, clients=5000, latency={30: 270 * seconds})
    state = start_state(POLICY, OBJECTIVE, (30, 40))
    lasted = 0
    while lasted < 60 and harm_log(state) < -np.log(POLICY.alpha):
        lasted += seconds
        sample = Sample(at=lasted, seconds=seconds, weight=10, canary=slow, stable=well)
        state = fold(state, sample)
    assert 28 <= lasted <= 35


def test_one_client_that_tries_again_makes_no_crowd_of_a_few() -> None:
    quiet = arm(1, clients=5), arm(9, clients=45)
    storm = arm(41, 40, counted=1, clients=5)
    assert not after(*[quiet] * 3, (storm, quiet[1])).crowded
    assert fold(
        start_state(POLICY, OBJECTIVE, version=1),
        Sample(at=1, seconds=1, weight=10, canary=storm, stable=quiet[1]),
    ).crowded


ORDERS = BusinessMetric(name="orders", gained="orders_total", of="visits_total", most=0.2)
SELLING = JudgePolicy(metrics=(ORDERS,))


def selling(seed: int, canary_share: float, minutes: float = 20) -> Judgement:
    """Let 5 % of stable's visitors order, and another share of the canary's."""
    chance, state = np.random.default_rng(seed), start_state(SELLING, OBJECTIVE)
    for index in range(int(minutes * 6)):
        gains = MetricCounts(
            float(chance.binomial(100, canary_share)),
            100.0,
            float(chance.binomial(900, 0.05)),
            900.0,
        )
        sample = Sample(
            at=index,
            seconds=10,
            weight=10,
            canary=arm(100),
            stable=arm(900),
            metrics={"orders": gains},
        )
        state = fold(state, sample)
        said = judge(state, SELLING, OBJECTIVE, last_step=True, soak_done=False)
        if said.verdict == "RollBack":
            break
    return said


def test_version_that_sells_less_is_rolled_back_though_nothing_fails() -> None:
    for seed in range(10):
        said = selling(seed, 0.025)
        assert said.verdict == "RollBack"
        assert "orders: 0.02" in said.reason
        assert "per occasion against 0.0" in said.reason


def test_version_that_sells_as_much_or_hardly_less_is_not() -> None:
    ends = [selling(seed, share, 10).verdict for seed in range(60) for share in (0.05, 0.046)]
    assert ends.count("RollBack") <= 1


def test_metric_that_nobody_tells_proves_nothing() -> None:
    state = start_state(SELLING, OBJECTIVE)
    sample = Sample(at=1, seconds=1, weight=10, canary=arm(100), stable=arm(900))
    assert fold(state, sample).gains == state.gains


def test_crash_loop_stops_the_line_even_without_traffic() -> None:
    said = say(after(), restarts=POLICY.max_restarts + 1, consistent=False)
    assert (said.verdict, said.guard) == ("RollBack", "restarts")
    assert say(after(), restarts=POLICY.max_restarts).verdict == "Wait"


def test_too_many_excess_errors_stop_the_line() -> None:
    said = say(after((arm(1000, 600), arm(9000))))
    assert (said.verdict, said.guard) == ("RollBack", "excess-errors")


def test_burnt_objective_stops_the_line_unless_stable_burns_as_well() -> None:
    burnt = say(after((arm(100, 25), arm(900))))
    assert (burnt.verdict, burnt.guard) == ("RollBack", "objective-burnt")
    shared = say(after(*[(arm(100, 90), arm(900, 810))] * 20))
    assert (shared.verdict, shared.guard) == ("Wait", "")
    assert "both fail far more" in shared.reason


def test_few_clients_behind_one_address_are_judged_by_discounted_errors() -> None:
    few = [(arm(30, 2, counted=0, clients=1), arm(270, clients=1))] * 12
    said = say(after(*few))
    assert said.verdict == "RollBack"
    assert "few distinct clients" in said.reason
    assert 10 <= say(after(*few[:6])).canary_errors < 25
    assert say(after(*few[:4])).verdict == "Wait"


def test_reason_gives_the_numbers() -> None:
    said = say(after((arm(212, 4), arm(1903))))
    assert said.verdict == "RollBack"
    assert said.reason.startswith(
        "storefront: 4 of 212 canary requests failed against 0 of 1 903 stable ones; "
        "evidence of harm "
    )
    assert said.reason.endswith(" >= 100")


def test_without_an_objective_the_default_is_said() -> None:
    state = start_state(POLICY, None)
    for at in range(4):
        state = fold(state, Sample(at=at, seconds=1, weight=50, canary=arm(300), stable=arm(300)))
    said = judge(state, POLICY, None, last_step=False, soak_done=False)
    assert said.verdict == "Advance"
    assert "no Objective: judged against 1% errors" in said.reason


def test_objective_limit_is_a_frozen_threshold() -> None:
    limit = LatencyObjective(threshold_seconds=0.2, target=0.99)
    objective = ObjectiveSpec(service="storefront", latency=limit)
    assert len(frozen_thresholds({}, objective)) == 1
    assert frozen_thresholds({}, None) == ()
    assert start_state(POLICY, objective).error_share == 0.01
