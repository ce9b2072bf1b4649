"""A bare repository as one file."""

from __future__ import annotations

from pathlib import Path

from andon.adapters.filetree import fsync_folder, making, settle
from andon.adapters.git.command import GitFailed, run

BRANCH = "refs/heads/main"


def head(repository: Path) -> str:
    """Return the commit that ``main`` names; empty if there is none."""
    if not (repository / "HEAD").exists():
        return ""
    try:
        return run([f"--git-dir={repository}", "rev-parse", "--verify", BRANCH]).decode().strip()
    except GitFailed:
        return ""


def write(repository: Path, bundle: Path) -> str:
    """Write ``main`` with all its history; its head, empty if there is nothing to write."""
    found = head(repository)
    if found:
        run([f"--git-dir={repository}", "bundle", "create", "--quiet", str(bundle), BRANCH])
    return head_of(bundle) if found else ""


def head_of(bundle: Path) -> str:
    """Return the head that a bundle holds."""
    listed = run(["bundle", "list-heads", str(bundle), BRANCH]).decode().split()
    return listed[0] if listed else ""


def restore(bundle: Path, repository: Path) -> None:
    """Make a repository of a bundle, whole or not at all, its objects checked.

    Raises:
        GitFailed: That is no bundle, or what it holds is damaged.
    """
    with making(repository) as made:
        run(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", str(made)])
        git = f"--git-dir={made}"
        found = run([git, "bundle", "unbundle", str(bundle), BRANCH]).decode().split()[0]
        run([git, "fsck", "--strict", "--no-progress", found])
        run([git, "update-ref", BRANCH, found])
        settle(made, repository)
    fsync_folder(repository.parent)


def holds(repository: Path, commit: str) -> bool:
    """Say whether ``main`` contains a commit."""
    try:
        run([f"--git-dir={repository}", "merge-base", "--is-ancestor", commit, BRANCH])
    except GitFailed:
        return False
    return True
