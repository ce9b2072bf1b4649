"""Alerts of an Objective fire when its budget burns, and only then."""

from __future__ import annotations

import numpy as np
import pytest

from andon.api.v1.objectives import BurnAlert
from andon.calc.burn import DAY, Counts
from andon.domains.reliability.alerts import (
    AlertPlan,
    Watched,
    judge_condition,
    judge_contradiction,
    judge_objective,
    judge_silence,
    plan_alerts,
)

MONTH = 30 * DAY
SHOP = Watched(
    objective="shop", environment="prod", service="shop", target=0.999, period_seconds=MONTH
)
PAGE = plan_alerts(0.999, MONTH).conditions[0]
FOREVER = 10 * DAY


def seen(bad: float, total: float, seconds: float, covered: float | None = None) -> Counts:
    return Counts(bad, total, seconds, seconds if covered is None else covered)


# --- which alerts there are -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        (30, [14.4, 6, 3, 1]),
        (28, [13.44, 5.6, 2.8, 0.9333]),
        (90, [43.2, 18, 9, 3]),
        (7, [3.36, 1.4, 3, 1]),
    ],
)
def test_factors_follow_from_the_period(days, factors):
    plan = plan_alerts(0.999, days * DAY)
    assert [one.factor for one in plan.conditions] == pytest.approx(factors, rel=1e-3)


def test_no_alert_tells_of_a_service_within_its_objective():
    for days in (1, 7, 28, 30, 90, 365):
        for one in plan_alerts(0.9999, days * DAY).conditions:
            assert one.factor >= 0.9
            assert one.tier.long_seconds <= days * DAY


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (0.9307, []),
        (0.93, ["page-1h"]),
        (0.83, ["page-1h", "page-6h"]),
        (0.6, ["page-1h", "page-6h", "ticket-1d"]),
    ],
)
def test_alert_that_could_never_fire_is_refused(target, names):
    plan = plan_alerts(target, MONTH)
    assert [one.name for one in plan.refused] == names
    assert all("could never fire" in one.reason for one in plan.refused)
    assert not {one.name for one in plan.conditions} & set(names)


def test_pages_fall_away_where_nobody_is_to_be_woken():
    plan = plan_alerts(0.999, MONTH, pages=False)
    assert {one.severity for one in plan.conditions} == {"ticket"}
    assert plan.refused == ()


def test_own_alert_that_could_never_fire_is_refused():
    plan = plan_alerts(0.9, MONTH, (BurnAlert(name="own", burn=10, window="1h"),))
    assert [one.name for one in plan.refused] == ["page-1h", "own"]


def test_windows_are_those_of_the_tiers():
    hour = 3600.0
    assert plan_alerts(0.999, MONTH).windows == (
        300.0, 1800.0, hour, 2 * hour, 6 * hour, 24 * hour, 72 * hour,
    )  # fmt: skip


# --- when one fires -------------------------------------------------------------------------------


def judge(long: Counts, short: Counts, *, firing: bool = False) -> str:
    return judge_condition(PAGE, 0.999, long, short, firing=firing).state


def test_both_windows_must_burn():
    burning, calm = (2000, 100_000), (0, 9000)
    assert judge(seen(*burning, 3600), seen(200, 9000, 300)) == "firing"
    assert judge(seen(*burning, 3600), seen(*calm, 300)) == "ok"
    assert judge(seen(100, 100_000, 3600), seen(200, 9000, 300)) == "pending"


def test_short_window_alone_says_when_it_is_over():
    long = seen(2000, 100_000, 3600)
    assert judge(long, seen(200, 9000, 300), firing=True) == "firing"
    assert judge(long, seen(116, 9000, 300), firing=True) == "ok"
    assert judge(long, seen(118, 9000, 300), firing=True) == "firing", "a little below: not yet"


def test_no_data_neither_fires_nor_resolves():
    nothing = Counts(seconds=3600), Counts(seconds=300)
    assert judge(*nothing) == "unknown"
    assert judge(*nothing, firing=True) == "unknown"
    quiet = seen(0, 0, 3600), seen(0, 0, 300)
    assert judge(*quiet) == "unknown"
    assert judge(*quiet, firing=True) == "unknown"


