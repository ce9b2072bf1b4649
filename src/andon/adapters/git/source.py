"""A Source over the git command line."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from andon.adapters.filetree import take_lock
from andon.adapters.git.bare import ensure_bare, locks, remove_locks
from andon.adapters.git.command import GitFailed, environment, objects, run, sanitised
from andon.adapters.git.commits import parse_commit
from andon.adapters.git.locations import git_dir_of, is_remote
from andon.adapters.git.tree import entries, write_tree
from andon.kernel.errors import Conflict, NotFound, Unavailable, UsageError
from andon.ports import Commit

_SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_LARGEST_FILE_BYTES = 16 << 20
_LONGEST_REF = 1000
_MOST_PATHS_BYTES = 1 << 20
"""A change that touches more is known to touch anything."""
_NO_REF = re.compile(r"[\x00-\x20\x7f:\ud800-\udfff]|[@^]\{")
"""What no ref holds, and what would search the history by a pattern of whoever asks."""


class GitSource:
    """Reads local repositories in place, and remote ones through bare mirrors.

    Args:
        cache: Folder of the mirrors.
        fetch_timeout_seconds: How long a remote may take to answer.
    """

    def __init__(self, cache: Path, fetch_timeout_seconds: float = 300) -> None:
        self._cache = cache
        self._fetch_timeout_seconds = fetch_timeout_seconds

    def resolve(self, repository: str, ref: str) -> Commit:
        """Find a commit by branch, tag or (abbreviated) sha.

        Raises:
            NotFound: No such ref, or no such repository.
            Unavailable: The repository cannot be reached.
            UsageError: The ref or the address is not one.
        """
        if not 0 < len(ref) <= _LONGEST_REF or ref.startswith("-") or _NO_REF.search(ref):
            raise UsageError(f"{ref[:200]!r} is not a branch, tag or commit")
        if is_remote(repository) and not _SHA.match(ref):
            git_dir = self._fetched(repository)
            name = "refs/andon/HEAD" if ref == "HEAD" else ref
        else:
            git_dir, name = self._holding(repository, ref), ref
        with objects(git_dir) as store:
            found = store.content(f"{name}^{{commit}}")
        if found is None:
            raise self._no_such_ref(git_dir, repository, ref)
        return parse_commit(found[2]).as_commit(found[0])

    def read(self, repository: str, sha: str, path: str) -> bytes | None:
        """Return a file's content at a commit; None if it is not there.

        Raises:
            NotFound: No such commit.
        """
        git_dir = self._holding(repository, _full(sha))
        clean = "/".join(part for part in path.split("/") if part not in ("", "."))
        with objects(git_dir) as store:
            if store.content(f"{sha}^{{commit}}") is None:
                raise self._no_such_ref(git_dir, repository, sha)
            found = store.content(f"{sha}:{clean}", _LARGEST_FILE_BYTES)
        return found[2] if found and found[1] == "blob" else None

    def checkout(self, repository: str, sha: str, into: Path) -> None:
        """Write the tree of a commit into an empty folder, running nothing from the repository.

        Raises:
            Conflict: The folder is not empty.
            NotFound: No such commit.
            StepFailed: The tree reaches outside of itself.
        """
        git_dir = self._holding(repository, _full(sha))
        with objects(git_dir) as store:
            if store.content(f"{sha}^{{commit}}") is None:
                raise self._no_such_ref(git_dir, repository, sha)
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise Conflict(f"{into} is not empty: a commit is checked out into an empty folder")
        write_tree(git_dir, sha, into)

    def heads(self, repository: str) -> Mapping[str, str]:
        """Return the sha of every branch.

        Raises:
            NotFound: No such repository.
            Unavailable: It cannot be reached.
        """
        if is_remote(repository):
            listing = self._remote(["ls-remote", "--heads", "--", repository], repository)
        else:
            listing = _refs(git_dir_of(repository), "refs/heads/")
        return {name.removeprefix("refs/heads/"): sha for sha, name in _listed(listing)}

    def changed(self, repository: str, before: str, sha: str) -> tuple[str, ...] | None:
        """Return the paths that differ between two commits; None where that cannot be known.

        It cannot where the earlier commit is gone, where too much differs, or where a path is no UTF-8.

        Raises:
            NotFound: The later commit is not there.
        """
        git_dir = self._holding(repository, _full(sha))
        with objects(git_dir) as store:
            if store.content(f"{sha}^{{commit}}") is None:
                raise self._no_such_ref(git_dir, repository, sha)
            if store.content(f"{_full(before)}^{{commit}}") is None:
                return None
        options = ["-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv"]
        arguments = [f"--git-dir={git_dir}", "diff-tree", *options, before, sha, "--"]
        try:
            listing = run(arguments, most_bytes=_MOST_PATHS_BYTES).decode()
        except (Unavailable, UnicodeDecodeError):
            return None
        return tuple(path for path in listing.split("\0") if path)

    def digests(self, repository: str, sha: str) -> Mapping[str, str]:
        """Return mode and id of each file of a commit, by path.

        Raises:
            NotFound: No such commit.
        """
        git_dir = self._holding(repository, _full(sha))
        with objects(git_dir) as store:
            if store.content(f"{sha}^{{commit}}") is None:
                raise self._no_such_ref(git_dir, repository, sha)
        return {os.fsdecode(one.name): f"{one.mode:o} {one.sha}" for one in entries(git_dir, sha)}

    def _holding(self, repository: str, sha: str) -> Path:
        """Return a git folder that has a commit, if it can be had at all."""
        if not is_remote(repository):
            return git_dir_of(repository)
        mirror = self._mirror(repository)
        if (mirror / "HEAD").exists():
            with objects(mirror) as store:
                if store.content(f"{sha}^{{commit}}"):
                    return mirror
        return self._fetched(repository)

    def _mirror(self, repository: str) -> Path:
        return self._cache / f"{hashlib.sha256(repository.encode()).hexdigest()[:24]}.git"

    def _fetched(self, repository: str) -> Path:
        mirror = self._mirror(repository)
        ensure_bare(mirror)
        tip = self._remote(["ls-remote", "--", repository, "HEAD"], repository).split()
        specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        if tip:
            specs.append("+HEAD:refs/andon/HEAD")
        options = ["--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--force"]
        arguments = [f"--git-dir={mirror}", "fetch", *options, "--", repository, *specs]
        self._remote(arguments, repository, self._alone(mirror))
        return mirror

    def _alone(self, mirror: Path) -> tuple[int, ...]:
        """Wait until nobody fetches into a mirror; return the lock that says so, for git to hold.

        Git alone holds it, so that a worker that is stopped while it fetches stops no other.
        """
        lock = take_lock(mirror.with_suffix(".lock"), self._fetch_timeout_seconds)
        if lock is None:
            return ()
        remove_locks(locks(mirror))  # A git that was killed left them: no other runs there now.
        return (lock,)

    def _remote(self, arguments: list[str], repository: str, give: tuple[int, ...] = ()) -> bytes:
        try:
            return run(
                arguments,
                env=environment(remote=True),
                timeout_seconds=self._fetch_timeout_seconds,
                give=give,
            )
        except Unavailable as error:
            raise Unavailable(
                f"The repository {sanitised(repository)} cannot be read: {error.message}",
                hint="git ls-remote shows whether this machine may read it",
            ) from error

    def _no_such_ref(self, git_dir: Path, repository: str, ref: str) -> NotFound:
        listing = _refs(git_dir, "refs/heads/", "refs/tags/")
        names = [name.split("/", 2)[2] for _, name in _listed(listing)]
        near = difflib.get_close_matches(ref, names, n=3)
        what = "no commit yet" if not names else f"no branch, tag or commit {ref}"
        return NotFound(
            f"The repository {sanitised(repository)} has {what}",
            hint=_next_command(names, near),
        )


def _next_command(names: list[str], near: list[str]) -> str:
    if near:
        return f"nearest: {', '.join(near)}"
    return "git branch --all" if names else "git add --all; git commit -m 'the first one'"


def dirty(repository: str) -> bool:
    """Say whether a local work tree holds changes that no commit has; a bare repository has none.

    Raises:
        NotFound: There is no repository.
    """
    git_dir = git_dir_of(repository)
    if git_dir.name != ".git":
        return False
    base = [f"--git-dir={git_dir}", f"--work-tree={git_dir.parent}"]
    env = environment(_disabled_filters(base))
    status = ["-C", str(git_dir.parent), *base, "status", "--porcelain", "-z"]
    return bool(run([*status, "--ignore-submodules=all"], env=env))


def _disabled_filters(base: list[str]) -> list[tuple[str, str]]:
    """Blank the programs that the repository's configuration would run on its files."""
    pattern = r"^filter\..*\.(clean|smudge|process|required)$"
    try:
        names = run([*base, "config", "--name-only", "-z", "--get-regexp", pattern])
    except GitFailed:
        return []  # it has none
    # Byte for byte: a name that is not UTF-8 is a name, too.
    return [(os.fsdecode(name), "") for name in names.split(b"\0") if name]


def _refs(git_dir: Path, *patterns: str) -> bytes:
    form = "--format=%(objectname) %(refname)"
    return run([f"--git-dir={git_dir}", "for-each-ref", form, *patterns])


def _listed(listing: bytes) -> Iterator[tuple[str, str]]:
    """Read lines of an id and a name; the other side may have written them."""
    for line in listing.split(b"\n"):
        sha, _, name = _text(line.replace(b"\t", b" ", 1)).partition(" ")
        if _SHA.match(sha) and name.startswith("refs/") and name.isprintable():
            yield sha, name


def _full(sha: str) -> str:
    if not _SHA.match(sha):
        raise UsageError(f"{sha!r} is not a full commit id")
    return sha


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
