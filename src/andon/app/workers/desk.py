"""The desk at which workers elsewhere take jobs and answer them."""

from __future__ import annotations

import asyncio
import builtins
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from andon.adapters.blobs.files import FileBlobs, digest_of
from andon.adapters.filetree import remove_tree
from andon.adapters.local.leavings import REPORTS_KEPT_SECONDS
from andon.adapters.oci.pack import members, write_tar
from andon.adapters.process.layout import Layout
from andon.adapters.process.longlogs import add
from andon.api.v1 import answers
from andon.api.v1.access import Identity
from andon.api.v1.actions import ActionFailed, JobDone, RunJob
from andon.api.v1.control import Selector
from andon.api.v1.records import Object
from andon.api.v1.workers import WorkerSpec
from andon.app.acting import act
from andon.app.workers import leases
from andon.kernel.clock import Clock
from andon.kernel.errors import (
    AndonError,
    Conflict,
    Denied,
    Fenced,
    NotFound,
    Unavailable,
    UsageError,
)
from andon.ports.asking import Asked
from andon.ports.secrets import SecretReader
from andon.ports.store import Store, Tx
from andon.ports.workers import LARGEST_PIECE_BYTES, LEASE_SECONDS, Hand
from andon.runtime.performing import failure

LONGEST_WAIT_SECONDS = 25.0
LOOK_SECONDS = 0.25
_TREE = "tree.tar"

Gone = Callable[[], Awaitable[bool]]
Fill = Callable[[RunJob, Path], None]


