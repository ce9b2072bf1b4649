"""Reports of past Runs, found in a real store and told, or handed to jobs."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from andon.adapters.blobs.files import FileBlobs
from andon.api.v1.actions import CaseDone, CoverageDone, Intent, JobDone, RunJob, TestsDone
from andon.api.v1.control import ActionRow, NewObject
from andon.api.v1.jobs import BuildPlan, JobPlan, ReportsPlan
from andon.api.v1.pipelines import PipelineSpec, Quarantine
from andon.api.v1.records import ChangeSpec, ChangeStatus, Phase, RunSpec, RunStatus, StepRow
from andon.app.suites.handing import PLACE, VARIABLE, handing
from andon.app.suites.telling import Suites
from andon.kernel.errors import NotFound
from andon.kernel.ids import idempotency_key
from andon.ports.store import Place, Store, Tx
from andon.store import open_store
from andon.testing.clock import FakeClock

REPOSITORY = "shop"
PIPELINE = PipelineSpec(
    quarantine=(Quarantine(test="s::c", owner="ann", until="2000-01-01"),),
    flake_budget_ratio=0.02,
)


class Past:
    """Writes Runs that ended, as the line would have."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.blobs = FileBlobs(folder / "blobs")
        self.clock = FakeClock()

    async def run(
        self,
        number: int,
        *attempts: dict[str, str],
        phase: Phase = "Succeeded",
        trusted: bool = True,
        paths: tuple[str, ...] = (),
        ended: float = 0,
        covered: tuple[str, ...] = (),
    ) -> None:
        """Add a Run with a suite; each attempt says ``state seconds`` by test."""
        job = JobPlan(name="unit", level="unit", reports=ReportsPlan(junit=("r.xml",)))
        change = ChangeSpec(
            repository=REPOSITORY,
            sha=f"{number:040d}",
            ref="main",
            author="Ann",
            message="",
            committed_at=0,
            policy_revision="0",
            pipeline_name="main",
            pipeline=PIPELINE,
            services={},
            environments={},
            trusted=trusted,
            paths=paths,
        )
        build = BuildPlan(repository=REPOSITORY, sha=change.sha, jobs=(job,), trusted=trusted)
        outcomes = [self._outcome(cases, covered) for cases in attempts]

        def write(tx: Tx) -> None:
            new = NewObject(kind="Change", name=f"c{number}", spec=change, status=ChangeStatus())
            tx.create(new, f"c{number:04d}", float(number))
            run, _ = tx.create(
                NewObject(
                    kind="Run",
                    name=f"build-{number}",
                    spec=RunSpec(type="build", change=f"c{number}", build=build),
                    status=RunStatus(phase=phase, finished_at=ended or number + 0.5),
                    labels={"type": "build", "change": f"c{number}"},
                ),
                f"r{number:04d}",
                float(number),
            )
            action = RunJob(run=run.name, repository=REPOSITORY, sha=change.sha, job=job)
            for attempt, outcome in enumerate(outcomes):
                key = idempotency_key(run.uid, 1, "unit", attempt)
                row = ActionRow(key=key, step="unit", attempt=attempt, action=action)
                tx.ask(run.uid, row, 1, float(number), Place(queue="RunJob"), owner="w")
                tx.set_outcome(key, 1, outcome, float(number))
                tx.consume([key])
            tx.put_step(
                run.uid,
                StepRow(
                    name="unit",
                    position=0,
                    state=outcomes[-1].state,
                    attempt=len(outcomes) - 1,
                    failures=len(outcomes) - 1,
                    started_at=float(number),
                ),
            )

        await self.store.transact(write)

    def _outcome(self, said: dict[str, str], covered: tuple[str, ...]) -> JobDone:
        cases = [
            CaseDone(id=f"s::{name}", state=text.split()[0], seconds=float(text.split()[1]))
            for name, text in said.items()
        ]
        lines = b"".join(msgspec.json.encode(case) + b"\n" for case in cases)
        files = json.dumps({name: [[1, 2]] for name in covered} | {"unseen.py": []})
        failed = any(case.state == "failed" for case in cases)
        return JobDone(
            state="failed" if failed else "passed",
            tests=TestsDone(cases=self.blobs.put(gzip.compress(lines))),
            coverage=CoverageDone(files=self.blobs.put(files.encode())) if covered else None,
        )

    async def report(self, **asked: Any) -> Any:
        suites = Suites(self.store, self.blobs.get, self.clock)
        known = {"repository": "", "pipeline": "", "runs": 100, "limit": 10, "owner": "bob"}
        return await suites.report(**(known | asked))

    async def history(self) -> Any:
        suites = Suites(self.store, self.blobs.get, self.clock)
        return await suites.history(repository="", pipeline="", suite="", runs=100)


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Past]:
    store = open_store(str(tmp_path / "a.db"), source="/test")
    yield Past(store, tmp_path)
    store.close()


