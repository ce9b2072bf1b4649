"""Two worker processes of one state folder at once: nothing lost, nothing half-written, nobody blocked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from agent_world import DEADLINE_SECONDS, AgentProcess
from git_world import committed, git, served, stopping_git

from andon.adapters.filetree import take_lock, work_tree
from andon.adapters.git import GitDesiredState, GitSource
from andon.adapters.oci import OciArtifactStore
from andon.api.v1.actions import Intent
from andon.kernel.errors import Conflict
from andon.runtime.system import SystemClock
from andon.testing.artifact_suite import packing
from andon.testing.desired_suite import ONE, TWO, by, writing

BEGIN = """
import asyncio, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from andon.adapters.agentclient import AgentClient
from andon.adapters.git import GitDesiredState, GitSource
from andon.adapters.local import LocalExecutor
from andon.adapters.oci import OciArtifactStore
from andon.api.v1.actions import Intent, RunJob
from andon.api.v1.jobs import JobPlan
from andon.runtime.system import SystemClock
from andon.testing.artifact_suite import packing
from andon.testing.desired_suite import ONE, by, writing
from andon.testing.secrets import FixedSecrets

state, name = Path(sys.argv[1]), sys.argv[2]
source = GitSource(state / "repositories", fetch_timeout_seconds=60)
artifacts = OciArtifactStore(state / "oci", source, state / "work")

def together():
    print("ready", flush=True)
    sys.stdin.readline()
"""
PACK = """
async def main():
    for turn in range(8):
        for key, tree in ((f"{name}/{turn}", f"{name}-{turn}"), (f"shared/{turn}", f"shared-{turn}")):
            packed = await artifacts.pack_artifact(packing(tree), Intent(key=key, epoch=1))
            artifacts.ensure_unpacked(packed.digest, state / "artifacts")
            print(packed.digest)

together()
asyncio.run(main())
"""
JOBS = """
async def main():
    agent = AgentClient(state / "agent" / "agent.sock", SystemClock())
    executor = LocalExecutor(agent, source, artifacts, state / "work", secrets=FixedSecrets())
    sha = source.resolve(sys.argv[3], "main").sha
    for key in (f"{name}/1/unit/0", "shared/1/unit/0"):
        plan = JobPlan(name="unit", run="test -s file; echo once >> runs")
        action = RunJob(run="r", repository=sys.argv[3], sha=sha, job=plan)
        print((await executor.run_job(action, Intent(key=key, epoch=1))).state)
    await agent.close()

together()
asyncio.run(main())
"""
FETCH = """
together()
print(source.resolve(sys.argv[3], "main").sha)
"""
WRITE = """
async def main():
    desired = GitDesiredState(state / "desired.git", SystemClock())
    for turn in range(2):
        action = writing(ONE, service=f"{name}-{turn}")
        await desired.write_desired(action, by(f"{name}/{turn}"))

together()
asyncio.run(main())
"""
UNPACK = """
class Stopped(OciArtifactStore):
    @contextmanager
    def _unpacked(self, digest, place):
        with super()._unpacked(digest, place) as made:
            os.kill(os.getpid(), signal.SIGSTOP)
            yield made

together()
Stopped(state / "oci", source, state / "work").ensure_unpacked(name, state / "artifacts")
print("done")
"""


class Worker:
    """A process that begins when it is told to."""

    def __init__(self, program: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-c", BEGIN + program, *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)

    def __enter__(self) -> Worker:
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until_stopped(self) -> None:
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it ended before it was stopped"

    def words(self) -> list[str]:
        """Wait for its end; return what it said."""
        said = self.process.stdout.read().split()
        assert self.process.wait() == 0
        return said


def both(program: str, state: Path, *arguments: str) -> list[list[str]]:
    """Have two workers, ``a`` and ``b``, begin at once; return what each said."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(program, str(state), name, *arguments)) for name in "ab"
        ]
        for worker in workers:
            worker.begin()
        return [worker.words() for worker in workers]


@pytest.fixture
def remote(tmp_path: Path, repository: Path) -> Iterator[str]:
    with served(tmp_path) as address:
        yield f"{address}/repository"


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[AgentProcess]:
    running = AgentProcess(tmp_path / "state")
    running.start()
    yield running
    await running.end()


def built(state: Path, tree: str) -> None:
    dist = work_tree(state / "work", tree) / "dist"
    dist.mkdir(parents=True)
    for number in range(20):
        (dist / f"{number}").write_text(f"{tree} {number}")


def store(state: Path) -> OciArtifactStore:
    return OciArtifactStore(state / "oci", GitSource(state / "repositories"), state / "work")


# --- artifacts ------------------------------------------------------------------------------------


def test_artifacts_of_both_are_listed_and_whole(tmp_path: Path) -> None:
    for name in ("a", "b", "shared"):
        for turn in range(8):
            built(tmp_path, f"{name}-{turn}")
    one, other = both(PACK, tmp_path)
    assert one[1::2] == other[1::2], "the same tree is the same artifact"
    digests = {*one, *other}
    assert len(digests) == 24
    assert store(tmp_path).digests() == digests
    assert len(json.loads((tmp_path / "oci/index.json").read_bytes())["manifests"]) == 24
    assert list((tmp_path / "oci/.incoming").iterdir()) == []
    for digest in digests:
        folder = tmp_path / "artifacts" / digest.removeprefix("sha256:")
        assert len(list(folder.iterdir())) == 20
    assert [path.name for path in (tmp_path / "artifacts").glob(".*")] == []


