"""Has a worker elsewhere run a job, and waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from andon.api.v1.actions import ActionFailed, CancelJob, Done, Intent, JobDone, RunJob
from andon.kernel.clock import Clock
from andon.kernel.errors import from_code


class Desk(Protocol):
    """Where workers take jobs and answer them; what it knows outlives this process."""

    async def post(self, key: str, action: RunJob) -> None:
        """Have a job wait for a worker; the same key finds it again."""
        ...

    async def outcome(self, key: str, since: float) -> JobDone | ActionFailed | None:
        """Return how a job ended; None: not yet. ``since``: from when on signs of life were heard."""
        ...

    async def cancel(self, key: str) -> None:
        """Have a job end, or never start."""
        ...

    async def news(self) -> None:
        """Wait until something may have changed."""
        ...


Arrive = Callable[[RunJob, str, JobDone], None]


def _nothing(action: RunJob, key: str, done: JobDone) -> None:
    """Leave it at that."""


class RemoteExecutor:
    """The ``Executor`` of jobs that run on machines with labels.

    Args:
        desk: Where workers come.
        clock: The time.
        arrive: Makes the work tree of a job that passed, from its commit and the files that it left, so that
            they can be packed here.
    """

    def __init__(self, desk: Desk, clock: Clock, arrive: Arrive = _nothing) -> None:
        self._desk = desk
        self._clock = clock
        self._arrive = arrive

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        """Wait until a worker has run a job; after a restart the same key finds its lease."""
        since = self._clock.now()
        await self._desk.post(intent.key, action)
        while (done := await self._desk.outcome(intent.key, since)) is None:
            await self._desk.news()
        if isinstance(done, ActionFailed):
            raise from_code(done.code, done.message, done.hint)
        if done.state == "passed":
            await asyncio.to_thread(self._arrive, action, intent.key, done)
        return done

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """Have its worker end a job; one that nobody has taken never starts."""
        await self._desk.cancel(action.job_key)
        return Done()
