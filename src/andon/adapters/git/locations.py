"""What a repository's name means: a folder of this machine, or an address to mirror from."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from andon.kernel.errors import NotFound, UsageError

_REMOTE = {"https", "ssh", "git"}
_SCP = re.compile(r"^(?:[A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][\w.-]*:(?!//|:)\S+$")


def is_remote(repository: str) -> bool:
    """Say whether a repository is reached over the network.

    Raises:
        UsageError: It is neither a path nor an address of an allowed protocol.

    >>> is_remote("https://example.org/shop.git"), is_remote("git@example.org:shop"), is_remote("/srv/shop")
    (True, True, False)
    """
    if not repository or repository.startswith("-") or re.search(r"[\x00-\x1f\x7f]", repository):
        raise UsageError(f"{repository!r} is not a repository: give a path or an address")
    if re.match(r"^[A-Za-z0-9+.-]+::", repository):
        raise UsageError(f"{repository!r} would run a git helper program", hint=_allowed())
    if "://" in repository:
        scheme = urlsplit(repository).scheme
        if scheme not in _REMOTE | {"file"} or re.match(r"^\w+://([^/]*@)?-", repository):
            raise UsageError(f"{_public(repository)} cannot be read", hint=_allowed())
        return scheme != "file"
    return bool(_SCP.match(repository)) and not Path(repository).exists()


def _allowed() -> str:
    return "a path, file://, https://, ssh:// or git:// is read"


def _public(repository: str) -> str:
    return re.sub(r"://[^/@]*@", "://***@", repository)


def git_dir_of(repository: str) -> Path:
    """Find the git folder of a local repository, without walking up to somebody else's.

    Raises:
        NotFound: There is none.
    """
    path = Path(unquote(urlsplit(repository).path) if "://" in repository else repository)
    path = path.absolute()
    for candidate in (path / ".git", path):
        if candidate.is_file() or (
            (candidate / "HEAD").exists() and (candidate / "objects").is_dir()
        ):
            return candidate
    raise NotFound(f"There is no git repository at {path}", hint=f"git init {path}")
