"""Bare repositories that several processes use at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from andon.adapters.filetree import fsync_folder, making, settle
from andon.adapters.git.command import run


def ensure_bare(path: Path, env: Mapping[str, str] | None = None) -> None:
    """Have an empty bare repository, if there is none; it appears by rename, whole or not at all."""
    if (path / "HEAD").exists():
        return
    with making(path) as made:
        options = ["--quiet", "--bare", "--template=", "--initial-branch=main"]
        run(["init", *options, "--", str(made)], env=env)
        settle(made, path)
    fsync_folder(path.parent)


def locks(git_dir: Path) -> Iterable[Path]:
    """Return git's own lock files; no ref may be named like one (git-check-ref-format(1))."""
    yield from git_dir.glob("*.lock")
    yield from (git_dir / "refs").rglob("*.lock")
    yield from (git_dir / "objects").glob("*.lock")


def remove_locks(left: Iterable[Path]) -> None:
    """Remove lock files whose git is gone; git itself says why where that does not work."""
    for path in list(left):
        with contextlib.suppress(OSError):
            path.unlink()
