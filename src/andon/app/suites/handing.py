"""Hands jobs that split or select tests what they go by, as a file in their work tree.

All shards of a job must go by the same durations, or a test would be in no share. So what they are given
depends on the Run alone: on Runs that had ended before it was made.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from andon.adapters.blobs.files import FileBlobs
from andon.api.v1.actions import CancelJob, Done, Intent, JobDone, RunJob
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import ChangeSpec
from andon.kernel.clock import Clock
from andon.kernel.errors import Unavailable
from andon.ports import Executor
from andon.ports.store import Store, Tx

if TYPE_CHECKING:  # What few jobs need is loaded for those alone.
    from andon.app.suites.reading import GetBlob, Reports

PLACE = ".andon/tests.json"
"""Where the file is, in the work tree."""
VARIABLE = "ANDON_TEST_DURATIONS"
RUNS = 20
KEPT_SECONDS = 14 * 86400.0
"""The file is there for as long as a Run may wait and be tried again."""
_WORDS = "andon tests"


class Handing:
    """An executor that first hands jobs the history of their tests.

    Args:
        inner: Runs the jobs.
        store: The durable store.
        get: Reads a blob.
        put: Keeps one, and returns its digest.
    """

    def __init__(
        self, inner: Executor, store: Store, get: GetBlob, put: Callable[[bytes], str]
    ) -> None:
        self._inner = inner
        self._store = store
        self._get = get
        self._put = put

    async def run_job(self, action: RunJob, intent: Intent) -> JobDone:
        """Run a job to its end."""
        return await self._inner.run_job(await self._with_history(action), intent)

    async def cancel_job(self, action: CancelJob, intent: Intent) -> Done:
        """End a job."""
        return await self._inner.cancel_job(action, intent)

    async def _with_history(self, action: RunJob) -> RunJob:
        job = action.job
        env = {"ANDON_EVIDENCE": job.evidence or job.name}
        if job.shards > 1:
            env |= {"ANDON_SHARD": str(job.shard), "ANDON_SHARDS": str(job.shards)}
        if not asks(job) or action.digest:
            return replace(action, env=env | action.env)
        found, changed = await self._store.read(lambda tx: self._find(tx, action))
        try:
            digest = await asyncio.to_thread(self._keep, found, changed, job)
        except OSError as error:
            raise Unavailable(
                f"the history of its tests cannot be handed to job {job.name}: {error.strerror}",
                hint="andon doctor",
            ) from error
        return replace(
            action, env=env | {VARIABLE: PLACE} | action.env, takes=(*action.takes, digest)
        )

    def _find(self, tx: Tx, action: RunJob) -> tuple[Reports, tuple[str, ...]]:
        from andon.app.suites.reading import find

        run = tx.require("Run", action.run)
        known = tx.get("Change", run.spec.change)
        change: ChangeSpec | None = known.spec if known is not None else None
        found = find(
            tx,
            self._get,
            repository=action.repository,
            pipeline=change.pipeline_name if change is not None else "",
            runs=RUNS,
            before=run.created_at,
        )
        return found, (change.paths or ()) if change is not None else ()

    def _keep(self, found: Reports, changed: tuple[str, ...], job: JobPlan) -> str:
        from andon.app.suites.telling import history_of
        from andon.domains.pipelines.history import suite_name

        return self._put(archive(history_of(found, suite_name(job), self._get, changed)))


def handing(inner: Executor, store: Store, state: Path, clock: Clock) -> Handing:
    """Return an executor that hands jobs what is kept in a state folder."""
    blobs = FileBlobs(state / "blobs")

    def put(data: bytes) -> str:
        digest = blobs.put(data)
        blobs.keep_until(digest, clock.now() + KEPT_SECONDS)
        return digest

    return Handing(inner, store, blobs.get, put)


def asks(job: JobPlan) -> bool:
    """Say whether a job splits or selects its tests.

    >>> asks(JobPlan(name="unit", run="pytest $(andon tests split tests/*.py)"))
    True
    """
    return job.shards > 1 or _WORDS in job.run or any(_WORDS in step.run for step in job.steps)


def archive(value: object) -> bytes:
    """Return a tar with nothing but the file, the same for the same value."""
    import tarfile

    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        about = tarfile.TarInfo(PLACE)
        about.size = len(data)
        tar.addfile(about, io.BytesIO(data))
    return made.getvalue()
