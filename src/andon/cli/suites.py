"""What ``andon tests split`` and ``andon tests select`` go by, in a work tree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from andon.adapters.git import command as git
from andon.adapters.git.command import GitFailed
from andon.domains.pipelines.selection import Faulty, Past
from andon.domains.pipelines.split import words_of
from andon.kernel.errors import InvalidDocument, NotFound, UsageError

VARIABLE = "ANDON_TEST_DURATIONS"
_MOST_SOURCE_BYTES = 4 << 20


def handed_history(environ: Mapping[str, str], folder: Path) -> dict[str, Any] | None:
    """Return the history that Andon handed the job; None: it handed none.

    Args:
        environ: Environment variables.
        folder: Where the command runs; the file is looked for from there upwards.

    Raises:
        NotFound: It was handed one, and it is not there: other shards go by it.
        InvalidDocument: It cannot be read.
    """
    named = environ.get(VARIABLE, "")
    if not named:
        return None
    for place in (folder, *folder.parents):
        if (place / named).is_file():
            return read_history(place / named)
    raise NotFound(
        f"${VARIABLE} names {named}, which is not in {folder} nor above it",
        hint="run this within the job's work tree; a share made without it would lose tests",
    )


def read_history(file: Path) -> dict[str, Any]:
    """Read a history.

    Raises:
        InvalidDocument: It is none.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidDocument(f"{file} is no history of tests: {error}"[:300]) from None
    if "tests" not in found:  # ``{id: seconds}`` will do, too.
        found = {"tests": {name: {"seconds": value} for name, value in found.items()}}
    return found


def durations(history: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the seconds of each test, by id."""
    tests = history["tests"] if history is not None else {}
    try:
        return {
            name: float(one["seconds"]) for name, one in tests.items() if float(one["seconds"]) >= 0
        }
    except (TypeError, KeyError, ValueError):
        raise InvalidDocument("the durations of tests are no numbers") from None


def shard_of(given: int | None, environ: Mapping[str, str], name: str, least: int) -> int:
    """Return a number that was given, or that is in a variable of the job.

    Raises:
        UsageError: It is nowhere, or no number.
    """
    text = str(given) if given is not None else environ.get(name, "")
    if not text.isdecimal() or int(text) < least:
        raise UsageError(
            f"${name} is {text!r}" if text else f"${name} is not set",
            hint="outside of a job with `shards`: `andon tests split --shard 1 --shards 4`",
        )
    return int(text)


def changed_since(folder: Path, revision: str) -> list[str]:
    """Return the paths that differ from a revision, with what is not committed.

    Raises:
        UsageError: There is no such revision.
    """
    try:
        told = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        base = told.decode().strip()
        differing = _git(folder, "diff", "--name-only", "-z", "--no-renames", base, "--")
        fresh = _git(folder, "ls-files", "--others", "--exclude-standard", "-z")
    except GitFailed as error:
        raise UsageError(
            f"what changed since {revision!r} is not known: {error.message}",
            hint="name a commit that is there, such as `--since main`, in a git work tree",
        ) from None
    return sorted(_names(differing) | _names(fresh))


def root_of(folder: Path) -> Path:
    """Return the top of the work tree; the folder itself if it is in none."""
    try:
        return Path(os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    except GitFailed:
        return folder


def sources(root: Path) -> dict[str, str]:
    """Return the text of every Python file of a work tree, by path."""
    try:
        listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
        names = sorted(_names(listed))
    except GitFailed:
        names = sorted(_walked(root))
    found: dict[str, str] = {}
    for name in names:
        if name.endswith(".py"):
            text = _text(root / name)
            if text is not None:
                found[name] = text
    return found


def _text(file: Path) -> str | None:
    """Return a file's text; something that is no Python where it is none; None: it is not there."""
    try:
        if file.stat().st_size > _MOST_SOURCE_BYTES or not file.is_file():
            return "("
        return file.read_text("utf-8", "replace")
    except OSError:
        return None


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [one for one in folders if not one.startswith(".") and one != "node_modules"]
        for name in names:
            yield Path(folder, name).relative_to(root).as_posix()


def _git(folder: Path, *arguments: str) -> bytes:
    return git.run(("-C", str(folder), *arguments))


def _names(listed: bytes) -> set[str]:
    return {os.fsdecode(name) for name in listed.split(b"\0") if name}


def tests_among(paths: Mapping[str, str]) -> list[str]:
    """Return the files that pytest takes for tests, where nothing else is said."""
    return sorted(
        path
        for path in paths
        if (name := path.rpartition("/")[2]).startswith("test_") or name.endswith("_test.py")
    )


def past_of(tests: list[str], history: Mapping[str, Any] | None) -> dict[str, Past]:
    """Return what is known of each test, by what it is called here: of a file, the worst and the sum."""
    known: dict[tuple[str, ...], Past] = {}
    for id, one in (history["tests"] if history is not None else {}).items():
        words = words_of(id)
        for length in range(1, len(words) + 1):
            before = known.get(words[:length], Past())
            known[words[:length]] = Past(
                failed=max(before.failed, int(one.get("failed", 0))),
                failing=before.failing or bool(one.get("failing", False)),
                seconds=before.seconds + float(one.get("seconds", 0)),
            )
    return {test: known[words] for test in tests if (words := words_of(test)) in known}


def faulty_of(history: Mapping[str, Any] | None) -> list[Faulty]:
    """Return the changes of the past that broke tests."""
    rows = history.get("faulty", []) if history is not None else []
    return [Faulty(paths=tuple(one["paths"]), tests=tuple(one["tests"])) for one in rows]
