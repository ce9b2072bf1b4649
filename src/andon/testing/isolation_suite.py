"""What every Executor that claims to isolate must do besides ``ExecutorSuite``."""

# ruff: noqa: D102 - the names of the tests say it; the folders are those of the sandbox

from __future__ import annotations

import asyncio
import tempfile
from abc import abstractmethod
from pathlib import Path

import pytest
from msgspec import structs

from andon.api.v1.actions import CancelJob, Intent
from andon.testing.executor_suite import Bench, asleep, fresh_key, plan, run, sleeper, until

_REACH = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', %d), 5)\""


class IsolationSuite:
    """The contract. A subclass provides the fixture ``bench``."""

    @abstractmethod
    def bench(self) -> Bench:
        """Return the executor under test."""

    async def test_it_sees_nothing_of_the_machine_but_programs(
        self, bench: Bench, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        private = tmp_path_factory.mktemp("private") / "key"
        private.write_text("hunter44")
        with tempfile.NamedTemporaryFile("w", dir="/var/tmp") as other:
            other.write("hunter44")
            other.flush()
            places = (private, other.name, "/etc/shadow")
            done = await run(bench, "; ".join(f"cat {place} || true" for place in places))
        said = bench.log(done.log)
        assert b"hunter44" not in said
        assert said.count(b"No such file") == len(places)

    async def test_it_writes_nowhere_but_into_its_own_folders(self, bench: Bench) -> None:
        places = ("/", "/usr", "/etc", "/usr/bin", "/proc/sys/kernel")
        tries = "; ".join(f"touch {place}/andon-was-here && echo escaped" for place in places)
        done = await run(bench, f"{tries}; touch here $HOME/x /tmp/y && echo fine")
        assert b"escaped" not in bench.log(done.log)
        assert bench.log(done.log).endswith(b"fine\n")

    async def test_it_cannot_mount_the_system_writable(self, bench: Bench) -> None:
        done = await run(bench, "mount -o remount,bind,rw /usr && echo escaped || true")
        assert b"escaped" not in bench.log(done.log)
        assert not Path("/usr/andon-was-here").exists()

    async def test_it_cannot_turn_the_switches_of_the_machine(self, bench: Bench) -> None:
        switches = "/proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger"
        done = await run(bench, f"for f in {switches}; do test ! -w $f; done")
        assert (done.state, done.message) == ("passed", "")

    async def test_it_sees_no_processes_but_its_own(self, bench: Bench) -> None:
        nap = sleeper()
        outside = await asyncio.create_subprocess_exec("sleep", nap)
        done = await run(bench, f"grep -l {nap} /proc/[0-9]*/cmdline || true")
        outside.kill()
        await outside.wait()
        assert (
            bench.log(done.log).count(b"cmdline\n") <= 4
        )  # bwrap, shell and grep of the job itself

    async def test_it_has_no_network_unless_it_asks(self, bench: Bench) -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        reach = _REACH % server.sockets[0].getsockname()[1]
        async with server:
            assert (await run(bench, reach)).state == "failed"
            assert (await run(bench, plan(reach, network=True))).state == "passed"

    async def test_two_jobs_see_nothing_of_each_other(self, bench: Bench) -> None:
        nap, key = sleeper(), fresh_key()
        one = plan(f"touch /tmp/of-one $HOME/of-one of-one; sleep {nap}", timeout_seconds=20)
        first = asyncio.create_task(run(bench, one, key=key))
        try:
            await until(lambda: asleep(nap))
            done = await run(bench, 'ls -A /tmp "$HOME" . ..; ps ax 2>/dev/null || true')
            assert b"of-one" not in bench.log(done.log)
            assert nap.encode() not in bench.log(done.log)
        finally:
            await _cancel(bench, key)
            await first

    async def test_strangers_and_our_own_jobs_are_isolated_alike(self, bench: Bench) -> None:
        job = structs.replace(plan("touch /usr/andon-was-here"), name="strangers")
        assert (await run(bench, job, trusted=False)).state == "failed"


async def _cancel(bench: Bench, key: str) -> None:
    await bench.executor.cancel_job(CancelJob(job_key=key), Intent(key=f"{key}/c", epoch=1))
