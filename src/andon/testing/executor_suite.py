"""What every Executor must do; run it against one by subclassing ``ExecutorSuite``."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import asyncio
import itertools
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from andon.adapters.process.logs import read_chunk
from andon.api.v1.actions import CancelJob, Intent, JobDone, RunJob, StepDone
from andon.api.v1.jobs import PIPELINES, BesidePlan, JobPlan, SecretRef, StepPlan
from andon.kernel.errors import Denied
from andon.ports import Executor

DEADLINE_SECONDS = 90
SECRETS = {"pipelines/npm": "hunter22-hunter22"}
"""What the executor under test opens: the secret ``npm`` of jobs that build."""

_numbers = itertools.count()


class Bench(Protocol):
    """An executor with a world around it."""

    executor: Executor

    def provide(self, files: Mapping[str, str]) -> tuple[str, str]:
        """Make a commit with these files; return its repository and sha."""
        ...

    def log(self, name: str) -> bytes:
        """Return a log by the name that an outcome gives it."""
        ...


class Files:
    """A Source whose commits are files in memory; put it into the executor under test."""

    def __init__(self) -> None:
        self._commits: dict[str, dict[str, str]] = {}

    def provide(self, files: Mapping[str, str]) -> tuple[str, str]:
        """Make a commit; return its repository and sha."""
        sha = f"{len(self._commits):040x}"
        self._commits[sha] = dict(files)
        return "shop", sha

    def checkout(self, repository: str, sha: str, into: Path) -> None:
        """Write the files of a commit."""
        for name, text in self._commits[sha].items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_text(text)


def plan(run: str = "", **fields: Any) -> JobPlan:
    """Describe a job called ``unit``."""
    return JobPlan(**{"name": "unit", "run": run, "timeout_seconds": 60, **fields})


def fresh_key() -> str:
    """Return a key that no other job has."""
    return f"r{next(_numbers)}/1/unit/0"


async def run(
    bench: Bench,
    job: JobPlan | str,
    files: Mapping[str, str] | None = None,
    *,
    key: str = "",
    **fields: Any,
) -> JobDone:
    """Run a job on a commit with these files."""
    repository, sha = bench.provide(files or {"README": "shop\n"})
    made = plan(job) if isinstance(job, str) else job
    intent = Intent(key=key or fresh_key(), epoch=1)
    action = RunJob(
        run=intent.key.partition("/")[0],
        repository=repository,
        sha=sha,
        job=made,
        **fields,
    )
    return await bench.executor.run_job(action, intent)


def whole_log(file: Path) -> bytes:
    """Return all that there is of a log; its middle may be missing."""
    pieces: list[bytes] = []
    offset = 0
    while True:
        data, offset = read_chunk(file, offset, 1 << 20)
        if not data:
            return b"".join(pieces)
        pieces.append(data)


def sleeper() -> str:
    """Return a duration to sleep that no other process sleeps, so that ``asleep`` finds it."""
    return f"{600 + next(_numbers)}.{os.getpid()}"


def asleep(duration: str) -> set[int]:
    """Return the pids of all ``sleep <duration>`` on this machine."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if duration.encode() in words and b"sleep" in words[0]:
            found.add(int(name))
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        await asyncio.sleep(0.02)


