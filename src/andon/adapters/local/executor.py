"""Gives every job its own work tree before the agent runs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from andon.adapters.filetree import making, remove_abandoned, remove_tree, settle, work_tree
from andon.adapters.local.opening import opened
from andon.adapters.process.masked import refuse_strangers
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.api.v1.jobs import JobPlan, ReportsPlan
from andon.kernel.errors import Unavailable
from andon.ports import ArtifactStore, Source
from andon.ports.secrets import SecretReader

if TYPE_CHECKING:
    from andon.adapters.local.leavings import Leavings


class JobAgent(Protocol):
    """Runs jobs on this machine."""

    async def run_job(self, action: RunJob, intent: Intent, secrets: Mapping[str, str]) -> JobDone:
        """Run a job to its end, with values of secrets by environment variable."""
        ...

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job's whole process group."""
        ...


class LocalExecutor:
    """Runs jobs through the agent of this machine.

    A work tree appears by rename, whole or not at all; it is kept, with what the job left in it, until
    ``sweep_work``.

    Args:
        agent: Runs the job in ``work_tree(work, intent.key)``.
        source: Checks out commits.
        artifacts: Unpacks digests.
        work: Folder of all work trees.
        secrets: Opens the secrets that a job names, when it begins.
        leavings: Artifacts, reports and caches; None: those of the state folder that ``work`` is in.
        small: Writing a commit takes no longer than asking another thread to do it.
    """

    def __init__(
        self,
        agent: JobAgent,
        source: Source,
        artifacts: ArtifactStore,
        work: Path,
        *,
        secrets: SecretReader,
        leavings: Leavings | None = None,
        small: bool = False,
    ) -> None:
        self._agent = agent
        self._source = source
        self._artifacts = artifacts
        self._work = work
        self._secrets = secrets
        self._given = leavings
        self._small = small

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        """Run a job to its end; the same key finds its work tree and the job again."""
        refuse_strangers(action)
        if self._small and not (action.takes or action.digest or action.job.caches):
            self._fill_at_once(action, intent.key)
        else:
            await asyncio.to_thread(self._ensure_tree, action, intent.key)
        values = await opened(action.job.secrets, self._secrets)
        done = await self._agent.run_job(action, intent, values)
        return await self._left(action, intent.key, done, values)

    async def _left(
        self, action: RunJob, key: str, done: JobDone, values: Mapping[str, str]
    ) -> JobDone:
        if not _leaves(action.job):
            return done
        known = list(values.values())
        try:
            return await asyncio.to_thread(self._leavings.take, action, key, done, known)
        except OSError as error:
            raise Unavailable(
                f"what job {action.job.name} left cannot be kept: {error.strerror}",
                hint="andon doctor",
            ) from error

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job's whole process group."""
        return await self._agent.cancel_job(action, intent)

    def sweep_work(self, keep: Collection[str], before: float) -> None:
        """Remove work trees that nobody needs any more, what killed workers left, and old artifacts.

        Args:
            keep: Uids of Runs whose trees stay.
            before: Only trees that were begun before this, in seconds since the Unix epoch.
        """
        self._leavings.sweep()
        if not self._work.is_dir():
            return
        for path in self._work.iterdir():
            if path.name.startswith("."):
                remove_abandoned(path)
            elif path.name.partition("_")[0] not in keep and path.stat().st_mtime < before:
                remove_tree(path)

    def drop_tree(self, key: str) -> None:
        """Remove the work tree of a job that nobody needs any more."""
        remove_tree(work_tree(self._work, key))

    @cached_property
    def _leavings(self) -> Leavings:
        from andon.adapters.local.leavings import Leavings  # A small job needs nothing of it.

        return self._given or Leavings(self._work.parent)

    def _fill_at_once(self, action: RunJob, key: str) -> None:
        """Fill a tree in its place: what a killed process left half-filled there, its next start removes."""
        tree = work_tree(self._work, key)
        try:
            os.mkdir(tree, mode=0o755)
        except FileExistsError:
            return
        except OSError as error:
            raise _unmakeable(tree, error) from error
        try:
            self._fill(action, tree)
        except BaseException as error:
            remove_tree(tree)
            if isinstance(error, OSError):
                raise _unmakeable(tree, error) from error
            raise

    def _ensure_tree(self, action: RunJob, key: str) -> None:
        tree = work_tree(self._work, key)
        if tree.is_dir():
            return
        try:
            with making(tree) as made:
                self._fill(action, made)
                if action.takes or action.job.caches:
                    self._leavings.bring(action, key, made)
                settle(made, tree)
        except OSError as error:
            raise _unmakeable(tree, error) from error

    def _fill(self, action: RunJob, into: Path) -> None:
        if action.digest:
            self._artifacts.unpack(action.digest, into)
        else:
            self._source.checkout(action.repository, action.sha, into)


def _leaves(job: JobPlan) -> bool:
    """Say whether a job leaves anything that is kept."""
    return bool(job.artifacts or job.caches or job.reports != ReportsPlan())


def _unmakeable(tree: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The work tree {tree} cannot be made: {error.strerror}", hint="andon doctor"
    )
