"""Sigma rules come from the policy branch like other rules, so many and so large at most."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from andon.adapters.git import GitSource
from andon.app.loading import load
from andon.app.parts import controllers
from andon.app.shipping import put_change
from andon.app.sigma_files import (
    MOST_BYTES,
    MOST_FILE_BYTES,
    MOST_FILES,
    SigmaFiles,
    kept_sigma_files,
)
from andon.ports.store import Tx
from andon.runtime.turns import Turns
from andon.store import open_store
from andon.testing.clock import FakeClock, SeededRandomness

PROJECT = """\
apiVersion: andon/v1
kind: Pipeline
metadata: { name: hello }
spec: { jobs: { unit: { run: "true" } } }
---
apiVersion: andon/v1
kind: Service
metadata: { name: hello }
spec: { command: [serve] }
---
apiVersion: andon/v1
kind: Environment
metadata: { name: prod }
spec: {}
"""
RULE = "title: T\nlogsource: {category: webserver}\ndetection:\n  s: {a: b}\n  condition: s\n"


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "security").mkdir(parents=True)
        (path / "andon.yaml").write_text(PROJECT)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", str(self.path), *who, "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            (self.path / "security" / f"{name}.yml").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "hello")


def read(repository: Repository, adopted: str | None, ref: str = "main") -> SigmaFiles | None:
    source = GitSource(repository.path.parent / "cache")
    return load(source, str(repository.path), ref, adopted, "main").next_sigma


def test_rules_are_those_of_the_policy_branch(repository: Repository) -> None:
    first = repository.commit(rule=RULE, policy="kind: NetworkPolicy\n")
    told = read(repository, None)
    assert told == SigmaFiles(
        revision=first, services=("hello",), files={"security/rule.yml": RULE}
    )
    assert read(repository, first) is None, "they hold already"
    repository.git("checkout", "--quiet", "-b", "aside")
    repository.commit(rule=RULE.replace("T", "loosened"))
    assert read(repository, first, "aside") is None, "no other branch brings rules"


def test_what_is_too_much_is_left_out_and_told(repository: Repository) -> None:
    (repository.path / "security" / "link.yml").symlink_to("/etc/passwd")
    (repository.path / "security" / "latin.yml").write_bytes(b"detection: \xff\n")
    repository.commit(large=RULE + "#" * MOST_FILE_BYTES, rule=RULE)
    told = read(repository, None)
    assert told is not None
    assert list(told.files) == ["security/rule.yml"]
    assert [one.partition(":")[0] for one in told.problems] == [
        "security/large.yml",
        "security/latin.yml",
    ]
    part = RULE + "#" * (MOST_FILE_BYTES - len(RULE))
    repository.commit(**{f"x{number:03}": part for number in range(MOST_FILES)})
    told = read(repository, None)
    assert told is not None
    assert MOST_BYTES <= sum(map(len, told.files.values())) < MOST_BYTES + MOST_FILE_BYTES
    assert told.problems[-2:] == (
        "security/x004.yml and what follows: 256 KiB are read",
        f"only {MOST_FILES} files of security/ are read; there are {MOST_FILES + 3}",
    )


async def test_they_are_kept_with_the_change_and_gone_when_the_branch_drops_them(
    repository: Repository, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "a.db"), source="test", clock=FakeClock())
    turns, source = Turns(controllers(), SeededRandomness(1)), GitSource(tmp_path / "cache")
    where = str(repository.path)

    async def ship(adopted: str | None) -> dict[str, SigmaFiles]:
        loaded = load(source, where, "main", adopted, "main")

        def put(tx: Tx) -> None:
            put_change(tx, turns, loaded, until="", notify=(), by="ann", now=1.0)

        await store.transact(put)
        return await store.read(kept_sigma_files)

    first = repository.commit(rule=RULE)
    assert (await ship(None))[where].files == {"security/rule.yml": RULE}
    (repository.path / "security" / "rule.yml").unlink()
    repository.commit()
    assert await ship(first) == {}
    store.close()