class ExecutorSuite:
    """The contract. A subclass provides the fixture ``bench``."""

    measures_memory = True
    """Whether it can tell how much memory little jobs had."""

    @abstractmethod
    def bench(self) -> Bench:
        """Return the executor under test; it opens ``SECRETS``."""

    # --- outcomes --------------------------------------------------------------------------------

    async def test_command_that_ends_with_0_passes_in_a_fresh_tree_of_its_commit(
        self, bench: Bench
    ) -> None:
        done = await run(bench, "cat README; ls; touch made", {"README": "hello\n"})
        assert (done.state, done.exit_code, done.fault) == ("passed", 0, None)
        assert bench.log(done.log).decode() == "hello\nREADME\n"

    async def test_exit_code_is_the_changes_failure(self, bench: Bench) -> None:
        done = await run(bench, "echo no such luck; exit 7")
        assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
        assert done.exit_code == 7
        assert "no such luck" in done.message

    async def test_shell_stops_at_the_first_failure_and_at_unset_variables(
        self, bench: Bench
    ) -> None:
        assert (await run(bench, "false; echo went on")).state == "failed"
        assert (await run(bench, "echo $nobody_set_this")).state == "failed"

    async def test_time_that_is_over_ends_it_and_says_so(self, bench: Bench) -> None:
        nap = sleeper()
        done = await run(bench, plan(f"sleep {nap}", timeout_seconds=0.5))
        assert (done.state, done.fault, done.reason) == ("failed", "change", "timeout")
        assert asleep(nap) == set()

    async def test_same_key_finds_what_ended(self, bench: Bench) -> None:
        key = fresh_key()
        first = await run(bench, "date +%N", key=key)
        again = await run(bench, "date +%N", key=key)
        assert again == first

    async def test_cancelled_job_ends_with_all_its_children(self, bench: Bench) -> None:
        nap, key = sleeper(), fresh_key()
        job = asyncio.create_task(run(bench, f"sleep {nap} & sleep {nap}", key=key))
        await until(lambda: len(asleep(nap)) == 2)
        await bench.executor.cancel_job(CancelJob(job_key=key), Intent(key=f"{key}/c", epoch=1))
        assert (await job).state == "cancelled"
        assert asleep(nap) == set()

    async def test_job_cancelled_before_it_began_never_begins(self, bench: Bench) -> None:
        key = fresh_key()
        await bench.executor.cancel_job(CancelJob(job_key=key), Intent(key=f"{key}/c", epoch=1))
        assert (await run(bench, "true", key=key)).state == "cancelled"

    async def test_outcome_says_what_it_used(self, bench: Bench) -> None:
        done = await run(bench, "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
        assert done.cpu_seconds > 0
        assert done.memory_bytes > 0 or not self.measures_memory
        assert done.seconds > 0

    # --- what it sees ----------------------------------------------------------------------------

    async def test_environment_of_the_job_and_who_it_is(self, bench: Bench) -> None:
        job = plan('echo "$GREETING $CI $ANDON_JOB"', env={"GREETING": "hello"})
        done = await run(bench, job)
        assert bench.log(done.log) == b"hello true unit\n"

    async def test_nothing_of_the_executors_own_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PRIVATE_OF_THE_HOST", "hunter33")
        done = await run(bench, "env")
        assert b"hunter33" not in bench.log(done.log)

    async def test_home_and_temporary_folder_are_its_own(self, bench: Bench) -> None:
        script = 'test -z "$(ls -A "$HOME")"; touch "$HOME/x" "$TMPDIR/y"'
        assert (await run(bench, script)).state == "passed"
        assert (await run(bench, script)).state == "passed"

    async def test_secret_it_names_reaches_it_but_not_its_log(self, bench: Bench) -> None:
        job = plan('test -n "$TOKEN"; echo "it is $TOKEN"', secrets=_npm())
        done = await run(bench, job)
        assert (done.state, bench.log(done.log)) == ("passed", b"it is ***\n")

    async def test_job_that_names_no_secret_has_none(self, bench: Bench) -> None:
        done = await run(bench, "env; cat /proc/self/environ")
        assert SECRETS["pipelines/npm"].encode() not in bench.log(done.log)

    async def test_stranger_gets_no_secret_even_where_the_plan_names_one(
        self, bench: Bench
    ) -> None:
        with pytest.raises(Denied, match="unreviewed"):
            await run(bench, plan("env", secrets=_npm()), trusted=False)

    # --- steps -----------------------------------------------------------------------------------

    async def test_steps_run_in_order_and_each_is_told(self, bench: Bench) -> None:
        job = plan(
            steps=(StepPlan(name="make", run="touch made"), StepPlan(name="", run="ls made"))
        )
        done = await run(bench, job)
        assert done.state == "passed"
        assert [(step.name, step.state, step.exit_code) for step in done.steps] == [
            ("make", "passed", 0),
            ("2", "passed", 0),
        ]

    async def test_step_that_fails_ends_the_job_and_the_rest_is_not_run(self, bench: Bench) -> None:
        steps = (
            StepPlan(name="a", run="true"),
            StepPlan(name="b", run="exit 3"),
            StepPlan(name="c", run="touch never"),
        )
        done = await run(bench, plan(steps=steps))
        assert (done.state, done.exit_code, done.reason) == ("failed", 3, "failure")
        assert [_state(step) for step in done.steps] == [
            "a passed 0",
            "b failed 3",
            "c not-run None",
        ]

    async def test_step_stops_at_its_first_failure(self, bench: Bench) -> None:
        done = await run(bench, plan(steps=(StepPlan(name="a", run="false\ntrue"),)))
        assert done.state == "failed"

    async def test_step_sees_what_an_earlier_one_exported_and_its_own_environment(
        self, bench: Bench
    ) -> None:
        tell = 'printf "VERSION=1.2 \\"quoted\\" \\$HOME\\nA=1\\n" >> "$ANDON_ENV"; X=lost'
        ask = 'echo "$VERSION|$A|${X-unset}|$OWN"'
        steps = (
            StepPlan(name="tell", run=tell),
            StepPlan(name="ask", run=ask, env={"OWN": "it's $mine", "A": "2"}),
            StepPlan(name="after", run='echo "$A ${OWN-unset}"'),
        )
        done = await run(bench, plan(steps=steps))
        said = bench.log(done.log).decode()
        assert '1.2 "quoted" $HOME|2|unset|it\'s $mine\n' in said
        assert "1 unset\n" in said

    async def test_export_that_is_none_is_the_steps_failure(self, bench: Bench) -> None:
        steps = (
            StepPlan(name="a", run='echo "no assignment" >> "$ANDON_ENV"'),
            StepPlan(name="b", run="true"),
        )
        done = await run(bench, plan(steps=steps))
        assert (done.state, done.fault) == ("failed", "change")
        assert "no assignment" in done.message

    async def test_steps_fold_in_the_log(self, bench: Bench) -> None:
        steps = (StepPlan(name="unit tests", run="echo in it"), StepPlan(name="b", run="true"))
        done = await run(bench, plan(steps=steps))
        said = bench.log(done.log)
        begin = said.index(b"\x1b[0Ksection_start:")
        title = said.index(b":step_1\r\x1b[0Kunit tests\n")
        inside = said.index(b"in it\n")
        end = said.index(b"\x1b[0Ksection_end:")
        assert begin < title < inside < end

    async def test_step_under_way_when_time_is_over_is_the_one_that_failed(
        self, bench: Bench
    ) -> None:
        nap = sleeper()
        steps = (StepPlan(name="a", run="true"), StepPlan(name="b", run=f"sleep {nap}"))
        done = await run(bench, plan(steps=steps, timeout_seconds=3))
        assert [(step.name, step.state) for step in done.steps] == [
            ("a", "passed"),
            ("b", "failed"),
        ]

    # --- programs beside the job -----------------------------------------------------------------

    async def test_service_is_there_when_the_job_begins_and_gone_when_it_ended(
        self, bench: Bench
    ) -> None:
        nap = sleeper()
        server = f"sleep {nap} & exec python3 -u server.py"
        job = plan(_ASK, services=(BesidePlan(name="web", run=server, ready_path="/up"),))
        done = await run(bench, job, {"server.py": SERVER})
        assert (done.state, done.message) == ("passed", "")
        assert b"hello from /job" in bench.log(done.log)
        assert asleep(nap) == set()

    async def test_service_counts_as_there_when_its_port_answers(self, bench: Bench) -> None:
        beside = BesidePlan(name="my-web", run="exec python3 -u server.py")
        script = 'test -n "$MY_WEB_HOST"; test -n "$MY_WEB_PORT"'
        done = await run(bench, plan(script, services=(beside,)), {"server.py": SERVER})
        assert (done.state, done.message) == ("passed", "")

    async def test_service_counts_as_there_when_its_command_says_so(self, bench: Bench) -> None:
        beside = BesidePlan(
            name="db", run="touch up; sleep 60", ready_command="test -e up", env={"A": "1"}
        )
        assert (await run(bench, plan("true", services=(beside,)))).state == "passed"

    async def test_service_whose_command_fails_is_the_changes_failure(self, bench: Bench) -> None:
        beside = BesidePlan(name="db", run="echo no config; exit 4")
        done = await run(bench, plan("echo never", services=(beside,)))
        assert (done.state, done.fault, done.reason) == ("failed", "change", "failure")
        assert "db" in done.message
        assert "no config" in done.message
        assert b"never" not in bench.log(done.log)

    async def test_service_that_is_not_ready_in_time_is_said(self, bench: Bench) -> None:
        nap = sleeper()
        beside = BesidePlan(name="db", run=f"sleep {nap}", ready_within_seconds=0.5)
        done = await run(bench, plan("echo never", services=(beside,)))
        assert (done.state, done.fault) == ("failed", "change")
        assert "db" in done.message
        assert "0.5 s" in done.message
        assert asleep(nap) == set()


SERVER = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello from {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

_ASK = (
    'python3 -c "import os, urllib.request as u; '
    "print(u.urlopen('http://%s:%s/job' % (os.environ['WEB_HOST'], os.environ['WEB_PORT']))"
    '.read().decode())"'
)


def _npm() -> dict[str, SecretRef]:
    return {"TOKEN": SecretRef(name="npm", environment=PIPELINES)}


def _state(step: StepDone) -> str:
    return f"{step.name} {step.state} {step.exit_code}"
