"""The desired state: a bare git repository that Andon owns.

``<environment>/<service>.json`` holds a version. Commits are made by plumbing, carry the idempotency key
and the worker's fencing token as trailers, and move the branch by compare-and-swap: that alone keeps
writers apart, so that one that is stopped half-way stops no other, and is refused when it goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from andon.adapters.filetree import fsync_folder, locked_if_free
from andon.adapters.git.bare import ensure_bare, remove_locks
from andon.adapters.git.command import GitFailed, environment, objects, run
from andon.adapters.git.commits import parse_commit, trailers
from andon.api.v1.actions import DesiredWritten, Intent, WriteDesired
from andon.api.v1.records import Version
from andon.kernel.clock import Clock
from andon.kernel.digest import canonical_json, short
from andon.kernel.errors import Conflict, Fenced, Unavailable, UsageError

_BRANCH = "refs/heads/main"
_ATTEMPTS = 10
_PATIENCE_SECONDS = 1.0
_KEY, _TOKEN = "Idempotency-Key", "Fencing-Token"
_DURABLE = (
    ("core.fsync", "all"),
    ("core.fsyncMethod", "fsync"),
    ("core.filesRefLockTimeout", "1000"),
)
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class DesiredCommit(Struct, frozen=True, kw_only=True):
    """One write to the desired state; ``version`` is None where the service was taken out."""

    commit: str
    version: Version | None
    key: str
    token: int
    message: str
    committed_at: float


class GitDesiredState:
    """Reads and writes the desired state.

    Args:
        path: The bare repository; made by the first write.
        clock: Dates the commits.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path.absolute()
        self._clock = clock
        self._known = _Known()
        self._learning = threading.Lock()

    async def write_desired(self, action: WriteDesired, intent: Intent) -> DesiredWritten:
        """Commit by compare-and-swap.

        Raises:
            Conflict: Something else than ``expected`` is written there, and ``force`` is not set.
            Fenced: This service was written there under a newer token.
        """
        return await asyncio.to_thread(self._write, action, intent)

    def read(self, environment: str) -> Mapping[str, Version]:
        """Return the version desired for each service of an environment."""
        return self._read(self._head(), _checked(environment))

    def history(self, environment: str, service: str, limit: int = 20) -> tuple[DesiredCommit, ...]:
        """Return the last writes to a service in an environment, newest first."""
        head, file = self._head(), f"{_checked(environment)}/{_checked(service)}.json"
        if not head:
            return ()
        listing = self._git("rev-list", f"--max-count={limit}", head, "--", file)
        with objects(self._path) as store:
            found = []
            for sha in listing.decode().split():
                raw, blob = store.content(sha), store.content(f"{sha}:{file}")
                found.append(_told(sha, raw[2] if raw else b"", blob[2] if blob else None))
        return tuple(found)

    def highest_token(self) -> int:
        """Return the highest token of all writes; a database put back from a copy must draw above it."""
        return max(self._learned(self._head()).tokens.values(), default=0)

    # --- writing --------------------------------------------------------------------------------

    def _write(self, action: WriteDesired, intent: Intent) -> DesiredWritten:
        _checked(action.environment), _checked(action.service)
        if not intent.key or re.search(r"[\x00-\x20]", intent.key):
            raise UsageError(f"{intent.key!r} is not an idempotency key")
        ensure_bare(self._path, self._environment())
        queue = self._path.with_name(f"{self._path.name}.lock")
        with locked_if_free(queue, _PATIENCE_SECONDS) as lock:
            for _ in range(_ATTEMPTS):
                head = self._head()
                earlier = self._admitted(action, intent, head)
                if earlier:
                    return DesiredWritten(commit=earlier)
                commit = self._commit(action, intent, head)
                if self._moved(commit, head, lock):
                    return DesiredWritten(commit=commit)
        raise Unavailable(
            f"The desired state {self._path} keeps moving: somebody else writes there"
        )

    def _admitted(self, action: WriteDesired, intent: Intent, head: str) -> str:
        """Return the commit that this intent made earlier, if it did; refuse what may not be written."""
        known = self._learned(head)
        resource = _resource(action)
        newest = known.tokens.get(resource, 0)
        if intent.epoch < newest:
            raise Fenced(
                f"{resource} was desired under token {newest}: token {intent.epoch} is over",
                hint="another worker has taken over; `andon status` says which",
            )
        if intent.key in known.commits:
            return known.commits[intent.key]
        found = self._read(head, action.environment).get(action.service)
        if not action.force and _identity(found) != _identity(action.expected):
            raise Conflict(
                f"{action.service} in {action.environment} is desired at {_spoken(found)}, "
                f"not at {_spoken(action.expected)} as this write expected",
                hint=f"andon why {action.service}",
            )
        return ""

    def _commit(self, action: WriteDesired, intent: Intent, head: str) -> str:
        file = b"%s.json" % action.service.encode()
        folder = self._entries(f"{head}:{action.environment}" if head else "")
        folder.pop(file, None)
        if action.version is not None:
            body = canonical_json(_body(action, action.version)) + b"\n"
            blob = self._git("hash-object", "-w", "--stdin", input=body).strip()
            folder[file] = b"100644 blob %s" % blob
        root = self._entries(f"{head}:" if head else "")
        root.pop(action.environment.encode(), None)
        if folder:
            root[action.environment.encode()] = b"040000 tree %s" % self._tree(folder)
        tree = self._tree(root).decode()
        parent = ["-p", head] if head else []
        return (
            self._git("commit-tree", tree, *parent, "-F", "-", input=_message(action, intent))
            .decode()
            .strip()
        )

    def _entries(self, tree: str) -> dict[bytes, bytes]:
        if not tree:
            return {}
        try:
            listing = self._git("ls-tree", "-z", tree)
        except GitFailed:
            return {}  # the environment is not there yet
        lines = (line.partition(b"\t") for line in listing.split(b"\0")[:-1])
        return {name: facts for facts, _, name in lines}

    def _tree(self, entries: dict[bytes, bytes]) -> bytes:
        lines = b"".join(b"%s\t%s\0" % (facts, name) for name, facts in entries.items())
        return self._git("mktree", "-z", input=lines).strip()

    def _moved(self, commit: str, head: str, lock: int | None) -> bool:
        """Move the branch if it still stands where it stood; locks that a killed git left are removed."""
        before = self._inodes()
        try:
            old = head or "0" * len(commit)
            holding = () if lock is None else (lock,)
            self._git("update-ref", _BRANCH, commit, old, keep_open=holding)
        except GitFailed:
            if self._head() != head:
                return False
            # Git holds its own for milliseconds only, and whoever holds the queue's is the only writer.
            left = [path for path, inode in self._inodes().items() if before.get(path) == inode]
            if lock is None or not left:
                raise
            remove_locks(left)
            return False
        fsync_folder(self._path / "refs" / "heads")
        return True

    def _inodes(self) -> dict[Path, int]:
        """Look at the locks that git takes to move the branch (HEAD's too, as it names the branch)."""
        paths = [self._path / f"{name}.lock" for name in ("HEAD", _BRANCH)]
        return {path: inode for path in paths if (inode := _inode(path)) is not None}

    # --- reading --------------------------------------------------------------------------------

    def _head(self) -> str:
        if not (self._path / "HEAD").exists():
            return ""
        with objects(self._path) as store:
            found = store.content(f"{_BRANCH}^{{commit}}")
        return found[0] if found else ""

    def _read(self, head: str, environment: str) -> dict[str, Version]:
        files = self._entries(f"{head}:{environment}") if head else {}
        if not files:
            return {}
        with objects(self._path) as store:
            found: dict[str, Version] = {}
            for name, facts in files.items():
                blob = store.content(facts.split()[-1].decode())
                if name.endswith(b".json") and blob:
                    found[name.decode().removesuffix(".json")] = _version(blob[2])
        return found

    def _learned(self, head: str) -> _Known:
        """Take up the trailers of the commits since the last look (all of them, the first time)."""
        with self._learning:
            known = self._known
            if head != known.head:
                new = [head, f"^{known.head}"] if known.head else [head]
                shas = self._git("rev-list", "--reverse", *new).decode().split()
                with objects(self._path) as store:
                    for sha in shas:
                        raw = store.content(sha)
                        known.learn(sha, raw[2] if raw else b"")
            return known

    def _git(self, *arguments: str, input: bytes = b"", keep_open: tuple[int, ...] = ()) -> bytes:
        return run(
            [f"--git-dir={self._path}", *arguments],
            input=input,
            env=self._environment(),
            keep_open=keep_open,
        )

    def _environment(self) -> dict[str, str]:
        moment = f"@{int(self._clock.now())} +0000"
        identity = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", "Andon"), ("EMAIL", "andon@localhost"), ("DATE", moment))
        }
        return environment(_DURABLE, extra=identity)


