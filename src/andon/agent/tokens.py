"""Fencing: what was changed under a newer token obeys no older one, not even after a restart."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from andon.adapters.process.files import read_json, write_json
from andon.kernel.errors import Fenced

_MOST_SCOPES = 4096


class _Seen(Struct, frozen=True, kw_only=True):
    """What is on disk: the highest token of each scope, oldest first, and of all forgotten ones."""

    floor: int = 0
    scopes: dict[str, int] = {}


class Tokens:
    """The highest fencing token seen of each scope.

    A bounded number of scopes is remembered. One that was forgotten is judged by the highest token
    among all forgotten: that may refuse too much, and whoever still owns its action then comes back
    with a newer token, but it never admits too much.

    Args:
        file: Where they are kept.
        most_scopes: How many are remembered.
    """

    def __init__(self, file: Path, most_scopes: int = _MOST_SCOPES) -> None:
        self._file = file
        self._most_scopes = most_scopes
        self._seen = read_json(file, _Seen) or _Seen()

    @property
    def highest(self) -> int:
        """The highest token of all scopes."""
        return max(self._seen.floor, *self._seen.scopes.values(), 0)

    def admit(self, scope: str, token: int) -> None:
        """Let a command on a scope pass; a newer token is on disk before this returns.

        Raises:
            Fenced: A newer token was seen.
            Unavailable: The disk is full.
        """
        known = self._seen.scopes.get(scope)
        least = self._seen.floor if known is None else known
        if token < least:
            raise Fenced(
                f"token {token} is over: the agent obeys token {least} for {scope}",
                hint="another worker has taken over; `andon status` says which",
            )
        if token != known:
            self._remember(scope, token)

    def _remember(self, scope: str, token: int) -> None:
        scopes = {**self._seen.scopes}
        scopes.pop(scope, None)  # What was used last stands last.
        scopes[scope] = token
        floor = self._seen.floor
        while len(scopes) > self._most_scopes:
            floor = max(floor, scopes.pop(next(iter(scopes))))
        seen = _Seen(floor=floor, scopes=scopes)
        write_json(self._file, seen)
        self._seen = seen
