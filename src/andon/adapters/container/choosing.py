"""Jobs that name an image run in a container, all others as the host's agent runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob

_NO_SECRETS: Mapping[str, str] = {}


class Runner(Protocol):
    """Runs jobs on this machine."""

    async def run_job(self, action: RunJob, intent: Intent, secrets: Mapping[str, str]) -> JobDone:
        """Run a job to its end."""
        ...

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job."""
        ...


class ByImage:
    """Hands each job to who is meant for it.

    Args:
        plain: Runs jobs without an image.
        contained: Runs those with one.
    """

    def __init__(self, plain: Runner, contained: Runner) -> None:
        self._plain = plain
        self._contained = contained

    async def run_job(
        self, action: RunJob, intent: Intent, secrets: Mapping[str, str] = _NO_SECRETS
    ) -> JobDone:
        """Run a job to its end."""
        chosen = self._contained if action.job.image else self._plain
        return await chosen.run_job(action, intent, secrets)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job wherever it is, or is going to be."""
        await self._contained.cancel_job(action, intent)
        return await self._plain.cancel_job(action, intent)
