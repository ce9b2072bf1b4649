"""Chooses who runs a job, by what it says."""

from __future__ import annotations

from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.ports import Executor


class RoutedExecutor:
    """The ``Executor`` that hands each job to the one that is meant for it.

    Args:
        here: Runs jobs on this machine.
        elsewhere: Runs those that name labels.
    """

    def __init__(self, here: Executor, elsewhere: Executor) -> None:
        self._here = here
        self._elsewhere = elsewhere

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        """Run a job to its end."""
        chosen = self._elsewhere if action.job.runs_on else self._here
        return await chosen.run_job(action, intent)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job wherever it is, or is going to be."""
        await self._elsewhere.cancel_job(action, intent)
        return await self._here.cancel_job(action, intent)
