"""Jobs in containers of a real engine: the contract of executors, and what only containers do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from andon.adapters.container import ContainerRunner, Engine
from andon.adapters.container.plan import Bounds, container_name
from andon.adapters.local import LocalExecutor
from andon.adapters.process import procfs
from andon.adapters.process.disk import room
from andon.adapters.process.layout import Layout
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.api.v1.jobs import BesidePlan
from andon.kernel.errors import StepFailed, Unavailable
from andon.runtime.system import SystemClock
from andon.testing.containers import (
    RunningEngine,
    can_run,
    can_run_podman,
    running_engine,
    running_podman,
)
from andon.testing.containment_suite import ContainmentSuite
from andon.testing.disks import small_disk
from andon.testing.executor_suite import (
    SECRETS,
    ExecutorSuite,
    Files,
    asleep,
    fresh_key,
    plan,
    run,
    sleeper,
    until,
    whole_log,
)
from andon.testing.isolation_suite import IsolationSuite
from andon.testing.secrets import FixedSecrets

pytestmark = pytest.mark.skipif(not can_run(), reason="no dockerd can be started here")


class InImage:
    """Runs every job in an image that names none."""

    def __init__(self, executor: LocalExecutor, image: str) -> None:
        self._executor = executor
        self._image = image

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        if not action.job.image:
            action = structs.replace(action, job=structs.replace(action.job, image=self._image))
        return await self._executor.run_job(action, intent)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        return await self._executor.cancel_job(action, intent)


class Contained:
    """Jobs in containers."""

    def __init__(self, state: Path, engine: RunningEngine, **more: Any) -> None:
        self.engine = engine
        self.layout = Layout(state)
        self.layout.make()
        self.files = Files()
        self.provide = self.files.provide
        self.state = state
        self.more = more
        self.executor = self.again()

    def again(self) -> InImage:
        """Return an executor that knows nothing but what is written down."""
        self.runner = ContainerRunner(
            self.layout, SystemClock(), Engine(self.engine.socket_path), **self.more
        )
        nothing = cast(Any, None)
        local = LocalExecutor(
            self.runner,
            cast(Any, self.files),
            nothing,
            self.state / "work",
            secrets=FixedSecrets(SECRETS),
        )
        return InImage(local, self.engine.image)

    def log(self, name: str) -> bytes:
        return whole_log(self.layout.logs / name)


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as engine:
        yield engine


@pytest.fixture
async def contained(tmp_path: Path, engine: RunningEngine) -> AsyncIterator[Contained]:
    yield Contained(tmp_path, engine)
    await nothing_is_left(engine)


async def nothing_is_left(engine: RunningEngine) -> None:
    await until(lambda: not engine.containers())
    await until(lambda: not engine.networks())


class TestContainer(ExecutorSuite, ContainmentSuite, IsolationSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, engine: RunningEngine) -> AsyncIterator[Contained]:
        yield Contained(tmp_path, engine, bounds=Bounds(memory_bytes=256 << 20, processes=200))
        await nothing_is_left(engine)

    async def test_it_cannot_turn_the_switches_of_the_machine(self, bench: Contained) -> None:
        switches = "/proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger"
        tries = f"for f in {switches}; do ( : >>$f ) 2>/dev/null && echo turned; done; echo fine"
        assert bench.log((await run(bench, tries)).log) == b"fine\n"

    async def test_it_has_no_network_unless_it_asks(self, bench: Contained) -> None:
        listed = "ls /sys/class/net"
        assert bench.log((await run(bench, listed)).log) == b"lo\n"
        asking = await run(bench, plan(listed, network=True))
        assert b"eth0" in bench.log(asking.log)


def test_image_that_is_not_pinned_is_refused_unless_tags_are_allowed(
    contained: Contained, tmp_path: Path
) -> None:
    async def go() -> None:
        with pytest.raises(StepFailed, match="not pinned"):
            await run(contained, plan("true", image="python:3.12"))

    asyncio.run(go())
    assert contained.engine.containers() == []


async def test_what_runs_is_found_again_by_its_key_and_its_log_goes_on(
    contained: Contained,
) -> None:
    key = fresh_key()
    job = plan('echo "one $TOKEN"; until [ -e go ]; do sleep 0.05; done; echo two', secrets=_npm())
    first = asyncio.create_task(run(contained, job, key=key))
    log = contained.layout.logs / contained.layout.job_log(key.partition("/")[0], "unit", key)
    await until(lambda: log.exists() and log.read_bytes() == b"one ***\n")
    assert len(contained.engine.containers()) == 1
    contained.executor = contained.again()
    again = asyncio.create_task(run(contained, job, key=key))
    await until(lambda: len(contained.runner._tasks) == 1)
    (contained.layout.work_tree(key) / "go").touch()
    done = await again
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (done.state, contained.log(done.log)) == ("passed", b"one ***\ntwo\n")


async def test_secrets_are_nowhere_in_what_the_engine_keeps(contained: Contained) -> None:
    key = fresh_key()
    job = plan('test -n "$TOKEN"; until [ -e go ]; do sleep 0.05; done', secrets=_npm())
    task = asyncio.create_task(run(contained, job, key=key))
    await until(contained.engine.containers)
    found = contained.engine.engine.inspect(contained.engine.containers()[0])
    assert SECRETS["pipelines/npm"] not in str(found)
    (contained.layout.work_tree(key) / "go").touch()
    assert (await task).state == "passed"


async def test_container_has_limits_and_few_rights(tmp_path: Path, engine: RunningEngine) -> None:
    bounds = Bounds(memory_bytes=64 << 20, processes=50, cpus=0.5)
    bench = Contained(tmp_path, engine, bounds=bounds)
    nap, key = sleeper(), fresh_key()
    task = asyncio.create_task(run(bench, f"sleep {nap}", key=key))
    await until(lambda: asleep(nap))
    host = engine.engine.inspect(engine.containers()[0])["HostConfig"]
    assert host["Memory"] == 64 << 20
    assert host["PidsLimit"] == 50
    assert host["NanoCpus"] == 500_000_000
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    await bench.executor.cancel_job(CancelJob(job_key=key), Intent(key="c", epoch=1))
    await task
    hungry = "python3 -c 'x = bytearray(200 << 20)'"
    done = await run(bench, hungry)
    assert (done.state, done.reason) == ("failed", "out-of-memory")


ASK = """
wget -q -O - "http://$MY_WEB_HOST:$MY_WEB_PORT/hello"; ls /sys/class/net
until [ -e go ]; do sleep 0.05; done
"""


@pytest.mark.parametrize(
    "ready", [{}, {"ready_path": "/hello"}, {"ready_command": "test -e /www/hello"}]
)
async def test_container_beside_the_job_is_there_when_it_begins_on_a_network_of_theirs_alone(
    contained: Contained, ready: dict[str, str]
) -> None:
    web = BesidePlan(name="my-web", image=contained.engine.server, port=8000, **ready)
    key = fresh_key()
    task = asyncio.create_task(run(contained, plan(ASK, services=(web,)), key=key))
    log = contained.layout.logs / contained.layout.job_log(key.partition("/")[0], "unit", key)
    await until(lambda: task.done() or (log.exists() and log.read_bytes() == b"hello\neth0\nlo\n"))
    (network,) = contained.engine.networks()
    assert contained.engine.is_internal(network), "no way out"
    (contained.layout.work_tree(key) / "go").touch()
    assert (await task).state == "passed"


async def test_container_beside_the_job_that_ends_is_the_changes_failure(
    contained: Contained,
) -> None:
    web = BesidePlan(name="db", image=contained.engine.image, port=5432, env={"A": "1"})
    done = await run(contained, plan("echo never", services=(web,)))
    assert (done.state, done.fault) == ("failed", "change"), "the image has no program of its own"
    assert "the service db" in done.message
    never = BesidePlan(name="db", image=contained.engine.server, port=1, ready_within_seconds=0.3)
    done = await run(contained, plan("echo never", services=(never,)))
    assert "the service db was not ready within 0.3 s" in done.message
    assert b"never" not in contained.log(done.log)


async def test_engine_that_does_not_answer_is_the_machines_trouble(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    runner = ContainerRunner(layout, SystemClock(), Engine(tmp_path / "no.sock"))
    job = plan("true", image=f"sha256:{'0' * 64}")
    key = fresh_key()
    layout.work_tree(key).mkdir(parents=True)
    action = RunJob(run="r", repository="shop", sha="0" * 40, job=job)
    with pytest.raises(Unavailable, match="no container engine answers"):
        await runner.run_job(action, Intent(key=key, epoch=1))


def _npm() -> Any:
    from andon.testing.executor_suite import _npm as npm

    return npm()


@pytest.mark.parametrize("killed", [False, True])
async def test_run_without_a_server_runs_it_and_takes_up_what_was_killed(
    engine: RunningEngine, tmp_path: Path, killed: bool
) -> None:
    running = _andon_run(tmp_path, engine)
    try:
        trees = tmp_path / "state/local/work"
        await until(lambda: engine.containers() and [*trees.glob("*_unit_0")])
        if killed:
            running.kill()
            running.communicate()
            running = _andon_run(tmp_path, engine)
        (tree,) = trees.glob("*_unit_0")
        (tree / "go").touch()
        said = await asyncio.to_thread(running.communicate)
        assert running.returncode == 0, said
    finally:
        running.kill()
        running.wait()
    assert engine.containers() == []


def _andon_run(folder: Path, engine: RunningEngine) -> subprocess.Popen[bytes]:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    wait = "until [ -e go ]; do sleep 0.05; done"
    job = {"image": engine.image, "run": wait}
    document = {"apiVersion": "andon/v1", "kind": "Pipeline", "metadata": {"name": "ci"}}
    (project / "andon.yaml").write_text(json.dumps({**document, "spec": {"jobs": {"unit": job}}}))
    return subprocess.Popen(
        [sys.executable, "-m", "andon", "run", "--json", "--state", str(folder / "state")],
        cwd=project,
        env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket_path}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


if (
    can_run_podman()
):  # No test is skipped without it: it is an engine like Docker's, by its own word.

    @pytest.fixture(scope="module")
    def podman() -> Iterator[RunningEngine]:
        with running_podman() as engine:
            yield engine

    class TestPodman:
        """What an engine could do otherwise; its networks would change this machine's firewall."""

        @pytest.fixture
        async def bench(self, tmp_path: Path, podman: RunningEngine) -> AsyncIterator[Contained]:
            bounds = Bounds(memory_bytes=256 << 20, processes=200)
            yield Contained(tmp_path, podman, bounds=bounds)
            await nothing_is_left(podman)

        limits_processes = True
        _nothing_is_noticed = ContainmentSuite._nothing_is_noticed

        test_pass = ExecutorSuite.test_command_that_ends_with_0_passes_in_a_fresh_tree_of_its_commit
        test_failure = ExecutorSuite.test_exit_code_is_the_changes_failure
        test_timeout = ExecutorSuite.test_time_that_is_over_ends_it_and_says_so
        test_cancel = ExecutorSuite.test_cancelled_job_ends_with_all_its_children
        test_secret = ExecutorSuite.test_secret_it_names_reaches_it_but_not_its_log
        test_children = ContainmentSuite.test_children_in_the_background_end_with_it
        test_forks = ContainmentSuite.test_forks_have_an_end
        test_disk = (
            ContainmentSuite.test_job_that_takes_more_of_the_disk_than_it_may_has_failed_and_says_so
        )

        async def test_job_that_takes_too_much_memory_says_so(self, bench: Contained) -> None:
            done = await run(bench, "dd if=/dev/zero of=/dev/null bs=400M count=1")
            assert (done.state, done.reason) == ("failed", "out-of-memory")

        async def test_services_that_nobody_could_await_are_refused(self, bench: Contained) -> None:
            web = BesidePlan(name="web", image=bench.engine.server, port=8000)
            done = await run(bench, plan("true", services=(web,)))
            assert (done.state, done.fault) == ("failed", "change")
            assert "podman" in done.message