class Desk:
    """The ``WorkerService``, and what the executor of remote jobs asks for.

    Args:
        store: The durable store.
        state: The state folder: logs, blobs, and what is on its way.
        fill: Writes the work tree of a job into an empty folder.
        secrets: Opens the secrets that a job names.
        clock: The time.
    """

    def __init__(
        self, store: Store, state: Path, fill: Fill, secrets: SecretReader, clock: Clock
    ) -> None:
        self._store = store
        self._layout = Layout(state)
        self._blobs = FileBlobs(state / "blobs")
        self._on_its_way = state / "remote"
        self._fill = fill
        self._secrets = secrets
        self._clock = clock
        self._changed = asyncio.Event()
        self._writing: dict[str, asyncio.Lock] = {}

    # --- for the executor ------------------------------------------------------------------------

    async def post(self, key: str, action: RunJob) -> None:
        """Have a job wait for a worker."""
        await self._store.transact(lambda tx: leases.post(tx, key, action, tx.now()))
        self._tell()

    async def outcome(self, key: str, since: float) -> JobDone | ActionFailed | None:
        """Return how a job ended; None: not yet. One whose worker is lost has ended, too.

        Args:
            key: Of its intent.
            since: From when on there was somebody here to hear signs of life.
        """
        job = await self._store.read(lambda tx: tx.get("RemoteJob", leases.job_name(key)))
        if job is not None and not job.status.outcome and job.status.until < self._clock.now():
            job = await self._store.transact(lambda tx: leases.lapse(tx, key, since, tx.now()))
        if job is None or not job.status.outcome:
            return None
        return msgspec.json.decode(job.status.outcome, type=JobDone | ActionFailed)

    async def cancel(self, key: str) -> None:
        """Have a job end, or never start."""
        await self._store.transact(lambda tx: leases.cancel(tx, key, tx.now()))
        self._tell()

    async def news(self) -> None:
        """Wait until something may have changed."""
        changed = self._changed
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await changed.wait()
        except TimeoutError:
            pass  # Another process may have changed it.

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- for people ------------------------------------------------------------------------------

    async def list(self) -> builtins.list[answers.RemoteWorker]:
        """List workers elsewhere, and what they do."""

        def rows(tx: Tx) -> builtins.list[answers.RemoteWorker]:
            jobs = leases.open_jobs(tx)
            return [_row(one, jobs, tx.now()) for one in tx.list(Selector(kind="Worker"))]

        return await self._store.read(rows)

    async def drain(self, name: str, *, asked: Asked) -> answers.RemoteWorker:
        """Have a worker take nothing new."""
        return await self._set_drained(name, asked, asked.by)

    async def resume(self, name: str, *, asked: Asked) -> answers.RemoteWorker:
        """Have a worker take jobs again."""
        return await self._set_drained(name, asked, "")

    async def _set_drained(self, name: str, asked: Asked, by: str) -> answers.RemoteWorker:
        def write(tx: Tx) -> answers.RemoteWorker:
            worker = tx.get("Worker", name)
            if worker is None:
                raise NotFound(f"there is no worker {name[:80]!r}", hint="`andon workers list`")
            status = msgspec.structs.replace(worker.status, drained_by=by)
            worker = tx.put_status(worker, status)
            return _row(worker, leases.open_jobs(tx), tx.now())

        row = await self._store.transact(lambda tx: act(tx, asked, tx.now(), write))
        self._tell()
        return row

    # --- for workers -----------------------------------------------------------------------------

    async def take(
        self,
        who: Identity,
        worker: str,
        *,
        labels: Sequence[str],
        at_once: int,
        version: str,
        holding: Sequence[str],
        wait_seconds: float,
        gone: Gone,
    ) -> answers.Offer:
        """Wait for a job that a worker can run, and lease it."""
        told = WorkerSpec(by=who.name, labels=tuple(labels), at_once=at_once, version=version)
        deadline = self._clock.now() + min(wait_seconds, LONGEST_WAIT_SECONDS)
        greeted = await self._store.transact(lambda tx: leases.greet(tx, worker, told, tx.now()))
        while not await gone():
            if await self._store.read(lambda tx: _may_offer(tx, worker, holding)):
                offered = await self._offer(worker, holding)
                if offered is not None:
                    return _offered(offered)
            known = await self._store.read(lambda tx: tx.require("Worker", worker))
            if known.status.drained_by or self._clock.now() >= deadline:
                return _nothing(draining=bool(known.status.drained_by))
            await self.news()
        await self._store.transact(lambda tx: leases.miss(tx, greeted))
        return _nothing(draining=False)

    async def _offer(self, worker: str, holding: Sequence[str]) -> Object | None:
        def write(tx: Tx) -> Object | None:
            return leases.offer(tx, tx.require("Worker", worker), holding, tx.now())

        try:
            return await self._store.transact(write)
        except Conflict:
            return None  # Another worker was quicker; what is left is looked at again.

    async def begin(self, hand: Hand, *, private: bool) -> answers.Kit:
        """Return what a job needs; one that cannot have it is answered here."""
        job = await self._store.read(lambda tx: leases.held(tx, hand))
        try:
            kit = await self._kit(job, private=private)
        except AndonError as error:
            why = failure(error)
            await self._store.transact(lambda tx: leases.answer(tx, hand, why, tx.now()))
            self._tell()
            raise Fenced(
                f"{job.spec.run}/{job.spec.job} cannot begin: {error.message}", hint=error.hint
            ) from error
        await self._store.transact(lambda tx: leases.begin(tx, hand, tx.now()))
        return kit

    async def _kit(self, job: Object, *, private: bool) -> answers.Kit:
        action = _action(job)
        refs = action.job.secrets if action.trusted else {}
        if refs and not private:
            raise Denied(
                f"{job.spec.run}/{job.spec.job} has secrets, and this connection can be overheard",
                hint="serve over TLS (docs/security.md), and start the worker with https://",
            )
        tree = await asyncio.to_thread(self._tree, action, job.name)
        values = await self._secrets.values(refs)
        blobs = [self._package(digest) for digest in action.takes]
        return {"tree": tree, "blobs": blobs, "secrets": dict(values)}

    def _tree(self, action: RunJob, name: str) -> answers.Package:
        file = self._on_its_way / name / _TREE
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=file.parent) as folder:
                root = Path(folder) / "tree"
                root.mkdir()
                self._fill(action, root)
                made = Path(folder) / _TREE
                with made.open("wb") as sink:
                    write_tar(bytes(root), members(bytes(root)), sink)
                made.replace(file)
                remove_tree(root)
        return {"digest": digest_of(file), "sizeBytes": file.stat().st_size}

    def _package(self, digest: str) -> answers.Package:
        if not self._blobs.has(digest):
            raise Unavailable(
                f"the artifact {digest} of a job that this one needs is not kept any more",
                hint="ship the change again, or keep artifacts longer (`artifacts.keepDays`)",
            )
        return {"digest": digest, "sizeBytes": self._blobs.path(digest).stat().st_size}

    async def piece(self, hand: Hand, digest: str, offset: int) -> bytes:
        """Return the next bytes of something that ``begin`` named."""
        job = await self._store.read(lambda tx: leases.held(tx, hand))
        if digest in _action(job).takes:
            file = self._blobs.path(digest)
        else:
            file = self._on_its_way / job.name / _TREE
        return await asyncio.to_thread(_read_piece, file, offset)

    async def beat(self, hand: Hand, *, wait_seconds: float, gone: Gone) -> answers.Beat:
        """Keep a lease, and wait for what its worker should know."""
        job = await self._store.transact(lambda tx: leases.keep(tx, hand, tx.now()))
        deadline = self._clock.now() + min(wait_seconds, LONGEST_WAIT_SECONDS)
        while not job.status.cancelled and self._clock.now() < deadline and not await gone():
            await self.news()
            job = await self._store.read(lambda tx: leases.held(tx, hand))
        return {"cancelled": job.status.cancelled}

    async def write_log(
        self, hand: Hand, offset: int, data: bytes, *, left_out_bytes: int = 0
    ) -> answers.Written:
        """Add to a job's log."""
        job = await self._store.read(lambda tx: leases.held(tx, hand))
        file = self._layout.logs / self._log(job)
        return await self._write(file, lambda: add(file, offset, data, left_out_bytes))

    async def _write(self, file: Path, write: Callable[[], int]) -> answers.Written:
        async with self._writing.setdefault(str(file), asyncio.Lock()):
            return {"sizeBytes": await asyncio.to_thread(write)}

    def _log(self, job: Object) -> str:
        return self._layout.job_log(job.spec.run, job.spec.job, job.spec.key)

    async def write_blob(
        self, hand: Hand, digest: str, offset: int, size_bytes: int, data: bytes
    ) -> answers.Written:
        """Add to a blob; the whole of it counts once it has its digest."""
        job = await self._store.read(lambda tx: leases.held(tx, hand))
        if self._blobs.has(digest):
            return {"sizeBytes": size_bytes}
        part = self._on_its_way / job.name / f"{digest.removeprefix('sha256:')}.part"
        written = await self._write(part, lambda: _append(part, offset, data))
        if written["sizeBytes"] >= size_bytes:
            await asyncio.to_thread(self._blobs.adopt, part, digest)
        return written

    async def end(self, hand: Hand, outcome: bytes) -> answers.Ended:
        """Answer a job, once."""
        done = _outcome(outcome)
        job = await self._store.read(lambda tx: leases.known(tx, hand.job))
        if isinstance(done, JobDone):
            done = msgspec.structs.replace(done, log=self._log(job))
            self._keep_blobs(done, _action(job).job.keep_artifacts_seconds)
        ended = await self._store.transact(lambda tx: leases.answer(tx, hand, done, tx.now()))
        await asyncio.to_thread(shutil.rmtree, self._on_its_way / job.name, ignore_errors=True)
        self._writing.pop(str(self._layout.logs / self._log(job)), None)
        self._tell()
        return {"job": ended.name, "state": str(getattr(done, "state", "failed"))}

    def _keep_blobs(self, done: JobDone, artifact_seconds: float) -> None:
        reports = [
            done.tests.cases if done.tests else "",
            done.coverage.files if done.coverage else "",
        ]
        named = {digest: REPORTS_KEPT_SECONDS for digest in reports if digest}
        if done.artifact:
            named[done.artifact] = artifact_seconds
        for digest, seconds in named.items():
            if self._blobs.has(digest):
                self._blobs.keep_until(digest, self._clock.now() + seconds)
            else:
                raise UsageError(
                    f"the outcome names the blob {digest[:80]}, which never came",
                    hint="upload it, then answer again",
                )


