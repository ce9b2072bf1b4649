"""What people are told of promises: what to look at first, what a period was like, what OpenSLO would say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.api.parse import read_documents
from andon.api.v1.objectives import BurnAlert, Exclusion, ObjectiveSpec
from andon.app.telemetry.objective_desk import ObjectiveDesk
from andon.app.telemetry.objectives import STALE_SECONDS
from andon.cli.commands.slo import _tell_board, _tell_objective, _tell_report
from andon.cli.slo_report import as_html, as_markdown
from andon.domains.reliability.report import exclusion_key
from andon.kernel.errors import NotFound, UsageError
from andon.testing.promises import PromiseWorld

HOUR = 3600.0
BEGAN = 1_767_225_600.0
NIGHT = Exclusion(
    start="2026-01-01 02:00", end="2026-01-01 03:00", reason="<b>move</b> | it", agreed="2025-12-01"
)


class Told:
    """A desk, and a world in which the third hour went wrong."""

    def __init__(self, folder: Path) -> None:
        self.world = PromiseWorld(folder)
        self.desk = ObjectiveDesk(self.world.objectives, self.world.tallies, self.world.clock)

    def live(self) -> None:
        self.world.live(2 * HOUR, each=10)
        self.world.live(HOUR, each=10, failed=5)
        self.world.live(HOUR, each=10)

    def board(self, **asked: str):
        asked = {"service": "", "environment": "", **asked}
        return asyncio.run(self.desk.board(**asked, sees=lambda place: True))

    def report(self, name: str = "", begin: float = BEGAN, end: float = BEGAN + 5 * HOUR):
        asked = self.desk.report(
            begin=begin, end=end, name=name, service="", sees=lambda place: True
        )
        return asyncio.run(asked)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    told = Told(tmp_path)
    yield told
    told.world.close()


def test_what_is_missed_comes_first(told: Told):
    told.live()
    board = told.board()
    assert [one["state"] for one in board["objectives"]] == ["missed", "met"]
    assert told.board(service="other")["objectives"] == []
    text = "\n".join(_tell_board(board))
    assert "shop-availability" in text
    assert "(default): nobody wrote it" in text


def test_nothing_is_told_of_where_one_may_not_look(told: Told):
    told.live()
    seen = asyncio.run(
        told.desk.board(service="", environment="", sees=lambda place: place == "dev")
    )
    assert seen["objectives"] == []


def test_an_old_board_says_nothing_any_more(told: Told):
    told.live()
    told.world.clock.advance(STALE_SECONDS + 1)
    assert {one["state"] for one in told.board()["objectives"]} == {"unknown"}


def test_a_report_leaves_out_what_was_agreed_and_known(told: Told):
    known = {exclusion_key(NIGHT): BEGAN - HOUR}
    spec = ObjectiveSpec(service="shop", availability=0.99, exclusions=(NIGHT,))
    told.world.promise("night", spec, **known)
    told.world.promise("late", spec, **{exclusion_key(NIGHT): BEGAN + 2.5 * HOUR})
    told.live()
    lines = {one["id"]: one for one in told.report()["lines"]}
    night, late = lines["night/prod/availability"], lines["late/prod/availability"]
    assert night["state"] == "met"
    assert night["bad"] <= 5  # The scrape at the edge of the hour.
    assert night["excusedSeconds"] == HOUR
    assert (late["state"], late["bad"]) == ("missed", 5 * 240)
    assert [one["counts"] for one in late["excused"]] == [False]


def test_a_report_is_a_document_that_nobody_can_write_into(told: Told):
    spec = ObjectiveSpec(service="shop", availability=0.99, exclusions=(NIGHT,))
    told.world.promise("night", spec, **{exclusion_key(NIGHT): BEGAN - HOUR})
    told.live()
    report = told.report()
    assert "<b>" not in as_html(report)
    assert "\\<b\\>move" in as_markdown(report)
    assert any("does not count" in line for line in _tell_report(report))


@pytest.mark.parametrize(
    ("begin", "end"), [(BEGAN + 5, BEGAN), (0, BEGAN), (BEGAN, BEGAN + 99 * 86400)]
)
def test_a_period_that_is_none_is_refused(told: Told, begin: float, end: float):
    with pytest.raises(UsageError):
        told.report(begin=begin, end=end)


def test_an_objective_is_told_with_its_history(told: Told):
    told.live()
    found = asyncio.run(told.desk.objective("shop-availability", days=1, sees=lambda place: True))
    (promise,) = found["promises"]
    assert [one["state"] for one in promise["history"]] == ["met", "missed", "missed"]
    assert sum(one["bad"] for one in promise["counts"]) == 5 * 240
    assert any("missed" in line for line in _tell_objective(found))


def test_alerts_of_a_promise_are_told_and_those_that_fall_away(told: Told):
    own = BurnAlert(name="own", burn=2, window="1h", receivers=("ann", "bob"))
    spec = ObjectiveSpec(service="shop", availability=0.9, pages=False, alerts=(own,))
    told.world.promise("slo", spec)
    told.world.promise("paged", ObjectiveSpec(service="shop", availability=0.9))
    told.live()
    desk = ObjectiveDesk(told.world.objectives, told.world.tallies, told.world.clock, ["ann"])

    def shown(name: str):
        found = asyncio.run(desk.objective(name, days=1, sees=lambda place: True))
        return found["promises"][0], "\n".join(_tell_objective(found))

    promise, text = shown("slo")
    assert [one["name"] for one in promise["alerts"]] == ["ticket-1d", "ticket-3d", "own"]
    assert promise["alerts"][-1]["unknown"] == ["bob"]
    assert "own (ticket above 2× to ann, bob) (no receiver here: bob)" in text
    assert "nobody is woken" in text
    promise, text = shown("paged")
    assert [one["name"] for one in promise["refused"]] == ["page-1h"]
    assert "no alert   page-1h: it could never fire" in text
    assert "nobody is woken" not in text


def test_an_unknown_name_is_answered_with_those_that_are_known(told: Told):
    told.live()
    with pytest.raises(NotFound) as error:
        asyncio.run(told.desk.objective("shop", days=1, sees=lambda place: True))
    assert "shop-availability" in str(error.value.hint)


def test_what_is_written_and_the_defaults_are_told_in_openslo(told: Told):
    told.world.promise("night", ObjectiveSpec(service="shop", availability=0.99))
    told.live()
    for name in ("", "night", "shop-latency"):
        text = asyncio.run(told.desk.openslo(name))["text"]
        assert not read_documents(text.encode(), "openslo.yaml").problems
        assert "kind: SLO" in text
