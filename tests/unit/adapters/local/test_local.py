import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from andon.adapters.filetree import making
from andon.adapters.git import GitSource
from andon.adapters.local import LocalExecutor
from andon.adapters.oci import OciArtifactStore
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, PackArtifact, RunJob
from andon.api.v1.jobs import PIPELINES, JobPlan, SecretRef
from andon.kernel.errors import NotFound
from andon.testing.secrets import FixedSecrets


class Builder:
    """A program that builds in the work tree it is given, as an agent would."""

    def __init__(self, work: Path) -> None:
        self.work = work

    async def run_job(self, action: RunJob, intent: Intent, secrets: Mapping[str, str]) -> JobDone:
        tree = self.work / intent.key.replace("/", "_")
        env = {"PATH": os.environ["PATH"], **secrets}
        done = subprocess.run(["sh", "-c", action.job.run], cwd=tree, env=env, check=False)
        return JobDone(state="passed" if done.returncode == 0 else "failed")

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        return Done()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file").write_text("one")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "cache")


@pytest.fixture
def artifacts(tmp_path: Path, source: GitSource) -> OciArtifactStore:
    return OciArtifactStore(tmp_path / "layout", source, tmp_path / "work")


@pytest.fixture
def executor(tmp_path: Path, source: GitSource, artifacts: OciArtifactStore) -> LocalExecutor:
    work = tmp_path / "work"
    return LocalExecutor(
        Builder(work), source, artifacts, work, secrets=FixedSecrets({"pipelines/npm": "hunter22"})
    )


def job(
    repository: Path, source: GitSource, run: str, digest: str = "", secret: str = ""
) -> RunJob:
    sha = source.resolve(str(repository), "HEAD").sha
    refs = {"NPM_TOKEN": SecretRef(name=secret, environment=PIPELINES)} if secret else {}
    plan = JobPlan(name="build", run=run, secrets=refs)
    return RunJob(run="r", repository=str(repository), sha=sha, job=plan, digest=digest)


async def test_job_builds_in_a_checkout_that_is_packed_and_tested(
    executor: LocalExecutor,
    source: GitSource,
    artifacts: OciArtifactStore,
    repository: Path,
    tmp_path: Path,
) -> None:
    build = job(repository, source, "mkdir dist && cp file dist/ && test ! -e .git")
    key = "u/1/build/0"
    assert (await executor.run_job(build, Intent(key=key, epoch=1))).state == "passed"
    packing = PackArtifact(service="s", repository="", sha="", path="dist", job_key=key)
    digest = (await artifacts.pack_artifact(packing, Intent(key="p", epoch=1))).digest
    check = job(repository, source, 'test "$(ls)" = file', digest)
    assert (await executor.run_job(check, Intent(key="u/1/test/0", epoch=1))).state == "passed"


async def test_same_key_keeps_its_tree_and_a_deleted_one_is_made_again(
    executor: LocalExecutor, source: GitSource, repository: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "work/k"
    await executor.run_job(job(repository, source, "touch built"), Intent(key="k", epoch=1))
    await executor.run_job(job(repository, source, "true"), Intent(key="k", epoch=1))
    assert {path.name for path in tree.iterdir()} == {"file", "built"}
    subprocess.run(["rm", "-r", str(tree)], check=True)
    await executor.run_job(job(repository, source, "true"), Intent(key="k", epoch=1))
    assert {path.name for path in tree.iterdir()} == {"file"}


async def test_failed_checkout_leaves_no_tree(
    executor: LocalExecutor, source: GitSource, repository: Path, tmp_path: Path
) -> None:
    action = job(repository, source, "true", "sha256:" + "0" * 64)
    with pytest.raises(NotFound):
        await executor.run_job(action, Intent(key="k", epoch=1))
    assert list((tmp_path / "work").iterdir()) == []


async def test_sweep_removes_old_trees_of_runs_that_are_over(
    executor: LocalExecutor, source: GitSource, repository: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    for key in ("open/1/a/0", "over/1/b/0", "over/1/new/0"):
        action = job(repository, source, "mkdir ro && touch ro/x && chmod 500 ro")
        await executor.run_job(action, Intent(key=key, epoch=1))
    for name in ("open_1_a_0", "over_1_b_0"):
        os.utime(work / name, (1000, 1000))
    (work / ".over_1_b_0.abandoned").mkdir()
    with making(work / "u_1_c_0") as made:
        executor.sweep_work({"open"}, 2000.0)
        left = {path.name for path in work.iterdir()}
        assert left == {"open_1_a_0", "over_1_new_0", made.name}


async def test_job_gets_the_secrets_it_names_and_no_others(
    executor: LocalExecutor, source: GitSource, repository: Path
) -> None:
    named = job(repository, source, 'test "$NPM_TOKEN" = hunter22', secret="npm")
    assert (await executor.run_job(named, Intent(key="u/1/build/0", epoch=1))).state == "passed"
    plain = job(repository, source, 'test -z "${NPM_TOKEN+x}"')
    assert (await executor.run_job(plain, Intent(key="u/1/build/1", epoch=1))).state == "passed"


async def test_job_does_not_begin_without_a_secret_it_names(
    executor: LocalExecutor, source: GitSource, repository: Path, tmp_path: Path
) -> None:
    named = job(repository, source, "touch begun", secret="gone")
    with pytest.raises(NotFound, match="there is no secret gone in pipelines"):
        await executor.run_job(named, Intent(key="u/1/build/0", epoch=1))
    assert not (tmp_path / "work" / "u_1_build_0" / "begun").exists()
