"""Whose rules a commit is judged by, read from real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from andon.adapters.git import GitSource
from andon.api.v1.control import Decision, NewObject
from andon.api.v1.definitions import EnvironmentSpec
from andon.api.v1.records import BUILD_ONLY, RunSpec, RunStatus
from andon.app.shipping import change_spec, last_good, load, put_change, refuse_way
from andon.kernel.errors import Denied, InvalidDocument, NotFound
from andon.ports.store import Tx
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import FakeClock, SeededRandomness

DOCUMENTS = """\
apiVersion: andon/v1
kind: Pipeline
metadata: {{ name: hello }}
spec: {{ jobs: {{ unit: {{ run: "true" }} }} }}
---
apiVersion: andon/v1
kind: Service
metadata: {{ name: hello }}
spec: {{ command: [serve] }}
---
apiVersion: andon/v1
kind: Environment
metadata: {{ name: prod }}
spec: {{ requires: [{requires}], config: {{ GREETING: {greeting} }} }}
"""


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, text: str) -> str:
        (self.path / "andon.yaml").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "hello")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "cache")


STRICT = DOCUMENTS.format(requires="unit, approval", greeting="hello")
LOOSE = DOCUMENTS.format(requires="", greeting="bye")


def test_change_that_loosens_the_gate_is_judged_by_the_rules_before_it(
    repository: Repository, source: GitSource
) -> None:
    strict = repository.commit(STRICT)
    loose = repository.commit(LOOSE)
    loaded = load(source, str(repository.path), "main", strict, "main")
    spec = change_spec(loaded, until="", notify=(), sequence=1)
    assert (spec.sha, spec.policy_revision, loaded.next_policy) == (loose, strict, loose)
    assert spec.environments["prod"].requires == ("unit", "approval")
    assert spec.overlays["prod"].config == {"GREETING": "bye"}


def test_two_commits_pushed_together_do_not_help_each_other(
    repository: Repository, source: GitSource
) -> None:
    strict = repository.commit(STRICT)
    repository.commit(LOOSE)
    repository.commit(LOOSE)
    loaded = load(source, str(repository.path), "main", strict, "main")
    spec = change_spec(loaded, until="", notify=(), sequence=1)
    assert spec.environments["prod"].requires == ("unit", "approval")


def test_rules_of_another_branch_are_never_adopted(
    repository: Repository, source: GitSource
) -> None:
    strict = repository.commit(STRICT)
    repository.git("checkout", "--quiet", "-b", "aside")
    repository.commit(LOOSE)
    loaded = load(source, str(repository.path), "aside", strict, "main")
    assert (loaded.policy_revision, loaded.next_policy) == (strict, strict)


def test_rules_that_cannot_be_read_are_not_adopted(
    repository: Repository, source: GitSource
) -> None:
    strict = repository.commit(STRICT)
    repository.git("checkout", "--quiet", "-b", "aside")
    fine = repository.commit(LOOSE)
    repository.git("checkout", "--quiet", "main")
    repository.commit("kind: Nonsense\n")
    loaded = load(source, str(repository.path), fine, strict, "main")
    assert loaded.next_policy == strict
    with pytest.raises(InvalidDocument):
        load(source, str(repository.path), "main", strict, "main")


def test_first_change_of_a_repository_brings_its_own_rules(
    repository: Repository, source: GitSource
) -> None:
    sha = repository.commit(STRICT)
    loaded = load(source, str(repository.path), "main", None, "main")
    assert (loaded.policy_revision, loaded.next_policy) == (sha, sha)
    with pytest.raises(NotFound, match="no environment stage"):
        change_spec(loaded, until="stage", notify=(), sequence=1)


def test_who_ships_may_do_so_in_every_environment_on_the_way() -> None:
    rules = {
        "dev": EnvironmentSpec(),
        "prod": EnvironmentSpec(after="qa"),
        "qa": EnvironmentSpec(),
    }
    refuse_way(rules, "dev", {"dev"}.__contains__)
    refuse_way(rules, "qa", {"dev", "qa"}.__contains__)
    refuse_way(rules, "@build", {"*"}.__contains__)
    for until, may in (("qa", {"qa"}), ("prod", {"prod"}), ("prod", {"dev", "prod"})):
        with pytest.raises(Denied, match=f"to {until} leads through"):
            refuse_way(rules, until, may.__contains__)


async def test_the_last_good_commit_of_a_branch_is_the_newest_that_was_built_well(
    repository: Repository, source: GitSource, tmp_path: Path
) -> None:
    """What a failed Change touched is still looked at by rules about paths, until it is built well."""
    turns = Turns([], SeededRandomness(1))
    store = open_store(str(tmp_path / "a.db"), source="test", clock=FakeClock())

    async def shipped(ref: str, phase: str) -> str:
        sha = repository.commit(STRICT)
        loaded = replace(load(source, str(repository.path), sha, None, "main"), ref=ref)

        def put(tx: Tx) -> None:
            change, _ = put_change(
                tx, turns, loaded, until=BUILD_ONLY, notify=(), by="ann", now=1.0
            )
            run = NewObject(
                kind="Run",
                name=f"build-{change.name}",
                spec=RunSpec(type="build", change=change.name),
                status=RunStatus(phase=phase),
            )
            turns.create(tx, Decision(create=(run,)), 1.0)

        await store.transact(put)
        return sha

    good = await shipped("main", "Succeeded")
    await shipped("main", "Failed")
    await shipped("aside", "Succeeded")
    await shipped("main", "Running")
    where = str(repository.path)
    assert await store.read(lambda tx: last_good(tx, where, "main")) == good
    assert await store.read(lambda tx: last_good(tx, where, "other")) == ""
    store.close()
