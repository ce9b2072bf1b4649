import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from andon.adapters.local import LocalExecutor
from andon.adapters.process import cgroups, sandbox
from andon.adapters.process.cgroups import Cgroups, Limits
from andon.adapters.process.jobs import JobRunner
from andon.adapters.process.layout import Layout
from andon.adapters.process.records import Journal
from andon.adapters.process.usage import all_memory
from andon.kernel.errors import Unavailable
from andon.runtime.system import SystemClock
from andon.testing.containment_suite import ContainmentSuite
from andon.testing.executor_suite import SECRETS, ExecutorSuite, Files, plan, run, whole_log
from andon.testing.files_suite import FilesSuite
from andon.testing.isolation_suite import IsolationSuite
from andon.testing.secrets import FixedSecrets


class Local:
    """Jobs on this machine, run by this process."""

    def __init__(
        self, state: Path, groups: Cgroups, *, sandboxed: bool, alone: bool = False
    ) -> None:
        self.layout = Layout(state)
        self.layout.make()
        self.files = Files()
        self.provide = self.files.provide
        self.runner = JobRunner(
            self.layout,
            SystemClock(),
            groups,
            sandboxed=sandboxed,
            port_of=lambda *_: 4000,
            alone=Journal(self.layout.jobs) if alone else None,
            limits=Limits(processes=200, memory_bytes=256 << 20),
        )
        nothing = cast(Any, None)
        self.executor = LocalExecutor(
            self.runner,
            cast(Any, self.files),
            nothing,
            state / "work",
            secrets=FixedSecrets(SECRETS),
        )

    def log(self, name: str) -> bytes:
        return whole_log(self.layout.logs / name)


@pytest.fixture
def groups() -> Cgroups:
    return cgroups.detect(f"andon-suite-{os.getpid()}")


class TestChildProcess(ExecutorSuite, FilesSuite, ContainmentSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, groups: Cgroups) -> AsyncIterator[Local]:
        local = Local(tmp_path, groups, sandboxed=False)
        yield local
        await local.runner.close()
        groups.close()


class TestLocalRun(ExecutorSuite, FilesSuite, ContainmentSuite):
    """As `andon run` does it: no agent, no control groups."""

    measures_memory = False
    limits_processes = False

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Local]:
        local = Local(tmp_path, Cgroups({}, ()), sandboxed=False, alone=True)
        await local.runner.open()
        yield local
        await local.runner.close()


@pytest.mark.skipif(not sandbox.works(), reason="bubblewrap makes no sandbox here")
class TestSandbox(ExecutorSuite, FilesSuite, ContainmentSuite, IsolationSuite):
    @pytest.fixture
    async def bench(self, tmp_path: Path, groups: Cgroups) -> AsyncIterator[Local]:
        local = Local(tmp_path, groups, sandboxed=True)
        yield local
        await local.runner.close()
        groups.close()

    async def test_what_is_no_disk_is_bounded_as_well(self, bench: Local) -> None:
        script = "df -k --output=size /dev/shm | tail -n 1; ! touch /dev/more"
        done = await run(bench, script)
        assert done.state == "passed"
        size = int(bench.log(done.log).split()[0]) * 1024
        assert size <= all_memory() // 4


HUNGRY = "python3 -c 'x = bytearray(600 << 20); print(len(x))'"


async def test_job_that_takes_too_much_memory_ends_alone_and_says_so(
    tmp_path: Path, groups: Cgroups
) -> None:
    local = Local(tmp_path, groups, sandboxed=False)
    done = await run(local, HUNGRY)
    assert (done.state, done.fault, done.reason) == ("failed", "change", "out-of-memory")
    assert (await run(local, "true")).state == "passed"
    await local.runner.close()
    groups.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "andon-suite", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs to be root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("while :; do head -c 1000000 /dev/zero >>big; sleep 0.01; done", id="slowly"),
        pytest.param("yes | head -c 200000000 >big", id="at once"),
        pytest.param("yes >$TMPDIR/big", id="elsewhere"),
    ],
)
async def test_job_that_fills_the_disk_is_blamed_and_the_next_one_has_room(
    small_disk: Path, groups: Cgroups, script: str
) -> None:
    local = Local(small_disk, groups, sandboxed=False)
    done = await run(local, script)
    assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
    assert "filled the disk" in done.message
    assert (await run(local, "head -c 50000000 /dev/zero >big")).state == "passed"
    await local.runner.close()
    groups.close()


async def test_job_within_its_limit_that_is_ended_to_make_room_is_not_to_blame(
    small_disk: Path, groups: Cgroups
) -> None:
    local = Local(small_disk, groups, sandboxed=False)
    done = await run(local, plan("yes >big || sleep 60", disk_bytes=1 << 30))
    assert (done.state, done.fault, done.reason) == ("interrupted", "machine", "machine")
    assert "full" in done.message
    assert (await run(local, "head -c 50000000 /dev/zero >big")).state == "passed"
    await local.runner.close()
    groups.close()


async def test_job_that_needs_room_when_others_took_it_is_the_machines_trouble(
    small_disk: Path, groups: Cgroups
) -> None:
    local = Local(small_disk, groups, sandboxed=False)
    (small_disk / "of-others").write_bytes(bytes(58 << 20))
    done = await run(local, "yes >big")
    assert (done.state, done.fault, done.reason) == ("interrupted", "machine", "machine")
    (small_disk / "of-others").write_bytes(bytes(63 << 20))
    with pytest.raises(Unavailable, match="MiB left"):
        await run(local, "true")
    await local.runner.close()
    groups.close()