def _row(worker: Object, jobs: list[Object], now: float) -> answers.RemoteWorker:
    mine = leases.of_worker(jobs, worker.name)
    return {
        "name": worker.name,
        "labels": list(worker.spec.labels),
        "state": _state(worker, mine, now),
        "jobs": [f"{one.spec.run}/{one.spec.job}" for one in mine],
        "atOnce": worker.spec.at_once,
        "by": worker.spec.by,
        "version": worker.spec.version,
        "seenAt": worker.status.seen_at,
        "drainedBy": worker.status.drained_by,
    }


def _state(worker: Object, mine: list[Object], now: float) -> str:
    if not leases.is_there(worker, now):
        return "lost"
    if worker.status.drained_by:
        return "draining" if mine else "drained"
    return "busy" if mine else "ready"


def _may_offer(tx: Tx, worker: str, holding: Sequence[str]) -> bool:
    """Say whether it is worth a transaction."""
    me = tx.require("Worker", worker)
    jobs = leases.open_jobs(tx)
    forgotten = [one for one in leases.of_worker(jobs, worker) if one.name not in holding]
    free = [one for one in jobs if not one.status.worker and leases.fits(one, me)]
    return bool(forgotten or (free and not me.status.drained_by))


def _offered(job: Object) -> answers.Offer:
    return {
        "job": job.name,
        "lease": job.status.lease,
        "key": job.spec.key,
        "action": job.spec.action,
        "leaseSeconds": LEASE_SECONDS,
        "draining": False,
    }


def _nothing(*, draining: bool) -> answers.Offer:
    return {
        "job": "",
        "lease": 0,
        "key": "",
        "action": "",
        "leaseSeconds": LEASE_SECONDS,
        "draining": draining,
    }


def _action(job: Object) -> RunJob:
    return msgspec.json.decode(job.spec.action, type=RunJob)


def _outcome(data: bytes) -> JobDone | ActionFailed:
    try:
        return msgspec.json.decode(data, type=JobDone | ActionFailed)
    except msgspec.DecodeError as error:
        raise UsageError(f"the outcome cannot be read: {error}") from None


def _read_piece(file: Path, offset: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(LARGEST_PIECE_BYTES)


def _append(file: Path, offset: int, data: bytes) -> int:
    """Append what is not there yet; what would leave a gap is not taken."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as opened:
        size = opened.tell()
        new = data[size - offset :] if offset <= size else b""
        opened.write(new)
    return size + len(new)