async def test_job_in_a_container_that_fills_the_disk_is_blamed_and_the_next_one_has_room(
    tmp_path: Path, engine: RunningEngine
) -> None:
    with small_disk(tmp_path / "small", "64m") as disk:
        bench = Contained(disk, engine)
        done = await run(bench, 'yes >"$TMPDIR/big"')
        assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
        assert "it filled the disk" in done.message
        assert (await run(bench, "head -c 50000000 /dev/zero >big")).state == "passed"
        (disk / "of-others").write_bytes(bytes(room(disk).free_bytes - (1 << 20)))
        with pytest.raises(Unavailable, match="MiB left"):
            await run(bench, "true")
    await nothing_is_left(engine)


async def test_job_whose_masker_was_killed_has_not_passed(contained: Contained) -> None:
    key = fresh_key()
    job = plan('test -n "$TOKEN"; touch here; until [ -e go ]; do sleep 0.05; done', secrets=_npm())
    task = asyncio.create_task(run(contained, job, key=key))
    tree = contained.layout.work_tree(key)
    await until((tree / "here").exists)
    name = container_name(key, contained.layout.state)
    (masker,) = procfs.marked(f"{name}.masker")
    os.kill(masker, signal.SIGKILL)
    await until(lambda: not procfs.marked(f"{name}.masker"))
    (tree / "go").touch()
    done = await task
    assert (done.state, done.fault) == ("interrupted", "machine")
    assert "masker" in done.message
