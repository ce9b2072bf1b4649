"""Bare repositories that several processes use at once."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from andon.adapters.filetree import fsync_folder
from andon.adapters.git.command import run


def ensure_bare(path: Path, env: Mapping[str, str] | None = None) -> None:
    """Have an empty bare repository, if there is none; it appears by rename, whole or not at all."""
    if (path / "HEAD").exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        made = Path(folder) / "made"
        options = ["--quiet", "--bare", "--template=", "--initial-branch=main"]
        run(["init", *options, "--", str(made)], env=env)
        try:
            made.rename(path)
        except OSError:
            if not (path / "HEAD").exists():  # else another process was quicker
                raise
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
