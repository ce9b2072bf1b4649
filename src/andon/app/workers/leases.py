"""Jobs for workers elsewhere, and their leases: what is written in one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from andon.api.v1.access import Identity
from andon.api.v1.actions import ActionFailed, JobDone, RunJob
from andon.api.v1.control import NewObject, Selector
from andon.api.v1.records import Object
from andon.api.v1.workers import RemoteJobSpec, RemoteJobStatus, WorkerSpec, WorkerStatus
from andon.kernel.errors import Conflict, Fenced, NotFound
from andon.ports.store import Tx
from andon.ports.workers import FIRST_LEASE_SECONDS, LEASE_SECONDS, Hand

KEPT_SECONDS = 3 * 86400.0
"""So long an answer is kept for who asks again."""
SEEN_EVERY_SECONDS = 5.0
_OPEN = {"state": "open"}
_ENDED = {"state": "ended"}

Outcome = JobDone | ActionFailed


def job_name(key: str) -> str:
    """Return the name of the job of an intent.

    >>> job_name("01h/1/tests/0")
    'job-1530a13c321dba484c3363ad'
    """
    return f"job-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def post(tx: Tx, key: str, action: RunJob, now: float) -> Object:
    """Have a job wait for a worker; the same key finds it again."""
    spec = RemoteJobSpec(
        key=key,
        action=msgspec.json.encode(action).decode(),
        labels=action.job.runs_on,
        run=action.run,
        job=action.job.name,
        asked_at=now,
    )
    return _create(tx, spec, RemoteJobStatus(), _OPEN, now)


def _create(
    tx: Tx, spec: RemoteJobSpec, status: RemoteJobStatus, labels: dict[str, str], now: float
) -> Object:
    name = job_name(spec.key)
    new = NewObject(kind="RemoteJob", name=name, spec=spec, status=status, labels=labels)
    return tx.create(new, f"{int(now * 1000):015d}-{name}", now)[0]


def open_jobs(tx: Tx) -> list[Object]:
    """Return the jobs without outcome, the oldest first."""
    return tx.list(Selector(kind="RemoteJob", labels=_OPEN), limit=10_000)


# --- workers ------------------------------------------------------------------------------------


def greet(tx: Tx, worker: str, told: WorkerSpec, now: float) -> Object:
    """Know a worker, and that it is there.

    Raises:
        Conflict: Another token's worker goes by this name.
    """
    new = NewObject(kind="Worker", name=worker, spec=told, status=WorkerStatus(seen_at=now))
    known, created = tx.create(new, worker, now)
    if created:
        return known
    if known.spec.by != told.by and is_there(known, now):
        raise Conflict(
            f"the worker {worker} is {known.spec.by}'s", hint="`--name` gives this one another name"
        )
    known = tx.put_spec(known, told)
    return tx.put_status(known, replace(known.status, seen_at=now))


def miss(tx: Tx, known: Object) -> None:
    """Know that a worker has hung up, unless it has called again since."""
    now = tx.get("Worker", known.name)
    if now is not None and now.status.seen_at == known.status.seen_at:
        tx.put_status(now, replace(now.status, seen_at=0))


def is_there(worker: Object, now: float) -> bool:
    """Say whether a worker gave a sign of life lately."""
    return bool(worker.status.seen_at + LEASE_SECONDS > now)


def of_worker(jobs: Collection[Object], worker: str) -> list[Object]:
    """Return the jobs that a worker has."""
    return [one for one in jobs if one.status.worker == worker]


# --- leases -------------------------------------------------------------------------------------


def offer(tx: Tx, worker: Object, holding: Sequence[str], now: float) -> Object | None:
    """Lease a job to a worker; what it should have and knows nothing of goes first."""
    jobs = open_jobs(tx)
    mine = of_worker(jobs, worker.name)
    for job in mine:
        if job.name not in holding:
            if not job.status.begun:
                return _lease(tx, job, worker, now)
            _give_up(tx, job, f"worker {worker.name} has lost what it knew of it", now)
    if worker.status.drained_by or len(mine) >= worker.spec.at_once:
        return None
    fitting = (job for job in jobs if not job.status.worker and fits(job, worker))
    found = next(fitting, None)
    return _lease(tx, found, worker, now) if found else None


def fits(job: Object, worker: Object) -> bool:
    """Say whether a worker has all that a job asks for."""
    return set(job.spec.labels) <= set(worker.spec.labels)


def _lease(tx: Tx, job: Object, worker: Object, now: float) -> Object:
    leased = replace(
        job.status,
        worker=worker.name,
        holder=worker.spec.by,
        lease=job.status.lease + 1,
        taken_at=now,
        until=now + FIRST_LEASE_SECONDS,
    )
    return tx.put_status(job, leased)


def held(tx: Tx, hand: Hand) -> Object:
    """Return the job of a lease that still counts.

    Raises:
        NotFound: There is no such job.
        Fenced: Another lease counts by now, or it has ended.
    """
    job = known(tx, hand.job)
    if not _is_holder(job, hand.who, hand.lease):
        raise Fenced(
            f"{job.spec.run}/{job.spec.job}: lease {hand.lease} is over",
            hint="end the job here; what it did counts no more",
        )
    if job.status.outcome:
        raise Fenced(f"{job.spec.run}/{job.spec.job} has ended", hint="end the job here")
    return job


def known(tx: Tx, name: str) -> Object:
    """Return a job.

    Raises:
        NotFound: There is none of that name.
    """
    job = tx.get("RemoteJob", name)
    if job is None:
        raise NotFound(f"there is no job {name[:80]!r} for workers", hint="`andon workers list`")
    return job


def _is_holder(job: Object, who: Identity, lease: int) -> bool:
    return bool(job.status.holder == who.name and job.status.lease == lease)


def keep(tx: Tx, hand: Hand, now: float) -> Object:
    """Keep a lease for another while."""
    job = held(tx, hand)
    worker = tx.get("Worker", job.status.worker)
    if worker is not None and worker.status.seen_at + SEEN_EVERY_SECONDS <= now:
        tx.put_status(worker, replace(worker.status, seen_at=now))
    return tx.put_status(job, replace(job.status, until=now + LEASE_SECONDS))


def begin(tx: Tx, hand: Hand, now: float) -> Object:
    """Note that a job may be running from now on."""
    job = held(tx, hand)
    return tx.put_status(job, replace(job.status, begun=True, until=now + LEASE_SECONDS))


def answer(tx: Tx, hand: Hand, outcome: Outcome, now: float) -> Object:
    """Keep a worker's answer; the same hand may say it again, and the first one stays.

    Raises:
        Fenced: Another lease counts by now.
    """
    job = known(tx, hand.job)
    if job.status.outcome and _is_holder(job, hand.who, hand.lease):
        return job
    return end(tx, held(tx, hand), outcome, now)


def end(tx: Tx, job: Object, outcome: Outcome, now: float) -> Object:
    """Keep how a job ended; whoever had a lease of it is too late."""
    written = msgspec.json.encode(outcome).decode()
    job = tx.put_spec(job, job.spec, _ENDED)
    return tx.put_status(job, replace(job.status, outcome=written, ended_at=now))


def lapse(tx: Tx, key: str, since: float, now: float) -> Object | None:
    """Give a job up whose worker gives no sign any more; returns it.

    Args:
        tx: A transaction.
        key: Of its intent.
        since: From when on there was somebody here to hear a sign.
        now: Seconds since the Unix epoch.
    """
    job = tx.get("RemoteJob", job_name(key))
    if job is None or job.status.outcome or not job.status.worker:
        return job
    worker = job.status.worker
    if not job.status.begun:
        return _free(tx, job) if job.status.until <= now else job
    if max(job.status.until, since + LEASE_SECONDS) > now:
        return job
    return _give_up(tx, job, f"worker {worker} gave no sign for {LEASE_SECONDS:g} s", now)


def _free(tx: Tx, job: Object) -> Object:
    """Have a job that nobody has begun wait again; who had it is too late."""
    return tx.put_status(job, replace(job.status, worker="", holder="", lease=job.status.lease + 1))


def _give_up(tx: Tx, job: Object, why: str, now: float) -> Object:
    """End a job whose worker is lost; should that come back, it hears that its lease is over."""
    lost = JobDone(state="interrupted", fault="machine", reason="machine", message=why)
    job = tx.put_status(job, replace(job.status, lease=job.status.lease + 1))
    return end(tx, job, lost, now)


def cancel(tx: Tx, key: str, now: float) -> Object:
    """Have a job end; one that nobody has taken, or that comes later, does not start."""
    job = tx.get("RemoteJob", job_name(key))
    if job is None:
        spec = RemoteJobSpec(key=key, action="", labels=(), run="", job="", asked_at=now)
        job = _create(tx, spec, RemoteJobStatus(), _ENDED, now)
        return end(tx, job, _cancelled(), now)
    if job.status.outcome:
        return job
    if not job.status.worker:
        return end(tx, job, _cancelled(), now)
    return tx.put_status(job, replace(job.status, cancelled=True))


def _cancelled() -> JobDone:
    return JobDone(state="cancelled", message="cancelled before it started")


def sweep(tx: Tx, now: float) -> int:
    """Forget answers that nobody asks for again; how many there were."""
    ended = tx.list(Selector(kind="RemoteJob", labels=_ENDED), limit=500)
    over = [job for job in ended if job.status.ended_at + KEPT_SECONDS < now]
    for job in over:
        tx.forget(job)
    return len(over)


def waits(tx: Tx, run: str, now: float) -> dict[str, str]:
    """Say, by job, what jobs of a Run wait for that no worker has taken."""
    waiting = [one for one in open_jobs(tx) if one.spec.run == run and not one.status.worker]
    if not waiting:
        return {}
    there = [one for one in tx.list(Selector(kind="Worker")) if is_there(one, now)]
    return {job.spec.job: _wait(job, there) for job in waiting}


def _wait(job: Object, there: list[Object]) -> str:
    wanted = f"waits for a worker with labels {', '.join(job.spec.labels)}"
    able = [worker for worker in there if fits(job, worker)]
    if not able:
        return f"{wanted}: none is there"
    if all(worker.status.drained_by for worker in able):
        return f"{wanted}: {', '.join(worker.name for worker in able)} takes nothing new"
    return f"{wanted}: those that have them are busy"