async def test_it_tells_of_every_attempt_of_every_run_that_ended(past: Past) -> None:
    await past.run(1, {"a": "passed 3", "b": "passed 1", "c": "passed 1"})
    await past.run(2, {"a": "failed 1", "b": "passed 1"}, {"a": "passed 3", "b": "passed 1"})
    await past.run(3, {"a": "passed 3", "b": "failed 1"}, phase="Failed")
    await past.run(4, {"a": "failed 1"}, phase="Running")
    said = await past.report()
    assert said["runs"] == 3
    assert [(one["id"], one["since"]) for one in said["newlyFailing"]] == [("s::b", "c3")]
    assert [(one["id"], one["flaky"], one["commits"]) for one in said["flakiest"]] == [
        ("s::a", 1, 3)
    ]
    assert said["budget"]["flakyRuns"] == ["build-2"]
    assert said["pyramid"][0]["tests"] == 3
    assert '"s::a"' in said["suggestion"]
    assert [(one["test"], one["daysLeft"] < 0) for one in said["quarantine"]] == [("s::c", True)]


async def test_a_stranger_cannot_make_tests_look_slow_or_flaky(past: Past) -> None:
    await past.run(1, {"a": "passed 1"})
    await past.run(2, {"a": "failed 1"}, {"a": "passed 900"}, trusted=False)
    said = await past.report()
    assert (said["runs"], said["flakiest"], said["slowest"][0]["seconds"]) == (1, [], 1.0)


async def test_a_report_that_is_not_kept_any_more_is_told_and_not_made_up(past: Past) -> None:
    await past.run(1, {"a": "passed 1"})
    await past.run(2, {"a": "passed 2", "b": "passed 1"})
    next(past.folder.glob("blobs/??/*")).unlink()
    assert (await past.report())["unread"] == 1


async def test_of_an_unknown_pipeline_it_says_which_there_are(past: Past) -> None:
    await past.run(1, {"a": "passed 1"})
    with pytest.raises(NotFound) as error:
        await past.report(pipeline="other")
    assert error.value.hint == "there are Runs of main of shop"


async def test_the_history_says_what_changes_broke_and_what_was_gone_through(past: Past) -> None:
    await past.run(1, {"a": "passed 3"}, covered=("old.py",))
    await past.run(2, {"a": "failed 1"}, phase="Failed", paths=("x.py",), covered=("x.py", "y.py"))
    said = await past.history()
    assert said["faulty"] == [{"change": "c2", "paths": ["x.py"], "tests": ["s::a"]}]
    assert said["covered"] == ["x.py", "y.py"]
    assert said["tests"] == {"s::a": {"failed": 1, "failing": True, "seconds": 3.0}}


# --- what jobs are given ------------------------------------------------------------------------


class Notebook:
    """An executor that writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[RunJob] = []

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        self.asked.append(action)
        return JobDone(state="passed")

    async def cancel_job(self, action: object, intent: object) -> Any:
        raise NotImplementedError


async def given(past: Past, tmp_path: Path, job: JobPlan) -> RunJob:
    notebook = Notebook()
    run = "build-5"
    action = RunJob(run=run, repository=REPOSITORY, sha="5", job=job, env={"OWN": "1"})
    executor = handing(notebook, past.store, tmp_path, past.clock)
    await executor.run_job(action, Intent(key="k", epoch=1))
    return notebook.asked[0]


def file_of(past: Past, action: RunJob) -> Any:
    (digest,) = action.takes
    with tarfile.open(fileobj=io.BytesIO(past.blobs.get(digest))) as tar:
        assert tar.getnames() == [PLACE]
        member = tar.extractfile(PLACE)
        assert member is not None
        return json.load(member)


def shard(number: int) -> JobPlan:
    return JobPlan(name=f"unit-{number}", group="unit", shard=number, shards=2, evidence="unit")


async def test_all_shards_are_given_the_same_whatever_ends_meanwhile(
    past: Past, tmp_path: Path
) -> None:
    await past.run(1, {"a": "passed 3", "b": "passed 1"})
    await past.run(5, {"a": "passed 1"}, phase="Running", paths=("x.py",))
    first = await given(past, tmp_path, shard(1))
    await past.run(2, {"a": "passed 90"}, ended=6.0)
    await past.run(7, {"a": "passed 90"})
    second = await given(past, tmp_path, shard(2))
    assert first.takes == second.takes
    handed = file_of(past, first)
    assert {name: one["seconds"] for name, one in handed["tests"].items()} == {
        "s::a": 3.0,
        "s::b": 1.0,
    }
    assert handed["changed"] == ["x.py"]
    assert first.env == {
        "OWN": "1",
        "ANDON_EVIDENCE": "unit",
        "ANDON_SHARD": "1",
        "ANDON_SHARDS": "2",
        VARIABLE: PLACE,
    }


async def test_a_job_that_asks_for_no_tests_is_given_nothing(past: Past, tmp_path: Path) -> None:
    action = await given(past, tmp_path, JobPlan(name="build", run="make"))
    assert (action.takes, action.env) == ((), {"OWN": "1", "ANDON_EVIDENCE": "build"})
