"""What a repository's name means: a folder of this machine, or an address to mirror from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from andon.kernel.errors import NotFound, UsageError

_LONGEST = 2000
_REMOTE = {"https", "ssh", "git"}
_SCP = re.compile(r"^(?:[A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][\w.-]*:(?!//|:)\S+$")


def is_remote(repository: str) -> bool:
    """Say whether a repository is reached over the network.

    Raises:
        UsageError: It is neither a path nor an address of an allowed protocol.

    >>> is_remote("https://example.org/shop.git"), is_remote("git@example.org:shop"), is_remote("/srv/shop")
    (True, True, False)
    """
    if (
        not 0 < len(repository) <= _LONGEST
        or repository.startswith("-")
        or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", repository)
    ):
        raise UsageError(f"{repository[:200]!r} is not a repository: give a path or an address")
    if re.match(r"^[A-Za-z0-9+.-]+::", repository):
        raise UsageError(f"{repository!r} would run a git helper program", hint=_allowed())
    if "://" in repository:
        scheme = _split(repository).scheme
        if scheme not in _REMOTE | {"file"} or re.match(r"^\w+://([^/]*@)?-", repository):
            raise UsageError(f"{_public(repository)} cannot be read", hint=_allowed())
        if scheme == "file":
            _path(repository)
        return scheme != "file"
    return bool(_SCP.match(repository)) and not os.path.exists(repository)


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise UsageError(f"{_public(address)!r} is no address: {error}", hint=_allowed()) from None


def _path(address: str) -> Path:
    url = _split(address)
    path = unquote(url.path)
    if url.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise UsageError(f"{_public(address)!r} names no folder", hint="file:///path/of/it")
    return Path(path)


def _allowed() -> str:
    return "a path, file://, https://, ssh:// or git:// is read"


def _public(repository: str) -> str:
    return re.sub(r"://[^/@]*@", "://***@", repository)


def git_dir_of(repository: str) -> Path:
    """Find the git folder of a local repository, without walking up to somebody else's.

    Raises:
        NotFound: There is none.
    """
    path = (_path(repository) if "://" in repository else Path(repository)).absolute()
    for candidate in (path / ".git", path):
        if os.path.isfile(candidate) or (
            os.path.exists(candidate / "HEAD") and os.path.isdir(candidate / "objects")
        ):
            return candidate
    raise NotFound(f"There is no git repository at {path}", hint=f"git init {path}")