def test_hole_in_the_short_window_does_not_resolve():
    long = seen(2000, 100_000, 3600)
    assert judge(long, seen(0, 3000, 300, covered=100), firing=True) == "unknown"


def test_unseen_part_of_a_window_is_taken_for_good_when_firing_is_asked():
    five_minutes = seen(18, 1000, 3600, covered=300)
    assert judge(five_minutes, seen(18, 1000, 300)) == "pending"
    all_failed = seen(1000, 1000, 3600, covered=300)
    assert judge(all_failed, seen(1000, 1000, 300)) == "firing"


def test_few_failures_at_low_traffic_are_chance_for_a_page_but_a_ticket():
    one_of_ten = seen(1, 10, 3600), seen(1, 1, 300)
    assert judge(*one_of_ten) == "pending"
    ticket = plan_alerts(0.999, MONTH).conditions[2]
    counts = seen(1, 240, DAY), seen(1, 20, 7200)
    assert judge_condition(ticket, 0.999, *counts, firing=False).state == "firing"


def test_own_alert_fires_once_it_has_burned_so_for_as_long_as_it_says():
    alert = BurnAlert(name="own", burn=2, window="1h", after="20m", receivers=("ann",))
    (own,) = plan_alerts(0.99, MONTH, (alert,)).conditions[-1:]
    burning, calm = seen(30, 1000, 3600), seen(10, 1000, 3600)
    assert own.looks_back == (300, 600, 900, 1200)

    def judged(earlier, now=burning, *, firing=False):
        found = judge_condition(own, 0.99, now, now, firing=firing, earlier=earlier)
        return found.state, found.receivers

    assert judged([burning] * 4) == ("firing", ("ann",))
    assert judged([burning, burning, calm, burning])[0] == "pending"
    assert judged([burning] * 3 + [Counts(seconds=3600)])[0] == "pending", "not seen is not so"
    assert judged([])[0] == "pending", "nobody looked"
    assert judged([calm] * 4, firing=True)[0] == "firing", "it fires already"
    assert judged([burning] * 4, calm, firing=True)[0] == "ok"


def test_summary_says_how_fast_and_of_what():
    found = judge_condition(PAGE, 0.999, seen(20, 1000, 3600), seen(3, 90, 300), firing=False)
    assert found.summary == ("the budget burns 20 times too fast: 20 of 1000 failed in the last 1h")


# --- silence, contradiction -----------------------------------------------------------------------


def test_indicator_that_is_told_no_more_is_told():
    before = seen(0, 3000, 3600)
    assert judge_silence(SHOP, Counts(seconds=300), before, firing=False).state == "firing"
    nothing = Counts(seconds=3600)
    assert judge_silence(SHOP, Counts(seconds=300), nothing, firing=True).state == "firing"
    assert judge_silence(SHOP, Counts(seconds=300), nothing, firing=False).state == "unknown"
    assert judge_silence(SHOP, seen(0, 9, 300), before, firing=True).state == "ok"


def test_no_request_where_many_were_usual_is_told_and_where_few_were_is_not():
    recent = seen(0, 0, 300)
    assert judge_silence(SHOP, recent, seen(0, 3000, 3600), firing=False).state == "firing"
    assert judge_silence(SHOP, recent, seen(0, 30, 3600), firing=False).state == "ok"


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        (seen(-5, 100, 3600), "firing"),
        (seen(101, 100, 3600), "firing"),
        (seen(100, 100, 3600), "ok"),
        (Counts(seconds=3600), "unknown"),
    ],
)
def test_more_good_than_all_is_flagged(counts, state):
    assert judge_contradiction(counts).state == state


