"""Other tools' rules, on values that their users printed and on what they are documented to do."""

from __future__ import annotations

import math

import pytest

from andon.api.v1.objectives import LatencyObjective, ObjectiveSpec
from andon.api.v1.samples import ArmCounts, Sample
from andon.domains.reliability.baselines.argo import OFF, Argo, Tally, measured
from andon.domains.reliability.baselines.flagger import Flagger
from andon.domains.reliability.baselines.kayenta import Kayenta, Metric, classify, score
from andon.domains.reliability.baselines.threshold import Threshold, ZTest

NAN = math.nan
SEVEN_OF_TEN = [100.0] * 7 + [1.0] * 3


def minutes(*canary: ArmCounts, stable: ArmCounts | None = None) -> list[Sample]:
    stable = stable or ArmCounts(requests=5400, errors=5)
    return [
        Sample(at=60.0 * (index + 1), seconds=60, weight=10, canary=arm, stable=stable)
        for index, arm in enumerate(canary)
    ]


def arm(percent: float, requests: int = 600, **more) -> ArmCounts:
    return ArmCounts(requests=requests, errors=round(requests * percent / 100), **more)


def said(judge, samples) -> list[str]:
    return [judge.look(sample) for sample in samples]


# --- Kayenta ------------------------------------------------------------------------------------


def test_kayenta_passes_what_is_a_hundred_times_worse_in_seven_of_ten_points() -> None:
    """spinnaker#6278."""
    assert classify(SEVEN_OF_TEN, [1.0] * 10, Metric(allowed_increase=1.05)) == "Pass"
    assert classify([*SEVEN_OF_TEN[:7], 100.0, 1.0, 1.0], [1.0] * 10, Metric()) == "High"


def test_kayenta_passes_errors_against_none() -> None:
    """kayenta#426 and spinnaker#5622."""
    assert classify([0, 1, 2, 1, 0, 0], [0] * 6, Metric()) == "Pass"
    some = [NAN, 0.048, NAN, 0.18, 0.089, NAN, 0.098, 0.035, NAN, NAN]
    assert classify(some, [NAN] * 10, Metric(nan="replace")) == "Pass"


def test_kayenta_labels_by_direction_and_allowed_effect() -> None:
    worse, usual = [9, 8, 9, 7, 9, 8.0], [1, 2, 1, 2, 1, 1.0]
    assert classify(worse, usual, Metric()) == "High"
    assert classify(worse, usual, Metric(direction="decrease")) == "Pass"
    assert classify(usual, worse, Metric(direction="either")) == "Low"
    assert classify(worse, usual, Metric(allowed_increase=10)) == "Pass"


def test_kayenta_short_cuts() -> None:
    assert classify([], [1.0], Metric()) == "Nodata"
    assert classify([NAN], [1.0], Metric(must_have_data=True)) == "NodataFail"
    assert classify([], [1.0], Metric(nan="replace")) == "Pass"
    assert classify([3, 1, 2], [1, 2, 3], Metric()) == "Pass"
    assert classify([2.0] * 10, [1.0] * 10, Metric()) == "High"
    assert classify([1.0] * 10, [1.0] * 10, Metric()) == "Pass"


def test_kayenta_leaves_outliers_out_if_told() -> None:
    usual = [1.0, 2, 1, 2, 1, 1, 2, 1, 2, 1]
    lower = [0.1, 0.2, 0.1, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2, 500.0]
    either = Metric(direction="either", drop_outliers=True)
    assert classify(lower, usual, either) == "Low"
    assert classify(lower, usual, Metric(direction="either")) == "Pass"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Pass", "High", "Pass", "Pass"], 75.0),
        (["Pass", "Nodata", "Pass"], 100.0),
        (["Pass", "Nodata"], 0.0),
        (["Pass", "NodataFail"], 50.0),
        ([], 100.0),
    ],
)
def test_kayenta_score_is_the_share_of_passes(labels, expected) -> None:
    named = {str(index): label for index, label in enumerate(labels)}
    assert score(named, dict.fromkeys(named, Metric())) == expected


