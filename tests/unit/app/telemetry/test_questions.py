"""What is odd in how services are used is asked, never paged, and not asked where nothing was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from andon.adapters.telemetry.metrics.store import MetricChunks
from andon.api.v1.alerts import AlertSpec, AlertStatus
from andon.api.v1.records import Object
from andon.app.telemetry.questions import ASKED_SECONDS, LAST_MINUTES, MINUTE, Questions
from andon.testing.promises import Gateway


def alert_of(source: str, severity: str, told_at: float) -> Object:
    labels = {"alertname": "Anomaly", "service": "shop", "measure": "requests"}
    spec = AlertSpec(
        fingerprint="f", labels=labels, source=source, severity=severity, summary="odd"
    )
    status = AlertStatus(fired_at=told_at, told_at=told_at)
    return Object(kind="Alert", name="alert-1", uid="a", spec=spec, status=status)


BEGAN = 1_767_225_600.0


class Town:
    """A gateway that is scraped, minute by minute, and what asks about it."""

    def __init__(self, folder: Path) -> None:
        self.metrics = MetricChunks(folder)
        self.questions = Questions(self.metrics)
        self.gateway = Gateway()
        self.now = BEGAN
        self.chance = np.random.default_rng(4)
        self.scrape()

    def scrape(self) -> None:
        self.metrics.append(round(self.now * 1000), self.gateway.rows())

    def minutes(self, count: int, each: float, failing: float = 0.0, *, seen: bool = True) -> list:
        """Let minutes pass, looking at each; return what was asked."""
        asked = []
        for _ in range(count):
            for _ in range(4):
                self.now += MINUTE / 4
                some = float(self.chance.poisson(each / 4))
                self.gateway.serve(some, float(self.chance.binomial(int(some), failing)))
                if seen:
                    self.scrape()
            asked += asyncio.run(self.questions.look((), self.now + 45))
        return asked


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.metrics.close()


def test_jump_of_the_share_of_failures_is_a_question(town: Town):
    assert town.minutes(120, each=600, failing=0.005) == []
    asked = town.minutes(4, each=600, failing=0.2)
    failures = [one for one in asked if one.labels["measure"] == "failures"]
    assert len(failures) == 1
    assert failures[0].severity == "question"
    assert failures[0].summary.startswith("the share of failures of shop in prod ")
    assert failures[0].summary.endswith("is that as meant?")


def test_lasting_shift_is_asked_about_with_when_it_was(town: Town):
    town.minutes(90, each=600)
    asked = town.minutes(40, each=690)
    shifts = [one for one in asked if one.labels["alertname"] == "Shift"]
    assert shifts
    assert "has moved for good" in shifts[0].summary


def test_minute_that_was_not_seen_is_no_drop_to_zero(town: Town):
    town.minutes(100, each=600)
    assert town.minutes(10, each=600, seen=False) == []
    assert town.minutes(30, each=600) == []


def test_few_requests_have_no_odd_share(town: Town):
    town.minutes(100, each=8)
    asked = town.minutes(5, each=8, failing=1.0)
    assert [one for one in asked if one.labels["measure"] == "failures"] == []


def test_who_begins_anew_looks_back_and_asks_nothing_twice(town: Town):
    town.minutes(LAST_MINUTES, each=600, failing=0.005)
    town.minutes(3, each=600, failing=0.3)
    town.questions = Questions(town.metrics)
    assert asyncio.run(town.questions.look((), town.now + 45)) == []
    town.minutes(1, each=600, failing=0.005)
    assert town.questions._watches["prod", "shop", "requests"].expected == pytest.approx(
        10, rel=0.2
    )


def test_question_that_nobody_answers_is_over(town: Town):
    old = alert_of("anomaly", "question", told_at=town.now)
    ours = alert_of("objective:shop", "page", told_at=town.now)
    town.minutes(1, each=10)
    later = asyncio.run(town.questions.look((old, ours), town.now + ASKED_SECONDS))
    (over,) = [one for one in later if one.resolved]
    assert over.labels == old.spec.labels