def test_all_alerts_of_an_objective_are_judged_together():
    plan = plan_alerts(0.999, MONTH)
    counts = {window: seen(window / 10, window, window) for window in plan.windows}
    found = judge_objective(SHOP, plan, counts, (), seen(30, 300, 300), seen(360, 3600, 3600))
    assert {one.name: one.state for one in found} == {
        "page-1h": "firing",
        "page-6h": "firing",
        "ticket-1d": "firing",
        "ticket-3d": "firing",
        "contradiction": "ok",
        "silence": "ok",
    }


# --- how often it is wrong ------------------------------------------------------------------------


class Month:
    """Poisson traffic, minute by minute, through the page tiers."""

    def __init__(self, plan: AlertPlan, per_hour: float, share: np.ndarray, seed: int) -> None:
        chance = np.random.default_rng(seed)
        total = chance.poisson(per_hour / 60, len(share))
        bad = chance.binomial(total, share)
        self._total = np.concatenate(([0], np.cumsum(total)))
        self._bad = np.concatenate(([0], np.cumsum(bad)))
        self._plan = plan

    def count(self, minute: int, seconds: float) -> Counts:
        since = max(0, minute - int(seconds // 60))
        bad = float(self._bad[minute] - self._bad[since])
        return seen(bad, float(self._total[minute] - self._total[since]), seconds)

    def pages(self, until_first: bool = False) -> list[int]:
        """Minutes at which somebody is woken: where any page fires and none did before."""
        firing: set[str] = set()
        woken: list[int] = []
        recently = self._bad[30:] - self._bad[:-30] > 0
        for minute in range(30, len(self._bad)):
            before = bool(firing)
            if not before and not recently[minute - 30]:
                continue
            for one in self._plan.conditions:
                long, short = one.tier.long_seconds, one.tier.short_seconds
                found = judge_condition(
                    *(one, 0.999, self.count(minute, long), self.count(minute, short)),
                    firing=one.name in firing,
                )
                if found.state == "firing":
                    firing.add(one.name)
                elif found.state == "ok":
                    firing.discard(one.name)
            if firing and not before:
                woken.append(minute)
                if until_first:
                    break
        return woken


def pages_only(guarded: bool) -> AlertPlan:
    from msgspec.structs import replace

    plan = plan_alerts(0.999, MONTH)
    pages = (one for one in plan.conditions if one.severity == "page")
    return AlertPlan(conditions=tuple(replace(one, guarded=guarded) for one in pages))


def false_pages(per_hour: float, runs: int, guarded: bool) -> float:
    healthy = np.full(30 * 24 * 60, 0.8 * 0.001)
    plan = pages_only(guarded)
    found = [len(Month(plan, per_hour, healthy, 7 * run + 1).pages()) for run in range(runs)]
    return sum(found) / runs


def minutes_to_page(per_hour: float, runs: int) -> float:
    outage = np.concatenate((np.zeros(1440), np.full(600, 0.5)))
    plan = pages_only(guarded=True)
    found = [
        Month(plan, per_hour, outage, run).pages(until_first=True) or [FOREVER]
        for run in range(runs)
    ]
    return float(np.median([one[0] - 1440 for one in found]))


@pytest.mark.parametrize(
    ("per_hour", "runs", "most", "plain"), [(10, 60, 0.35, 4.0), (60, 20, 0.15, 20.0)]
)
def test_guard_takes_the_false_pages_of_small_services(per_hour, runs, most, plain):
    """Table of the design: 5.7 and 29.5 pages a month become 0.13 and 0.03."""
    assert false_pages(per_hour, runs, guarded=True) <= most
    assert false_pages(per_hour, 4, guarded=False) >= plain


def test_large_services_page_as_they_did():
    assert false_pages(600, 3, guarded=True) == 0


@pytest.mark.parametrize(
    ("per_hour", "minutes"), [(10, (15, 30)), (60, (5, 9)), (600, (2, 4)), (6000, (1, 4))]
)
def test_outage_of_half_the_requests_pages_within_minutes(per_hour, minutes):
    """Table of the design: 21, 7, 3 and 3 minutes in the median."""
    low, high = minutes
    assert low <= minutes_to_page(per_hour, 40) <= high