def test_worker_stopped_while_it_unpacks_blocks_nobody_and_takes_nothing_away(
    tmp_path: Path,
) -> None:
    built(tmp_path, "tree")
    packed = asyncio.run(store(tmp_path).pack_artifact(packing("tree"), Intent(key="1", epoch=1)))
    with Worker(UNPACK, str(tmp_path), packed.digest) as late:
        late.begin()
        late.until_stopped()
        folder = store(tmp_path).ensure_unpacked(packed.digest, tmp_path / "artifacts")
        before = folder.stat().st_ino
        late.process.send_signal(signal.SIGCONT)
        assert late.words() == ["done"]
    assert folder.stat().st_ino == before
    assert len(list(folder.iterdir())) == 20
    assert [path.name for path in (tmp_path / "artifacts").glob(".*")] == []


def test_what_a_worker_killed_while_it_unpacks_leaves_is_removed(tmp_path: Path) -> None:
    built(tmp_path, "tree")
    packed = asyncio.run(store(tmp_path).pack_artifact(packing("tree"), Intent(key="1", epoch=1)))
    with Worker(UNPACK, str(tmp_path), packed.digest) as late:
        late.begin()
        late.until_stopped()
    assert len(list((tmp_path / "artifacts").glob(".*"))) == 1
    store(tmp_path).ensure_unpacked(packed.digest, tmp_path / "artifacts")
    assert list((tmp_path / "artifacts").glob(".*")) == []


# --- jobs -----------------------------------------------------------------------------------------


async def test_same_job_of_both_runs_once(agent: AgentProcess, repository: Path) -> None:
    said = await asyncio.to_thread(both, JOBS, agent.state, str(repository))
    assert said == [["passed", "passed"]] * 2
    trees = sorted(path.name for path in (agent.state / "work").iterdir())
    assert trees == ["a_1_unit_0", "b_1_unit_0", "shared_1_unit_0"]
    for tree in trees:
        assert (agent.state / "work" / tree / "runs").read_text() == "once\n"


# --- mirrors --------------------------------------------------------------------------------------


def test_both_fetch_the_same_mirror(tmp_path: Path, remote: str, repository: Path) -> None:
    for text in ("two", "three"):
        (repository / "file").write_text(text)
        sha = committed(repository)
        assert both(FETCH, tmp_path, remote) == [[sha], [sha]]
    (mirror,) = (tmp_path / "repositories").glob("*.git")
    git(mirror, "fsck", "--strict")


def test_worker_stopped_while_it_fetches_leaves_the_mirror_to_others(
    tmp_path: Path, remote: str, repository: Path
) -> None:
    env = stopping_git(tmp_path / "bin", "fetch", git_too=False)
    with Worker(FETCH, str(tmp_path), "a", remote, env=env) as late:
        late.begin()
        late.until_stopped()
        (mirror,) = (tmp_path / "repositories").glob("*.git")
        lock = take_lock(mirror.with_suffix(".lock"), DEADLINE_SECONDS)
        assert lock is not None, "the stopped worker keeps the mirror to itself"
        os.close(lock)
        (repository / "file").write_text("two")
        sha = committed(repository)
        assert GitSource(tmp_path / "repositories").resolve(remote, "main").sha == sha
        late.process.send_signal(signal.SIGCONT)
        assert late.words() == [sha]


@pytest.mark.parametrize("left", ["refs/heads/main.lock", "refs/andon/HEAD.lock", "HEAD.lock"])
def test_lock_left_in_a_mirror_is_removed(
    tmp_path: Path, remote: str, repository: Path, left: str
) -> None:
    source = GitSource(tmp_path / "repositories")
    source.resolve(remote, "main")
    (mirror,) = (tmp_path / "repositories").glob("*.git")
    (mirror / left).touch()
    (repository / "file").write_text("two")
    sha = committed(repository)
    assert source.resolve(remote, "HEAD").sha == sha


# --- desired state --------------------------------------------------------------------------------


def test_lost_race_for_the_branch_is_tried_again(tmp_path: Path) -> None:
    """The queue is held for good, as by a stopped worker: git's compare-and-swap alone decides."""
    lock = take_lock(tmp_path / "desired.git.lock", 0)
    assert lock is not None
    both(WRITE, tmp_path)
    os.close(lock)
    desired = GitDesiredState(tmp_path / "desired.git", SystemClock())
    assert set(desired.read("prod")) == {"a-0", "a-1", "b-0", "b-1"}
    assert git(tmp_path / "desired.git", "rev-list", "--count", "main") == "4"


async def test_writers_expectation_is_held_against_what_the_other_wrote(tmp_path: Path) -> None:
    one, other = (GitDesiredState(tmp_path / "desired.git", SystemClock()) for _ in range(2))
    await one.write_desired(writing(ONE), by("1"))
    await other.write_desired(writing(TWO, ONE), by("2"))
    with pytest.raises(Conflict):
        await one.write_desired(writing(ONE, ONE), by("3"))