class _Known:
    """What the history says about keys, and about the tokens of each service in an environment."""

    def __init__(self) -> None:
        self.head = ""
        self.tokens: dict[str, int] = {}
        self.commits: dict[str, str] = {}

    def learn(self, sha: str, raw: bytes) -> None:
        message = parse_commit(raw).message
        said = trailers(message)
        self.head = sha
        resource = message.partition(": ")[0]
        self.tokens[resource] = max(self.tokens.get(resource, 0), _token(said))
        if said.get(_KEY):
            self.commits.setdefault(said[_KEY], sha)


def _token(said: Mapping[str, str]) -> int:
    text = said.get(_TOKEN, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _resource(action: WriteDesired) -> str:
    return f"{action.environment}/{action.service}"


def _told(sha: str, raw: bytes, blob: bytes | None) -> DesiredCommit:
    commit = parse_commit(raw)
    said = trailers(commit.message)
    return DesiredCommit(
        commit=sha,
        version=_version(blob) if blob is not None else None,
        key=said.get(_KEY, ""),
        token=_token(said),
        message=commit.message.rpartition("\n\n")[0],
        committed_at=commit.committed_at,
    )


def _message(action: WriteDesired, intent: Intent) -> bytes:
    plain = " ".join(action.message.replace("\0", "").split())
    subject = f"{_resource(action)}: {_spoken(action.version)}"
    why = f"\n\n{plain}" if plain else ""
    said = f"{_KEY}: {intent.key}\n{_TOKEN}: {intent.epoch}"
    return f"{subject}{why}\n\n{said}\n".encode("utf-8", "replace")


def _body(action: WriteDesired, version: Version) -> dict[str, Any]:
    return {
        "service": action.service,
        "environment": action.environment,
        "digest": version.digest,
        "configHash": version.config_hash,
        "change": version.change,
    }


def _version(blob: bytes) -> Version:
    try:
        body = json.loads(blob)
        return Version(
            digest=body["digest"], config_hash=body["configHash"], change=body.get("change", "")
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"The desired state holds a file that is no version: {error}") from error


def _identity(version: Version | None) -> tuple[str, str] | None:
    return (version.digest, version.config_hash) if version else None


def _spoken(version: Version | None) -> str:
    return f"{short(version.digest)} ({version.config_hash})" if version else "nothing"


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(
            f"{name!r} is not a name: lower-case letters, digits and dashes, at most 63"
        )
    return name


def _inode(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
