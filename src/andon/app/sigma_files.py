"""Sigma rules of a repository's policy branch: read with the other rules, kept as text, compiled later.

Whoever may push there may write anything. So there are so many files at most, of so many bytes, and nothing
of them is looked into here; what is left out is said.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from andon.api.project import Definitions
from andon.ports import Source
from andon.ports.store import Tx

FOLDER = "security/"
SUFFIXES = (".yml", ".yaml")
MOST_FILES = 50
MOST_FILE_BYTES = 64 << 10
MOST_BYTES = 256 << 10
SETTING = "sigma:"


class SigmaFiles(Struct, frozen=True, kw_only=True):
    """Rules of a repository.

    Args:
        revision: Of its policy branch.
        services: Whose lines they look at: those that the repository defines.
        files: Text by path.
        problems: What was left out.
    """

    revision: str
    services: tuple[str, ...] = ()
    files: dict[str, str] = {}
    problems: tuple[str, ...] = ()


def read_sigma_files(
    source: Source, repository: str, revision: str, rules: Definitions
) -> SigmaFiles:
    """Read what lies in the folder ``security`` of a commit.

    Args:
        source: Where the repository is read.
        repository: Path or URL.
        revision: Full sha, of the policy branch.
        rules: What else it says.
    """
    modes = source.digests(repository, revision)
    paths = sorted(
        path
        for path, said in modes.items()
        if path.startswith(FOLDER) and path.endswith(SUFFIXES) and said.startswith("100")
    )
    files: dict[str, str] = {}
    problems: list[str] = []
    left = MOST_BYTES
    for path in paths[:MOST_FILES]:
        if left <= 0:
            problems.append(f"{_shown(path)} and what follows: {MOST_BYTES >> 10} KiB are read")
            break
        text = _text(source.read(repository, revision, path))
        if text is None:
            problems.append(f"{_shown(path)}: it is too large to be a rule, or no text")
        elif is_rule(text):
            files[path] = text
            left -= len(text)
    if len(paths) > MOST_FILES:
        problems.append(f"only {MOST_FILES} files of {FOLDER} are read; there are {len(paths)}")
    services = tuple(sorted(rules.services))
    return SigmaFiles(revision=revision, services=services, files=files, problems=tuple(problems))


def is_rule(text: str) -> bool:
    r"""Say whether a file means to be a rule; others may lie in such a folder, too.

    >>> is_rule("title: T\nlogsource: {}\ndetection:\n  x: y\n"), is_rule("kind: NetworkPolicy\n")
    (True, False)
    """
    return any(line.startswith("detection:") for line in text.splitlines())


def _text(data: bytes | None) -> str | None:
    if data is None or len(data) > MOST_FILE_BYTES:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _shown(path: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in path[:200])


def keep_sigma_files(tx: Tx, repository: str, told: SigmaFiles) -> None:
    """Let the rules of a repository be these."""
    if told.files or told.problems:
        tx.put_setting(SETTING + repository, msgspec.json.encode(told).decode())
    else:
        tx.remove_setting(SETTING + repository)


def kept_sigma_files(tx: Tx) -> dict[str, SigmaFiles]:
    """Return the rules of all repositories, by repository."""
    return {
        key.removeprefix(SETTING): msgspec.json.decode(text, type=SigmaFiles)
        for key, text in tx.settings(SETTING).items()
    }
