"""Looks after running jobs now and then: at logs that grow too long, and at a disk that fills up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from andon.adapters.process.beside import log_name
from andon.adapters.process.disk import blame, over, room, used_bytes
from andon.adapters.process.layout import Layout
from andon.adapters.process.longlogs import shorten

_PAUSE_SECONDS = 0.25
"""A fast disk takes a few hundred MiB in this time."""
_MEASURED_SHARE = 20
"""To count what a job with a limit took may take one part in so many of the time."""


class Tenant(Struct, frozen=True, kw_only=True):
    """A job, by what it takes of the disk.

    Args:
        key: Its key.
        places: Its work tree and its folder for temporary files.
        logs: Its own, and those of its services.
        limit_bytes: What it may take in ``places``; 0: what there is.
    """

    key: str
    places: tuple[Path, ...]
    logs: tuple[Path, ...]
    limit_bytes: int = 0

    def used_bytes(self) -> int:
        """Count what it took, logs and all."""
        return used_bytes((*self.places, *self.logs))

    def over(self) -> str:
        """Say that it took more than it may."""
        return over(used_bytes(self.places), self.limit_bytes) if self.limit_bytes else ""

    def filled(self, state: Path) -> str:
        """Say that it took too much: more than its limit, or without one, what filled the disk."""
        if self.limit_bytes:
            return self.over()
        now = room(state)
        return blame(self.used_bytes(), now) if now.is_low else ""


def tenant(
    layout: Layout, key: str, log: str, services: tuple[str, ...] = (), limit_bytes: int = 0
) -> Tenant:
    """Describe a job by where it can write.

    Args:
        layout: The state folder.
        key: Its key.
        log: The name of its log.
        services: Names of those that have logs beside it.
        limit_bytes: What it may take; 0: what there is.
    """
    file = layout.log(log)
    return Tenant(
        key=key,
        places=(layout.work_tree(key), layout.temporary(key)),
        logs=(file, *(file.with_name(log_name(file.name, one)) for one in services)),
        limit_bytes=limit_bytes,
    )


class Watching:
    """Looks at the jobs that run.

    Args:
        state: A folder on the disk that is looked at.
        running: The jobs that run.
        end: Ends one by its key to make room; says that it took too much, or nothing if it did not.
    """

    def __init__(
        self,
        state: Path,
        running: Callable[[], list[Tenant]],
        end: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._state = state
        self._running = running
        self._end = end
        self._next: asyncio.TimerHandle | None = None
        self._at_work: asyncio.Task[None] | None = None
        self._measure_at = 0.0

    def begin(self) -> None:
        """Look as long as a job runs."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_later(_PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        self._next = None
        jobs = self._running()
        if not jobs:
            return
        for job in jobs:
            for log in job.logs:
                shorten(log)
        if self._at_work is None:
            self._choose(jobs)
        self.begin()

    def _choose(self, jobs: list[Tenant]) -> None:
        bounded = [job for job in jobs if job.limit_bytes]
        if room(self._state).is_low:
            self._begin(self._make_room(jobs))
        elif bounded and time.monotonic() >= self._measure_at:
            self._begin(self._measure(bounded))

    def _begin(self, work: Awaitable[None]) -> None:
        self._at_work = asyncio.ensure_future(work)
        self._at_work.add_done_callback(self._done)

    def _done(self, _: asyncio.Future[None]) -> None:
        self._at_work = None

    async def _measure(self, jobs: list[Tenant]) -> None:
        """End the jobs that took more than they may."""
        began = time.monotonic()
        said = [(job, await asyncio.to_thread(job.over)) for job in jobs]
        now = time.monotonic()
        self._measure_at = now + _MEASURED_SHARE * (now - began)
        for job, why in said:
            if why and self._runs(job):
                await self._end(job.key, why)

    async def _make_room(self, jobs: list[Tenant]) -> None:
        """End the job that took most of the disk, if that is much; ending others makes no room."""
        used = [(await asyncio.to_thread(job.used_bytes), job) for job in jobs]
        taken, largest = max(used, key=lambda one: one[0])
        why = blame(taken, room(self._state))
        if why and self._runs(largest):
            bounded = largest.limit_bytes > 0
            await self._end(largest.key, await asyncio.to_thread(largest.over) if bounded else why)

    def _runs(self, job: Tenant) -> bool:
        return any(job.key == one.key for one in self._running())
