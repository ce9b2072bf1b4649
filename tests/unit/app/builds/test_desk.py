"""Builds as they are shown: from a real store, as the line would have written it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from andon.api.v1.actions import JobDone
from andon.api.v1.control import NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.jobs import PIPELINES, BesidePlan, JobPlan, SecretRef
from andon.api.v1.records import EnvironmentRecordStatus, StepRow, Version
from andon.app.builds.desk import Builds
from andon.kernel.errors import NotFound
from andon.ports.store import Store
from andon.store import open_store
from andon.testing.built import BEGAN, LogFolder, every_state, put_build, put_change
from andon.testing.clock import FakeClock


@pytest.fixture
def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(str(tmp_path / "a.db"), source="/test")
    yield opened
    opened.close()


@pytest.fixture
def builds(store: Store, tmp_path: Path) -> Builds:
    return Builds(store, LogFolder(tmp_path).read, FakeClock(BEGAN + 600))


async def test_a_run_shows_every_state_and_what_it_means(store: Store, builds: Builds) -> None:
    await put_change(store, 1)
    await put_build(store, 1, every_state(BEGAN + 60), phase="Failed", seconds=84)
    told = await builds.graph("build-shop-1")
    jobs = {job["name"]: job for job in told["jobs"]}
    assert {job["state"] for job in told["jobs"]} == {
        *("passed", "failed", "skipped-by-rule", "not-run"),
        *("interrupted", "quarantined", "cancelled"),
    }
    assert jobs["docs"]["message"] == "paths: docs/** not touched"
    assert jobs["build"]["caches"] == {"pip": "hit", "node": "miss+kept"}
    assert jobs["lint"]["reused"] == "build-shop-0/lint"
    assert jobs["test-312"]["flaky"] == "1 of 216 tests failed"
    assert jobs["contract"]["quarantined"] == ["pact::orders"]
    assert jobs["test-311"]["group"] == "test"
    assert [one["id"] for one in told["failures"]] == [
        "tests.cart::test_total_has_vat",
        "tests.cart::test_empty",
    ]
    assert [one["job"] for one in told["path"]["stretches"]] == ["build", "test-311"]
    assert told["path"]["stretches"][0]["waitedSeconds"] == 2
    assert told["path"]["tailSeconds"] == 2
    assert told["verdict"] == {
        "arrivedAt": BEGAN + 60,
        "verdictAt": BEGAN + 144,
        "seconds": 84,
        "limitSeconds": 300,
        "late": False,
    }


async def test_a_run_that_goes_on_is_measured_until_now(store: Store, builds: Builds) -> None:
    await put_change(store, 1, limit=60.0)
    slow = JobPlan(name="slow", concurrency="database")
    row = StepRow(name="slow", position=0, state="running", started_at=BEGAN + 70)
    await put_build(store, 1, [(slow, row, None)], phase="Running")
    told = await builds.graph("build-shop-1")
    assert told["verdict"]["late"] is True
    stretch = told["path"]["stretches"][0]
    assert (stretch["waitedSeconds"], stretch["ranSeconds"]) == (10, 530)
    assert stretch["waitedFor"] == "the lock database"


async def test_the_path_makes_up_all_of_the_time(store: Store, builds: Builds) -> None:
    await put_change(store, 1)
    await put_build(store, 1, every_state(BEGAN + 60), phase="Failed", seconds=84)
    path = (await builds.graph("build-shop-1"))["path"]
    parts = sum(one["waitedSeconds"] + one["ranSeconds"] for one in path["stretches"])
    assert parts + path["tailSeconds"] == path["totalSeconds"] == 84


async def test_the_coffee_budget_counts_late_verdicts(store: Store, builds: Builds) -> None:
    for number in range(1, 9):
        await put_change(store, number)
        await put_build(store, number, seconds=301 if number < 3 else 100)
    coffee = (await builds.feedback("shop"))["coffee"]
    assert (coffee["state"], coffee["late"], coffee["verdicts"]) == ("burning", 2, 8)
    assert coffee["burnRate"] == 5.0
    assert coffee["slowest"] in ("build-shop-1", "build-shop-2")
    for number in range(9, 13):
        await put_change(store, number)
        await put_build(store, number, seconds=301)
    assert (await builds.feedback("shop"))["coffee"]["state"] == "exhausted"


async def test_without_a_verdict_nothing_is_good_or_bad(store: Store, builds: Builds) -> None:
    await put_change(store, 1)
    told = await builds.feedback("shop")
    assert (told["coffee"]["state"], told["coffee"]["burnRate"]) == ("no-data", None)
    assert (told["run"], told["path"]) == ("", None)
    await put_build(store, 1, phase="Cancelled")
    assert (await builds.feedback("shop"))["coffee"]["state"] == "no-data"
    with pytest.raises(NotFound):
        await builds.feedback("strange")


async def test_what_waits_to_be_deployed_and_what_stays_away_are_told(
    store: Store, builds: Builds
) -> None:
    places = {"prod": EnvironmentSpec()}
    for number in (1, 2, 3):
        await put_change(store, number, environments=places, paths=(f"{number}.py", "all.py"))
    await put_change(store, 4, ref="topic", proposed=True, committed_at=BEGAN - 86400)

    def write(tx) -> None:
        version = Version(digest="sha256:0", config_hash="0", change="shop-1")
        status = EnvironmentRecordStatus(services={"shop": version})
        new = NewObject(kind="Environment", name="prod", spec=EnvironmentSpec(), status=status)
        tx.create(new, "e1", BEGAN)

    await store.transact(write)
    told = await builds.feedback("shop")
    assert told["batches"][0] | {"oldestSeconds": 0} == {
        "environment": "prod",
        "deployed": "",
        "changes": 3,
        "paths": 4,
        "oldest": "shop-1",
        "oldestSeconds": 0,
    }, "the Change names no service, so nothing of it is deployed"
    assert told["branches"] == [{"ref": "topic", "change": "shop-4", "ageSeconds": 87000}]


async def test_a_branch_stands_as_its_newest_build_and_a_badge_as_its_last_verdict(
    store: Store, builds: Builds
) -> None:
    await put_change(store, 1)
    await put_build(store, 1)
    await put_change(store, 2, ref="topic", proposed=True)
    await put_build(store, 2, phase="Failed")
    await put_change(store, 3)
    await put_build(store, 3, phase="Running")
    row = await builds.repository("shop")
    assert {one["ref"]: one["state"] for one in row["branches"]} == {
        "main": "running",
        "topic": "failing",
    }
    assert row["state"] == "passing"
    for name, state in {
        "shop": "passing",
        "shop/main": "passing",
        "shop/topic": "failing",
        "shop/none": "unknown",
        "strange": "unknown",
        "": "unknown",
    }.items():
        assert await builds.state_of(name) == state
    assert [one["name"] for one in await builds.repositories()] == ["shop"]


async def test_what_is_only_built_has_a_badge_and_what_is_only_proposed_has_none(
    store: Store, builds: Builds
) -> None:
    await put_change(store, 1, proposed=True)
    await put_build(store, 1)
    await put_change(store, 2, proposed=True, event="pull-request", ref="topic")
    await put_build(store, 2, phase="Failed")
    assert await builds.state_of("shop") == "passing"
    assert await builds.state_of("shop/topic") == "failing"


async def test_of_two_repositories_with_one_name_nobody_knows_which_is_meant(
    store: Store, builds: Builds
) -> None:
    await put_change(store, 1)
    await put_build(store, 1)
    await put_change(store, 2, repository="/elsewhere/shop")
    assert await builds.state_of("shop") == "unknown"


async def test_a_step_that_there_is_not_has_no_log(store: Store, builds: Builds) -> None:
    await put_change(store, 1)
    await put_build(store, 1, every_state(BEGAN + 60))
    with pytest.raises(NotFound, match="no step nothing"):
        await builds.lines("build-shop-1", step="nothing", first=0, count=10)
    assert (await builds.graph("build-shop-1"))["jobs"][0]["hasLog"]


async def test_thousands_of_jobs_are_shown(store: Store, builds: Builds) -> None:
    await put_change(store, 1)
    rows = [
        (
            JobPlan(name=f"job-{n}", needs=(f"job-{n - 1}",) if n % 100 else ()),
            StepRow(
                name=f"job-{n}",
                position=n,
                state="passed",
                started_at=BEGAN + 60 + n % 100,
                finished_at=BEGAN + 61 + n % 100,
            ),
            JobDone(state="passed", seconds=1) if n < 3 else None,
        )
        for n in range(3000)
    ]
    await put_build(store, 1, rows, seconds=100)
    told = await builds.graph("build-shop-1")
    assert len(told["jobs"]) == 3000
    assert len(told["path"]["stretches"]) == 100


async def test_service_beside_a_job_has_a_log_of_its_own(
    store: Store, builds: Builds, tmp_path: Path
) -> None:
    await put_change(store, 1)
    db = BesidePlan(name="db", run="postgres")
    unit = JobPlan(name="unit", services=(db,))
    hidden = JobPlan(
        name="secret", services=(db,), secrets={"A": SecretRef(name="a", environment=PIPELINES)}
    )
    rows = [
        (job, StepRow(name=job.name, position=at, state="passed", log=f"r/{job.name}-0.log"), None)
        for at, job in enumerate((unit, hidden))
    ]
    await put_build(store, 1, rows)
    (tmp_path / "r").mkdir()
    (tmp_path / "r/unit-0.db.log").write_text("ready to accept connections\n")
    told = await builds.graph("build-shop-1")
    assert [job["services"] for job in told["jobs"]] == [["db"], []]
    lines = await builds.lines("build-shop-1", step="unit/db", first=0, count=10)
    assert "ready to accept connections" in str(lines["lines"])
    with pytest.raises(NotFound, match="no log of db") as caught:
        await builds.lines("build-shop-1", step="secret/db", first=0, count=10)
    assert caught.value.hint == "services of secret with a log of their own: none"
