"""A schedule decides by what it is shown, and only once for each time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from andon.api.v1.control import Decision, View
from andon.api.v1.pipelines import Job, PipelineSpec, ScheduleEntry
from andon.api.v1.records import ChangeSpec, ChangeStatus, Object
from andon.api.v1.schedules import ScheduleSpec, ScheduleStatus
from andon.domains.pipelines.plan import plan_build
from andon.domains.pipelines.schedule import ScheduleController

NOON = datetime.fromisoformat("2026-05-04T12:00:00+00:00").timestamp()
HOURLY, DAILY = ScheduleEntry(cron="@hourly"), ScheduleEntry(cron="0 12 * * *")


def schedule(*entries: ScheduleEntry, status: ScheduleStatus | None = None) -> Object:
    return Object(
        kind="Schedule",
        name="shop",
        uid="s",
        spec=ScheduleSpec(repository="/r/shop", pipeline="shop", entries=entries),
        status=status or ScheduleStatus(),
        labels={"repository": "shop"},
    )


def change(name: str, repository: str = "/r/shop") -> Object:
    spec = ChangeSpec(
        repository=repository,
        sha=name,
        ref="main",
        author="Ada",
        message="",
        committed_at=0,
        policy_revision="",
        pipeline_name="shop",
        pipeline=PipelineSpec(jobs={"unit": Job(run="true")}),
        services={},
        environments={},
    )
    return Object(kind="Change", name=name, uid=name, spec=spec, status=ChangeStatus())


def decide(found: Object, now: float, *changes: Object) -> Decision:
    view = View(object=found, related={"changes": changes or (change("old"), change("new"))})
    return ScheduleController(plan_build).reconcile(view, now)


def begun(*entries: ScheduleEntry, at: float = NOON - 10) -> Object:
    found = schedule(*entries)
    return replace(found, status=decide(found, at).status)


def made(decision: Decision) -> list[Any]:
    return [new.name for new in decision.create]


def test_a_new_entry_waits_for_its_first_time() -> None:
    decision = decide(schedule(HOURLY), NOON)
    assert (made(decision), decision.wake) == ([], NOON + 3600)


def test_at_its_time_the_newest_commit_of_the_repository_is_built() -> None:
    others = (change("old"), change("new"), change("foreign", "/elsewhere/shop"))
    decision = decide(begun(HOURLY), NOON + 0.2, *others)
    (run,) = decision.create
    assert (run.name, run.spec.build.sha) == ("scheduled-shop-20260504t1200z", "new")
    assert run.labels == {"type": "build", "schedule": "shop"}
    assert decision.wake == NOON + 3600


def test_no_time_is_dealt_with_twice_even_if_the_clock_is_set_back() -> None:
    found = begun(HOURLY)
    after = replace(found, status=decide(found, NOON).status)
    for now in (NOON, NOON + 1, NOON - 7200, NOON + 3599):
        assert made(decide(after, now)) == []


def test_two_entries_of_one_minute_share_a_run() -> None:
    assert len(set(made(decide(begun(HOURLY, DAILY), NOON)))) == 1


def test_what_is_missed_is_left_out_or_made_up_for_once() -> None:
    late = NOON + 5 * 3600 + 100
    skipped = decide(begun(HOURLY), late)
    assert (made(skipped), [event.type for event in skipped.events]) == (
        [],
        ["dev.cdeventsx.andon-schedule.missed.0.1.0"],
    )
    once = decide(begun(replace(HOURLY, missed="once")), late)
    assert made(once) == ["scheduled-shop-20260504t1700z"]
    assert skipped.wake == once.wake == NOON + 6 * 3600


def test_an_entry_that_is_gone_is_forgotten_and_begins_anew() -> None:
    found = begun(HOURLY, DAILY)
    without = replace(schedule(DAILY), status=found.status)
    status = decide(without, NOON - 5).status
    assert list(status.entries) == ["0 12 * * * UTC"]
    again = replace(schedule(DAILY, HOURLY), status=status)
    assert made(decide(again, NOON + 1800)) == []


def test_without_a_change_nothing_is_built() -> None:
    assert made(decide(begun(HOURLY), NOON, change("foreign", "/elsewhere/shop"))) == []
