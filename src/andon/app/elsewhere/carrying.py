"""Carries one leased job from its tree to its answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from andon.adapters.blobs.files import FileBlobs
from andon.adapters.filetree import remove_tree, work_tree
from andon.adapters.local import LocalExecutor
from andon.adapters.local.executor import JobAgent
from andon.adapters.oci.unpack import extract
from andon.adapters.process.layout import Layout
from andon.api.v1.actions import ActionFailed, CancelJob, Intent, JobDone
from andon.api.v1.answers import Kit
from andon.api.v1.jobs import SecretRef
from andon.app.elsewhere.talking import ControlPlane, Leased
from andon.kernel.errors import AndonError, Fenced, NotFound
from andon.runtime.performing import failure

ENDING_SECONDS = 5.0
"""Between two signs of life of a job that is being ended."""
LOG_SECONDS = 0.3

_log = logging.getLogger("andon.worker")


class _Tree:
    """The ``Source`` of one job: the tree that came with it."""

    def __init__(self, archive: Path, digest: str) -> None:
        self._archive = archive
        self._digest = digest

    def checkout(self, repository: str, sha: str, into: Path) -> None:
        """Unpack it, trusting nothing in it."""
        extract(self._archive, self._digest, into)

    def unpack(self, digest: str, into: Path) -> None:
        """Unpack it, for a job whose tree is an artifact."""
        extract(self._archive, self._digest, into)


class _Values:
    """The ``SecretReader`` of one job: what came with it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    async def values(self, refs: Mapping[str, SecretRef]) -> Mapping[str, str]:
        """Return them."""
        return {name: self._values[name] for name in refs if name in self._values}


class Carrier:
    """Runs leased jobs.

    Args:
        layout: Folder of this worker.
        runner: Runs jobs on this machine.
        plane: Who leased them.
    """

    def __init__(
        self,
        layout: Layout,
        runner: JobAgent,
        plane: ControlPlane,
    ) -> None:
        self._layout = layout
        self._runner = runner
        self._plane = plane
        self._blobs = FileBlobs(layout.state / "blobs")

    async def carry(self, job: Leased) -> None:
        """Run a job and answer it; one whose lease is over is ended here, and nothing is answered."""
        beating = asyncio.create_task(self._beat(job))
        working = asyncio.create_task(self._work(job))
        try:
            await asyncio.wait((beating, working), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            else:
                beating.result()
        except (Fenced, NotFound) as error:
            _log.warning(
                "%s: the lease is over (%s); the job is ended here", job.title, error.message
            )
            await self._end_here(job)
        finally:
            for task in (beating, working):
                task.cancel()
            await asyncio.gather(beating, working, return_exceptions=True)
        self._tidy(job)

    async def _beat(self, job: Leased) -> None:
        """Keep the lease; end the job when somebody asks for that."""
        while True:
            beat = await self._plane.beat(job)
            if beat["cancelled"]:
                await self._end_here(job)
                await asyncio.sleep(ENDING_SECONDS)

    async def _end_here(self, job: Leased) -> None:
        intent = Intent(key=f"{job.key}/cancel", epoch=job.lease)
        await self._runner.cancel_job(CancelJob(job_key=job.key), intent)

    async def _work(self, job: Leased) -> None:
        _log.info("%s: begins", job.title)
        outcome: JobDone | ActionFailed
        try:
            outcome = await self._outcome(job, await self._plane.begin(job))
        except (Fenced, NotFound):
            raise
        except AndonError as error:
            outcome = failure(error)
        await self._plane.end(job, outcome)
        _log.info("%s: %s", job.title, getattr(outcome, "state", "could not be run"))

    async def _outcome(self, job: Leased, kit: Kit) -> JobDone:
        executor = await self._executor(job, kit)
        intent = Intent(key=job.key, epoch=job.lease)
        telling = asyncio.create_task(self._tell_log(job))
        try:
            done = await executor.run_job(job.action, intent)
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        await self._finish_log(job)
        for digest in _left(done):
            await self._plane.send_blob(job, self._blobs.path(digest), digest)
        return done

    async def _executor(self, job: Leased, kit: Kit) -> LocalExecutor:
        tree = _Tree(self._archive(job), kit["tree"]["digest"])
        if not work_tree(self._layout.state / "work", job.key).is_dir():
            await self._plane.fetch(job, kit["tree"], self._archive(job))
        for blob in kit["blobs"]:
            if not self._blobs.has(blob["digest"]):
                part = self._archive(job).with_name(f"{job.job}.{blob['digest'][-16:]}")
                await self._plane.fetch(job, blob, part)
                await asyncio.to_thread(self._blobs.adopt, part, blob["digest"])
        return LocalExecutor(
            self._runner,
            cast(Any, tree),
            cast(Any, tree),
            self._layout.state / "work",
            secrets=_Values(kit["secrets"]),
        )

    def _archive(self, job: Leased) -> Path:
        return self._layout.state / "archives" / f"{job.job}.tar"

    # --- the log ---------------------------------------------------------------------------------

    def _log_file(self, job: Leased) -> Path:
        action = job.action
        return self._layout.logs / self._layout.job_log(action.run, action.job.name, job.key)

    async def _tell_log(self, job: Leased) -> None:
        """Send the log while it is written; the control plane knows how much of it there is."""
        sent = 0
        while True:
            with contextlib.suppress(FileNotFoundError):
                sent = await self._plane.send_log(job, self._log_file(job), sent)
            await asyncio.sleep(LOG_SECONDS)

    async def _finish_log(self, job: Leased) -> None:
        file, sent = self._log_file(job), 0
        while file.exists() and sent < file.stat().st_size:
            sent = await self._plane.send_log(job, file, sent)

    def _tidy(self, job: Leased) -> None:
        remove_tree(work_tree(self._layout.state / "work", job.key))
        self._archive(job).unlink(missing_ok=True)
        self._log_file(job).unlink(missing_ok=True)


def _left(done: JobDone) -> list[str]:
    """Return the blobs that an outcome names."""
    named = [
        done.artifact,
        done.tests.cases if done.tests else "",
        done.coverage.files if done.coverage else "",
    ]
    return [digest for digest in named if digest]
