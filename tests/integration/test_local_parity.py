"""One engine for laptop and server: the same plan, states and story of the same commit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from local_world import Here

from andon.adapters.git import GitSource
from andon.adapters.local import LocalExecutor
from andon.adapters.oci import OciArtifactStore
from andon.adapters.process.cgroups import Cgroups
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.api.v1 import actions
from andon.api.v1.control import Selector
from andon.api.v1.records import BUILD_ONLY, TERMINAL
from andon.app.loading import load
from andon.app.local.running import Wish, run_here
from andon.app.local.secrets import GivenSecrets
from andon.app.parts import controllers
from andon.app.shipping import put_change
from andon.app.suites.handing import Handing
from andon.app.work.queueing import place_of
from andon.runtime.engine import Engine
from andon.runtime.system import SystemClock, SystemRandomness
from andon.runtime.together import end
from andon.runtime.turns import Turns
from andon.store import open_alone, open_store
from andon.testing.polling import eventually

JOB = {"run": "true"}
SAMPLES = {
    "a chain with a failure": {
        "jobs": {
            "lint": {"run": "echo fine"},
            "unit": {"run": "echo broken; exit 3", "needs": ["lint"]},
            "later": {"run": "true", "needs": ["unit"]},
            "clean": {"run": "true", "always": True},
        }
    },
    "a matrix with rules": {
        "jobs": {
            "unit": {
                "run": "test $MATRIX_X != 9",
                "matrix": {"axes": {"X": [1, 2, 3]}, "exclude": [{"X": 2}]},
            },
            "skipped": {"run": "false", "if": "change.event == 'schedule'"},
            "after": {"run": "true", "needs": ["skipped"]},
        }
    },
    "what comes later, and what is left to others": {
        "jobs": {
            "make": {
                "run": "mkdir out; echo 1 >out/a",
                "artifacts": {"paths": ["out/**"]},
                "inputs": ["a.txt"],
            },
            "use": {"run": "test -e out/a", "needs": ["make"], "inputs": ["a.txt"]},
            "slow": {"run": "true", "blocking": False},
        }
    },
    "one after another": {
        "jobs": {
            "flaky": {
                "run": "test -e $MARKS/seen || { touch $MARKS/seen; exit 75; }",
                "retry": {"times": 1, "on": [75]},
            },
            "steps": {"steps": [{"name": "one", "run": "true"}, {"name": "two", "run": "exit 2"}]},
        }
    },
}


class Silent:
    """Looks on and says nothing."""

    def __getattr__(self, name):
        return lambda *_: None


async def on_a_server(here: Here, state: Path) -> None:
    """Build the commit as a worker of a server does, with an agent's runner of jobs."""
    store = open_store(str(state / "runs.db"), source="/andon/local", clock=SystemClock())
    layout = Layout(state)
    layout.make()
    runner = JobRunner(
        layout, SystemClock(), Cgroups({}, ()), sandboxed=False, port_of=lambda *_: 0
    )
    source = GitSource(state / "repositories")
    artifacts = OciArtifactStore(state / "oci", source, state / "work")
    secrets = GivenSecrets({})
    executor = LocalExecutor(runner, source, artifacts, state / "work", secrets=secrets)
    blobs = {}
    handing = Handing(executor, store, blobs.__getitem__, lambda data: "")
    turns = Turns(controllers(), SystemRandomness(), place_of)
    performers = {
        actions.RunJob: handing.run_job,
        actions.CancelJob: handing.cancel_job,
        actions.PackArtifact: artifacts.pack_artifact,
    }
    engine = Engine(store, turns, performers, "server")
    loaded = load(source, str(here.project), "main", None, "main", event="manual")

    def put(tx):
        put_change(tx, turns, loaded, until=BUILD_ONLY, notify=(), by="ada", now=tx.now())

    await runner.open()
    await engine.start()
    working = asyncio.create_task(engine.run())
    await store.transact(put)
    await eventually(lambda: store.read(all_over))
    await end(working)
    await engine.leave()
    store.close()


def all_over(tx) -> bool:
    objects = [*tx.list(Selector(kind="Change")), *tx.list(Selector(kind="Run"))]
    phases = {one.status.phase for one in objects}
    runs = tx.list(Selector(kind="Run"))
    later = {one.name for one in runs if one.name.endswith("-later")}
    wanted = any(not job.blocking for one in runs for job in one.spec.build.jobs)
    failed = "Failed" in phases
    return bool(runs) and phases <= TERMINAL and (failed or bool(later) >= wanted)


async def story(path: Path) -> dict[str, object]:
    """Return plans, states and events of a state, without times."""
    store = open_alone(path, source="/andon/local", clock=SystemClock())
    told = await store.read(_told)
    store.close()
    return told


def _told(tx):
    runs = sorted(tx.list(Selector(kind="Run")), key=lambda run: run.name)
    return {
        "plans": {run.name: _plan(run.spec.build) for run in runs},
        "phases": {run.name: (run.status.phase, run.status.message) for run in runs},
        "steps": {
            run.name: [(row.name, row.state, row.attempt, row.message) for row in tx.steps(run.uid)]
            for run in runs
        },
        "evidence": sorted(
            (one.name, one.spec.verdict, json.dumps(_timeless(one.spec.value), sort_keys=True))
            for one in tx.list(Selector(kind="Evidence"))
        ),
        "events": sorted(_events(tx)),
    }


def _plan(build):
    plan = msgspec.to_builtins(build)
    return {**plan, "jobs": [{**job, "origin": ""} for job in plan["jobs"]]}


def _timeless(value):
    if isinstance(value, dict):
        return {
            key: _timeless(one)
            for key, one in value.items()
            if not key.lower().endswith(("seconds", "at", "bytes"))
        }
    return value


def _events(tx):
    for stored in tx.events(after=0):
        event = json.loads(stored.body)
        if "change" in event["type"].rsplit(".", 3)[0]:
            continue
        yield event["type"], event["id"], json.dumps(_timeless(event["data"].get("subject", {})))


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_same_commit_has_the_same_plan_states_and_story(tmp_path, monkeypatch, sample):
    here = Here(tmp_path)
    monkeypatch.setenv("MARKS", str(here.marks))
    (here.project / "a.txt").write_text("1")
    spec = dict(SAMPLES[sample])
    text = json.dumps(spec).replace("$MARKS", str(here.marks))
    here.write(json.loads(text)["jobs"])
    here.commit()
    wish = Wish(folder=here.project, state=tmp_path / "local", jobs_at_once=2)
    asyncio.run(run_here(wish, Silent()))
    (here.marks / "seen").unlink(missing_ok=True)
    (tmp_path / "server").mkdir()
    asyncio.run(on_a_server(here, tmp_path / "server"))
    local = asyncio.run(story(tmp_path / "local/runs.db"))
    server = asyncio.run(story(tmp_path / "server/runs.db"))
    for part, told in server.items():
        assert local[part] == told, part
    assert len(local["events"]) > 2
