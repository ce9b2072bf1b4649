"""Objectives are evaluated from what was really counted; what was not seen is unknown, never good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.api.v1.objectives import (
    Calendar,
    GatewayIndicator,
    Indicator,
    LatencyObjective,
    MetricsIndicator,
    ObjectiveSpec,
    Target,
)
from andon.testing.promises import PromiseWorld

HOUR = 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PromiseWorld]:
    world = PromiseWorld(tmp_path)
    yield world
    world.close()


def test_every_service_has_availability_and_latency_without_any_document(world: PromiseWorld):
    world.live(600)
    assert {id: one.standing.state for id, one in world.promises.items()} == {
        "shop-availability/prod/availability": "met",
        "shop-latency/prod/latency": "met",
    }
    assert all(one.goal.default for one in world.promises.values())


def test_failures_are_counted_exactly(world: PromiseWorld):
    world.live(HOUR, each=10)
    world.live(15, each=10, failed=7)
    world.live(HOUR, each=10)
    counts = world.standing().counts
    assert (counts.bad, counts.total) == (7, 10 * 480)  # The first scrape only says where it began.
    assert world.standing().remaining == pytest.approx(1 - 7 / 48)


def test_a_spent_budget_is_missed_and_says_how_much(world: PromiseWorld):
    world.live(600, each=10, failed=1)
    assert world.standing().state == "missed"
    assert world.standing().message == "1000 % of the budget is spent"
    assert world.standing().burn == pytest.approx(10)
    assert world.standing().empty_seconds == 0


def test_late_answers_count_against_latency(world: PromiseWorld):
    spec = ObjectiveSpec(
        service="shop", latency=LatencyObjective(threshold_seconds=0.5, target=0.9)
    )
    world.promise("fast", spec)
    world.live(600, each=10, slow=2)
    standing = world.standing("fast/prod/latency")
    assert (standing.state, standing.error_rate) == ("missed", pytest.approx(0.2))
    assert "shop-latency/prod/latency" not in world.promises


def test_a_stopped_scraper_reads_as_unknown(world: PromiseWorld):
    world.live(HOUR)
    world.live(600, scraped=False)
    standing = world.standing()
    assert (standing.state, standing.reason, standing.silent) == ("unknown", "Silent", True)


def test_a_gap_is_not_covered_and_its_requests_are_not_guessed(world: PromiseWorld):
    world.live(HOUR, each=10)
    world.live(HOUR, each=10, failed=10, scraped=False)
    world.live(HOUR, each=10)
    standing = world.standing()
    assert (standing.state, standing.reason) == ("unknown", "Gaps")
    assert standing.coverage == pytest.approx(2 / 3, abs=0.01)


def test_a_gap_cannot_hide_a_budget_that_is_spent_anyway(world: PromiseWorld):
    world.live(HOUR, each=10, failed=5)
    world.live(HOUR, scraped=False)
    world.live(HOUR, each=10, failed=5)
    assert world.standing().state == "missed"


def test_a_restarted_gateway_loses_no_failure_and_invents_none(world: PromiseWorld):
    world.live(HOUR, each=10, failed=1)
    before = world.standing().counts
    world.gateway.restart()
    world.live(HOUR, each=10, failed=1)
    after = world.standing().counts
    assert before.bad < after.bad <= before.bad + 240
    assert after.bad >= before.bad + 238
    assert 0 < 1 - after.coverage < 0.02  # What was counted just before the restart is unknown.


def test_a_clock_put_forward_leaves_a_gap(world: PromiseWorld):
    world.live(HOUR)
    world.clock.advance(6 * HOUR)
    world.live(60)
    assert world.standing().reason == "Gaps"


@pytest.mark.parametrize("hours", [0.5, 2])
def test_a_clock_put_back_is_unknown(world: PromiseWorld, hours: float):
    world.live(HOUR)
    world.clock.advance(-hours * HOUR)
    world.turn()
    assert (world.standing().state, world.standing().reason) == ("unknown", "Future")


def test_nothing_observed_is_unknown(world: PromiseWorld):
    world.turn()
    assert (world.standing().state, world.standing().reason) == ("unknown", "NoData")


def test_no_traffic_is_unknown(world: PromiseWorld):
    world.live(HOUR, each=0)
    assert (world.standing().state, world.standing().reason) == ("unknown", "NoEvents")


def test_counts_survive_a_restart_of_andon(world: PromiseWorld):
    world.live(HOUR, each=10, failed=0.05)
    before = world.standing()
    world.tallies.close()
    world.restart()
    world.turn()
    assert world.standing() == before


def test_samples_scraped_while_nobody_evaluated_are_counted_later(world: PromiseWorld):
    world.live(15, each=10)
    for _ in range(3):
        world.live(HOUR, each=10)
    stepwise = world.standing().counts
    world.tallies.close()
    (world.folder / "objectives.db").unlink()
    world.restart()
    world.turn()
    assert world.standing().counts == stepwise


def test_slices_are_divided_by_those_expected(world: PromiseWorld):
    target = Target(target=0.9, time_slice_target=0.5, time_slice_window="1m", name="minutes")
    spec = ObjectiveSpec(
        service="shop",
        window="1h",
        budgeting="Timeslices",
        indicator=Indicator(gateway=GatewayIndicator()),
        targets=(target,),
    )
    world.promise("slices", spec)
    world.live(20 * 60, each=4)
    world.live(3 * 60, each=4, failed=4)
    world.live(10 * 60, each=4)
    standing = world.standing("slices/prod/minutes")
    assert standing.counts.bad == pytest.approx(3, abs=1)
    assert standing.counts.expected == 60
    assert standing.remaining == pytest.approx(1 - standing.counts.bad / 6)


def test_promql_that_only_adds_up_is_counted_without_extrapolation(world: PromiseWorld):
    name = "andon_gateway_requests_total"
    plain = MetricsIndicator(
        bad=f'sum(rate({name}{{class=~"5xx|failed"}}[{{{{.window}}}}]))',
        total=f"sum(increase({name}[5m]))",
    )
    spec = ObjectiveSpec(
        service="shop", indicator=Indicator(metrics=plain), targets=(Target(target=0.99),)
    )
    world.promise("metrics", spec)
    world.live(HOUR, each=7, failed=0.5)
    own = world.standing().counts
    assert world.standing("metrics/prod/target-1").counts == own
    assert own.bad == 0.5 * 239


def test_a_value_is_asked_for_and_compared(world: PromiseWorld):
    value = MetricsIndicator(value='sum(andon_gateway_requests_total{class="5xx"})')
    target = Target(target=0.5, op="lt", value=1000, name="few")
    world.promise(
        "few", ObjectiveSpec(service="shop", indicator=Indicator(metrics=value), targets=(target,))
    )
    for _ in range(8):
        world.live(60)
    standing = world.standing("few/prod/few")
    assert (standing.state, standing.counts.bad) == ("met", 0)


def test_the_part_of_another_metric_that_is_not_there_is_unknown_not_zero(world: PromiseWorld):
    told = MetricsIndicator(bad="no_such_errors_total", total="andon_gateway_requests_total")
    spec = ObjectiveSpec(
        service="shop", indicator=Indicator(metrics=told), targets=(Target(target=0.99),)
    )
    world.promise("typo", spec)
    world.live(HOUR)
    assert world.standing("typo/prod/target-1").state == "unknown"


def test_a_composite_is_unknown_while_a_part_is(world: PromiseWorld):
    gateway = Indicator(gateway=GatewayIndicator())
    absent = Indicator(metrics=MetricsIndicator(bad="a_total", total="b_total"))
    targets = (
        Target(target=0.9, name="requests", indicator=gateway, weight=3),
        Target(target=0.9, name="jobs", indicator=absent),
    )
    world.promise("all", ObjectiveSpec(service="shop", targets=targets))
    world.live(HOUR)
    assert world.standing("all/prod/requests").state == "met"
    assert world.standing("all/prod/composite").state == "unknown"


def test_a_window_of_the_calendar_begins_anew(world: PromiseWorld):
    spec = ObjectiveSpec(
        service="shop",
        availability=0.9,
        window="1d",
        calendar=Calendar(start="2025-12-01", time_zone="Europe/Berlin"),
    )
    world.promise("day", spec)
    world.live(22 * HOUR, each=10, failed=5)  # From 00:00 UTC, that is 01:00 in Berlin.
    assert world.standing("day/prod/availability").state == "missed"
    world.live(2 * HOUR, each=10)
    assert world.standing("day/prod/availability").state == "met"


def test_how_a_promise_stood_is_remembered(world: PromiseWorld):
    world.live(600)
    world.live(600, each=10, failed=5)
    id = "shop-availability/prod/availability"
    told = world.tallies.history(id, 0, round(world.clock.now() * 1000))
    assert [one.state for one in told] == ["met", "missed"]


def test_an_indicator_of_another_system_is_unknown_and_says_so(world: PromiseWorld):
    told = MetricsIndicator(bad="a", total="b", source="Datadog")
    spec = ObjectiveSpec(
        service="shop", indicator=Indicator(metrics=told), targets=(Target(target=0.99),)
    )
    world.promise("dog", spec)
    world.live(60)
    standing = world.standing("dog/prod/target-1")
    assert (standing.state, standing.reason) == ("unknown", "Unsupported")
    assert "Datadog" in standing.message


def test_scrapes_that_come_slowly_leave_no_gaps(world: PromiseWorld):
    for _ in range(40):
        for _ in range(3):
            world.live(15, each=1, scraped=False)
        world.live(15, each=1)
    assert world.standing().coverage > 0.97
    world.tallies.close()
    (world.folder / "objectives.db").unlink()
    world.restart()
    world.turn()
    assert world.standing().coverage > 0.97
