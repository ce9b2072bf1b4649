import os
import subprocess
from pathlib import Path

import pytest

from andon.adapters.git import GitSource
from andon.testing.source_suite import SourceSample, SourceSuite

_ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")},
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=_ENV, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def sample(tmp_path_factory: pytest.TempPathFactory) -> SourceSample:
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "main")
    (folder / "greeting.txt").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1")
    (folder / "greeting.txt").write_text("two")
    (folder / "bin").mkdir()
    (folder / "bin/run").write_text("#!/bin/sh\n")
    (folder / "bin/run").chmod(0o755)
    (folder / "link").symlink_to("greeting.txt")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "second")
    first, second = (git(folder, "rev-parse", ref).strip() for ref in ("v1", "main"))
    return SourceSample(repository=str(folder), first=first, second=second)


class TestGitSource(SourceSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> GitSource:
        return GitSource(tmp_path_factory.mktemp("cache"))

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nowhere")
