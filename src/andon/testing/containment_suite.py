"""What every Executor must do with jobs that behave badly: the next job does not notice."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from andon.testing.executor_suite import Bench, asleep, plan, run, sleeper

_DAEMON = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
for descriptor in range(3):
    os.close(descriptor)
os.execve("/bin/sleep", ["sleep", sys.argv[1]], {})
"""

_MOST_MEMORY_BYTES = 64 << 20
"""More than an executor may take while a job prints, whatever it prints."""

_HOPPER = 'sleep 0.02; [ "$1" = 0 ] || setsid sh hop.sh $(($1 - 1)) & sleep "$2" &'


@contextmanager
def most_memory() -> Iterator[Callable[[], int]]:
    """Tell by how many bytes the memory of this process grew at most meanwhile, once it is over."""
    Path("/proc/self/clear_refs").write_text("5")  # Forget the most there was.
    before, grown = _peak_bytes(), 0
    yield lambda: grown
    grown = _peak_bytes() - before


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class ContainmentSuite:
    """The contract. A subclass provides the fixture ``bench``."""

    limits_processes = True
    """Whether one job can have only so many; a few hundred are enough for the test."""

    @abstractmethod
    def bench(self) -> Bench:
        """Return the executor under test."""

    async def _nothing_is_noticed(self, bench: Bench) -> None:
        done = await run(bench, 'test -z "$(ls -A $HOME)"; ls', {"README": "x"})
        assert (done.state, bench.log(done.log)) == ("passed", b"README\n")

    async def test_children_in_the_background_end_with_it(self, bench: Bench) -> None:
        nap = sleeper()
        done = await run(bench, f"for i in 1 2 3 4 5 6 7 8 9; do sleep {nap} & done; exit 0")
        assert done.state == "passed"
        assert asleep(nap) == set()
        await self._nothing_is_noticed(bench)

    async def test_daemon_without_parent_session_output_and_environment_ends_with_it(
        self, bench: Bench
    ) -> None:
        nap = sleeper()
        done = await run(bench, f"python3 daemon.py {nap}; sleep 0.2", {"daemon.py": _DAEMON})
        assert done.state == "passed"
        assert asleep(nap) == set()
        await self._nothing_is_noticed(bench)

    async def test_processes_that_start_each_other_end_with_it(self, bench: Bench) -> None:
        nap = sleeper()
        hop = _HOPPER.replace('"$2"', nap)
        done = await run(bench, "sh hop.sh 1000; sleep 0.2", {"hop.sh": hop})
        assert done.state == "passed"
        assert asleep(nap) == set()

    async def test_job_that_ignores_signals_or_left_its_group_ends_when_its_time_is_over(
        self, bench: Bench
    ) -> None:
        nap = sleeper()
        script = (
            f"setsid sh -c 'sleep {nap} & kill -STOP $$' &\n"
            f"trap '' TERM INT HUP QUIT; while :; do sleep {nap} || :; done"
        )
        done = await run(bench, plan(script, timeout_seconds=0.5))
        assert (done.state, done.reason) == ("failed", "timeout")
        assert asleep(nap) == set()

    async def test_job_that_kills_all_it_can_harms_itself_only(self, bench: Bench) -> None:
        nap = sleeper()
        neighbour = asyncio.create_task(run(bench, "sleep 1; echo fine"))
        done = await run(bench, f"sleep {nap} & kill -KILL 0")
        assert done.state in ("failed", "interrupted")
        assert asleep(nap) == set()
        assert (await neighbour).state == "passed"

    async def test_forks_have_an_end(self, bench: Bench) -> None:
        most = 5000 if self.limits_processes else 300
        script = f"i=0; while [ $i -lt {most} ]; do sleep 60 & i=$((i+1)); done"
        done = await run(bench, plan(script, timeout_seconds=20))
        if self.limits_processes:
            assert (done.state, done.fault) == ("failed", "change")
        await self._nothing_is_noticed(bench)

    async def test_job_that_takes_more_of_the_disk_than_it_may_has_failed_and_says_so(
        self, bench: Bench
    ) -> None:
        slowly = plan('yes >"$TMPDIR/big"', disk_bytes=16 << 20)
        at_once = plan("head -c 30000000 /dev/zero >big", disk_bytes=16 << 20)
        for job in (at_once, slowly):
            done = await run(bench, job)
            assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
            assert "its limit is 16 MiB (limits.diskBytes)" in done.message
        within = plan("head -c 10000000 /dev/zero >big", disk_bytes=16 << 20)
        assert (await run(bench, within)).state == "passed"
        await self._nothing_is_noticed(bench)

    async def test_binary_output_is_kept_as_it_is(self, bench: Bench) -> None:
        done = await run(bench, "head -c 100000 /dev/urandom | tee x; wc -c x")
        said = bench.log(done.log)
        assert done.state == "passed"
        assert len(said) > 100000
        failed = await run(bench, "printf '\\377\\000\\033[31m'; exit 1")
        assert (failed.state, failed.fault) == ("failed", "change")

    async def test_gigabyte_of_output_leaves_beginning_and_end_and_says_what_is_missing(
        self, bench: Bench
    ) -> None:
        much = "yes | head -c 1000000; dd if=/dev/zero bs=1000000 count=1000 2>/dev/null"
        script = f"echo the first; {much}; echo the last"
        with most_memory() as most:
            done = await run(bench, plan(script, timeout_seconds=120))
        assert done.state == "passed"
        assert most() < _MOST_MEMORY_BYTES
        said = bench.log(done.log)
        assert len(said) < 400 << 20
        assert said.startswith(b"the first\ny\n")
        assert said.endswith(b"the last\n")
        assert b"bytes were left out here" in said
        await self._nothing_is_noticed(bench)

    async def test_folders_that_nobody_may_enter_and_that_are_deep_are_no_trouble(
        self, bench: Bench
    ) -> None:
        deep = "i=0; while [ $i -lt 300 ]; do mkdir 0123456789; cd 0123456789; i=$((i+1)); done"
        script = f"mkdir $TMPDIR/shut; touch $TMPDIR/shut/x; chmod 0 $TMPDIR/shut; cd $HOME; {deep}"
        assert (await run(bench, script)).state == "passed"
        await self._nothing_is_noticed(bench)