def test_kayenta_judges_every_five_minutes() -> None:
    assert said(Kayenta(), minutes(*[arm(5 + step / 10) for step in range(6)])) == [
        *["Wait"] * 4,
        *["RollBack"] * 2,
    ]
    assert said(Kayenta(), minutes(*[arm(0)] * 5, stable=arm(0)))[-1] == "Advance"


# --- Argo ---------------------------------------------------------------------------------------


def test_argo_measures_at_once_and_forgives_three_failures() -> None:
    quick = Argo(interval_seconds=60)
    assert said(quick, minutes(*[arm(6)] * 5)) == [*["Advance"] * 3, "RollBack", "RollBack"]


def test_argo_documented_example_lets_five_minutes_pass_between_measurements() -> None:
    assert said(Argo(), minutes(*[arm(50)] * 16)).index("RollBack") == 15


def test_argo_without_data_errs_and_gives_up_after_five_errors() -> None:
    idle = [
        Sample(at=10.0 * n, seconds=10, weight=10, canary=ArmCounts(), stable=ArmCounts())
        for n in range(1, 7)
    ]
    assert said(Argo(), idle) == [*["Advance"] * 4, "RollBack", "RollBack"]


def test_argo_verdict_of_a_metric() -> None:
    def after(tally: Tally, *seen: str) -> str:
        return [tally.add(one) for one in seen][-1]

    assert after(Tally(count=2), "Successful", "Successful") == "Successful"
    assert after(Tally(count=2), "Successful", "Error", "Error") == "Running"
    assert after(Tally(failure_limit=1), "Failed", "Successful", "Failed") == "Failed"
    assert after(Tally(failure_limit=OFF, count=1), "Failed") == "Successful"
    assert after(Tally(success_limit=2), "Successful", "Successful") == "Successful"
    assert after(Tally(success_limit=2, count=1), "Successful") == "Inconclusive"
    assert after(Tally(failure_limit=OFF, success_limit=2, count=1), "Successful") == "Failed"
    assert after(Tally(), "Inconclusive") == "Inconclusive"
    assert after(Tally(failure_limit=9), *["Failed"], *["Error"] * 5) == "Error"


def test_argo_failure_condition_wins() -> None:
    both = (lambda value: value > 0, lambda value: value > 5)
    assert [measured(value, *both) for value in (-1, 1, 6)] == [
        "Inconclusive",
        "Successful",
        "Failed",
    ]
    assert measured(3, None, lambda value: value > 5) == "Successful"


# --- Flagger, thresholds ------------------------------------------------------------------------


def test_flagger_rolls_back_on_the_tick_after_ten_failed_checks() -> None:
    assert said(Flagger(), minutes(*[arm(2)] * 12)).index("RollBack") == 10


def test_flagger_failures_add_up_over_passes_and_no_data_fails() -> None:
    mixed = [arm(2), arm(0)] * 9 + [ArmCounts(), arm(0)]
    assert said(Flagger(max_weight=100), minutes(*mixed))[-1] == "RollBack"


def test_flagger_promotes_once_its_weight_is_reached() -> None:
    assert said(Flagger(), minutes(*[arm(0.5)] * 27)).index("Advance") == 25


def test_flagger_fails_a_slow_minute() -> None:
    slow = arm(0, latency={80: 600})
    assert said(Flagger(threshold=1), minutes(slow, arm(0)))[-1] == "RollBack"


def test_threshold_knows_the_objective() -> None:
    objective = ObjectiveSpec(
        service="shop",
        availability=0.95,
        latency=LatencyObjective(threshold_seconds=0.2, target=0.9),
    )
    assert said(Threshold(None), minutes(arm(2))) == ["RollBack"]
    assert said(Threshold(objective), minutes(arm(2), ArmCounts())) == ["Advance", "Wait"]
    slow = arm(0, latency={10: 500, 90: 100})
    assert said(Threshold(objective), minutes(slow)) == ["RollBack"]


def test_significance_test_adds_everything_up() -> None:
    assert said(ZTest(), minutes(arm(0), arm(2))) == ["Advance", "RollBack"]
