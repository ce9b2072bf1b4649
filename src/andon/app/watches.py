"""Watched branches: a push ships by itself."""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from andon.api.v1 import answers
from andon.kernel.clock import Clock
from andon.kernel.errors import AndonError, NotFound
from andon.ports import Source
from andon.ports.store import Store

log = logging.getLogger("andon.watch")

SETTING = "watches"
SHORTEST_INTERVAL_SECONDS = 0.5

Json = dict[str, Any]


class Watches:
    """Polls branches and ships what is new.

    Args:
        store: Where the list is kept.
        source: Where repositories are read.
        clock: The time.
        ship: Called with (repository, branch) when a branch has moved.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        clock: Clock,
        ship: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._ship = ship
        self._state: dict[tuple[str, str], Json] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._changed = asyncio.Event()

    async def list(self) -> list[answers.Watch]:
        """Return the watched branches with what was last seen."""
        nothing = {"sha": "", "message": ""}
        seen = {(one["repository"], one["branch"]): one for one in await self._load()}
        return [
            {
                **one,
                "sha": self._state.get(key, nothing)["sha"],
                "message": self._state.get(key, nothing)["message"],
            }
            for key, one in seen.items()
        ]

    async def add(self, repository: str, branch: str, interval_seconds: float) -> answers.NewWatch:
        """Watch a branch, or change how often it is looked at.

        Raises:
            NotFound: No such repository or branch.
        """
        await asyncio.to_thread(self._source.resolve, repository, branch)
        one: answers.NewWatch = {
            "repository": repository,
            "branch": branch,
            "intervalSeconds": max(interval_seconds, SHORTEST_INTERVAL_SECONDS),
        }
        await self._save([other for other in await self._load() if not _same(other, one)] + [one])
        return one

    async def remove(self, repository: str, branch: str) -> answers.Branch:
        """Stop watching.

        Raises:
            NotFound: It was not watched.
        """
        one: answers.Branch = {"repository": repository, "branch": branch}
        known = await self._load()
        kept = [other for other in known if not _same(other, one)]
        if len(kept) == len(known):
            raise NotFound(f"{repository} {branch} is not watched", hint="`andon watch list`")
        await self._save(kept)
        return one

    async def run(self) -> None:
        """Poll until cancelled; a repository out of reach is said and tried again."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            watched = await self._load()
            for one in watched:
                key = (one["repository"], one["branch"])
                if self._due.get(key, 0.0) <= now:
                    self._due[key] = now + one["intervalSeconds"]
                    await self._look(*key)
            soonest = min(
                (self._due[one["repository"], one["branch"]] for one in watched), default=now + 60
            )
            try:
                async with asyncio.timeout(max(0.05, soonest - self._clock.now())):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _look(self, repository: str, branch: str) -> None:
        key = (repository, branch)
        seen = self._state.get(key, {}).get("sha", "")
        try:
            commit = await asyncio.to_thread(self._source.resolve, repository, branch)
            if commit.sha != seen:
                await self._ship(repository, branch)
            self._state[key] = {"sha": commit.sha, "message": ""}
        except AndonError as error:
            if self._state.get(key, {}).get("message") != error.message:
                log.warning("watching %s %s: %s", repository, branch, error.message)
            self._state[key] = {"sha": seen, "message": error.message}

    async def _load(self) -> builtins.list[answers.NewWatch]:
        text = await self._store.read(lambda tx: tx.get_setting(SETTING))
        known: builtins.list[answers.NewWatch] = json.loads(text or "[]")
        return known

    async def _save(self, watched: builtins.list[answers.NewWatch]) -> None:
        text = json.dumps(watched)
        await self._store.transact(lambda tx: tx.put_setting(SETTING, text))
        self._changed.set()


def _same(one: answers.Branch, other: answers.Branch) -> bool:
    return (one["repository"], one["branch"]) == (other["repository"], other["branch"])
