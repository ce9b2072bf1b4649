"""What the integration tests share: their worlds are plain modules beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from andon.adapters.git import GitSource

sys.path.insert(0, str(Path(__file__).parent))

from git_world import committed, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "file").write_text("one")
    committed(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "cache", fetch_timeout_seconds=20)
