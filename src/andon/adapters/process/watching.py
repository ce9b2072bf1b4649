"""Looks after running jobs now and then: at logs that grow too long, and at a disk that fills up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from andon.adapters.process.beside import log_name
from andon.adapters.process.disk import blame, room, used_bytes
from andon.adapters.process.layout import Layout
from andon.adapters.process.longlogs import shorten
from andon.adapters.process.records import JobRecord

_PAUSE_SECONDS = 0.25
"""A fast disk takes a few hundred MiB in this time."""


class Watching:
    """Looks at the jobs that run.

    Args:
        layout: The state folder.
        running: The jobs that run.
        end: Ends one to make room.
    """

    def __init__(
        self,
        layout: Layout,
        running: Callable[[], list[JobRecord]],
        end: Callable[[JobRecord], Awaitable[None]],
    ) -> None:
        self._layout = layout
        self._running = running
        self._end = end
        self._next: asyncio.TimerHandle | None = None
        self._making_room: asyncio.Task[None] | None = None

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
            for log in logs_of(self._layout, job):
                shorten(log)
        if room(self._layout.state).is_low and self._making_room is None:
            self._making_room = asyncio.create_task(self._make_room(jobs))
            self._making_room.add_done_callback(self._made_room)
        self.begin()

    async def _make_room(self, jobs: list[JobRecord]) -> None:
        """End the job that took most of the disk, if that is much; ending others makes no room."""
        used = [
            (await asyncio.to_thread(used_bytes, places(self._layout, job)), job) for job in jobs
        ]
        taken, largest = max(used, key=lambda one: one[0])
        still_runs = any(job.key == largest.key for job in self._running())
        if still_runs and blame(taken, room(self._layout.state)):
            await self._end(largest)

    def _made_room(self, _: asyncio.Task[None]) -> None:
        self._making_room = None


def logs_of(layout: Layout, job: JobRecord) -> Iterable[Path]:
    """Return the logs of a job and of its services."""
    log = layout.log(job.log)
    return log, *(log.with_name(log_name(log.name, service)) for service in job.services)


def places(layout: Layout, job: JobRecord) -> list[Path]:
    """Return where a job can write."""
    return [layout.work_tree(job.key), layout.temporary(job.key), *logs_of(layout, job)]
