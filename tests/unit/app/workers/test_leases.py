"""Leases of jobs for workers elsewhere, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from andon.api.v1.access import Identity
from andon.api.v1.actions import JobDone, RunJob
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import Object
from andon.api.v1.workers import WorkerSpec
from andon.app.workers import leases
from andon.kernel.errors import Conflict, Fenced, NotFound
from andon.ports.store import Store, Tx
from andon.ports.workers import FIRST_LEASE_SECONDS, LEASE_SECONDS, Hand
from andon.store import open_store
from andon.testing.postgres import PostgresServer

T = TypeVar("T")
NOW = 1_700_000_000.0
KEY = "01h/1/train/0"
GPU = Identity(name="service:gpu")
OTHER = Identity(name="service:other")
PASSED = JobDone(state="passed", exit_code=0)


def action(*labels: str, job: str = "train") -> RunJob:
    plan = JobPlan(name=job, run="true", runs_on=labels)
    return RunJob(run="build-shop-1", repository="shop", sha="0" * 40, job=plan)


def told(*labels: str, by: str = "service:gpu", at_once: int = 1) -> WorkerSpec:
    return WorkerSpec(by=by, labels=labels, at_once=at_once)


def outcome(job: Object) -> JobDone:
    return msgspec.json.decode(job.status.outcome, type=JobDone)


class Leases:
    """What holds on every database."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def do(self, store: Store) -> Callable[[Callable[[Tx], T]], T]:
        import asyncio

        return lambda fn: asyncio.run(store.transact(fn))

    def leased(self, do, *labels: str, now: float = NOW) -> tuple[Object, Hand]:
        do(lambda tx: leases.post(tx, KEY, action(*labels), NOW))
        worker = do(lambda tx: leases.greet(tx, "one", told(*labels), now))
        job = do(lambda tx: leases.offer(tx, worker, (), now))
        return job, Hand(who=GPU, job=job.name, lease=job.status.lease)

    def test_job_is_offered_to_one_worker_that_has_all_its_labels(self, do) -> None:
        do(lambda tx: leases.post(tx, KEY, action("gpu", "linux"), NOW))
        plain = do(lambda tx: leases.greet(tx, "plain", told("linux"), NOW))
        assert do(lambda tx: leases.offer(tx, plain, (), NOW)) is None
        fit = do(lambda tx: leases.greet(tx, "fit", told("linux", "gpu", "big"), NOW))
        job = do(lambda tx: leases.offer(tx, fit, (), NOW))
        assert (job.status.worker, job.status.holder, job.status.lease) == ("fit", "service:gpu", 1)
        again = do(lambda tx: leases.greet(tx, "second", told("linux", "gpu"), NOW))
        assert do(lambda tx: leases.offer(tx, again, (), NOW)) is None

    def test_same_key_finds_the_same_job(self, do) -> None:
        first = do(lambda tx: leases.post(tx, KEY, action("gpu"), NOW))
        assert do(lambda tx: leases.post(tx, KEY, action("gpu"), NOW + 5)).uid == first.uid

    def test_outcome_of_an_older_lease_is_refused(self, do) -> None:
        job, old = self.leased(do, "gpu")
        late = NOW + FIRST_LEASE_SECONDS + 1
        do(lambda tx: leases.lapse(tx, KEY, NOW, late))
        worker = do(lambda tx: leases.greet(tx, "two", told("gpu"), late))
        again = do(lambda tx: leases.offer(tx, worker, (), late))
        assert (again.name, again.status.worker) == (job.name, "two")
        new = Hand(who=GPU, job=again.name, lease=again.status.lease)
        for speak in (
            lambda tx: leases.keep(tx, old, late),
            lambda tx: leases.begin(tx, old, late),
            lambda tx: leases.held(tx, old),
            lambda tx: leases.answer(tx, old, PASSED, late),
        ):
            with pytest.raises(Fenced):
                do(speak)
        ended = do(lambda tx: leases.answer(tx, new, PASSED, late))
        assert outcome(ended).state == "passed"

    def test_another_token_cannot_speak_for_a_lease(self, do) -> None:
        job, hand = self.leased(do, "gpu")
        stolen = Hand(who=OTHER, job=job.name, lease=hand.lease)
        with pytest.raises(Fenced):
            do(lambda tx: leases.answer(tx, stolen, PASSED, NOW))
        with pytest.raises(NotFound):
            do(lambda tx: leases.held(tx, Hand(who=GPU, job="job-none", lease=1)))

    def test_answer_counts_once_and_may_be_said_again(self, do) -> None:
        _, hand = self.leased(do, "gpu")
        do(lambda tx: leases.answer(tx, hand, PASSED, NOW))
        again = do(lambda tx: leases.answer(tx, hand, JobDone(state="failed"), NOW))
        assert outcome(again).state == "passed"
        with pytest.raises(Fenced):
            do(lambda tx: leases.keep(tx, hand, NOW))

    def test_worker_that_gives_no_sign_is_lost_and_its_job_interrupted(self, do) -> None:
        _, hand = self.leased(do, "gpu")
        do(lambda tx: leases.begin(tx, hand, NOW))
        late = NOW + LEASE_SECONDS + 1
        here = do(lambda tx: leases.lapse(tx, KEY, late - 5, late))
        assert not here.status.outcome, "nobody was here to hear it"
        ended = do(lambda tx: leases.lapse(tx, KEY, NOW, late))
        assert (outcome(ended).state, outcome(ended).fault) == ("interrupted", "machine")
        with pytest.raises(Fenced):
            do(lambda tx: leases.answer(tx, hand, PASSED, late))

    def test_lease_is_kept_by_signs_of_life(self, do) -> None:
        _, hand = self.leased(do, "gpu")
        do(lambda tx: leases.begin(tx, hand, NOW))
        do(lambda tx: leases.keep(tx, hand, NOW + LEASE_SECONDS - 1))
        job = do(lambda tx: leases.lapse(tx, KEY, NOW, NOW + LEASE_SECONDS + 1))
        assert not job.status.outcome

    def test_offer_that_was_not_heard_is_made_again_under_another_lease(self, do) -> None:
        job, old = self.leased(do, "gpu")
        worker = do(lambda tx: tx.require("Worker", "one"))
        assert do(lambda tx: leases.offer(tx, worker, (job.name,), NOW)) is None
        again = do(lambda tx: leases.offer(tx, worker, (), NOW))
        assert (again.name, again.status.lease) == (job.name, old.lease + 1)

    def test_worker_that_lost_what_it_knew_does_not_run_a_job_twice(self, do) -> None:
        job, hand = self.leased(do, "gpu")
        do(lambda tx: leases.begin(tx, hand, NOW))
        worker = do(lambda tx: tx.require("Worker", "one"))
        assert do(lambda tx: leases.offer(tx, worker, (), NOW)) is None
        ended = do(lambda tx: tx.require("RemoteJob", job.name))
        assert outcome(ended).state == "interrupted"

    def test_cancelled_job_never_starts_or_is_told_to_end(self, do) -> None:
        do(lambda tx: leases.cancel(tx, "k/1/later/0", NOW))
        late = do(lambda tx: leases.post(tx, "k/1/later/0", action("gpu"), NOW))
        assert outcome(late).state == "cancelled"
        _, hand = self.leased(do, "gpu")
        assert do(lambda tx: leases.cancel(tx, KEY, NOW)).status.cancelled
        assert do(lambda tx: leases.keep(tx, hand, NOW)).status.cancelled
        do(lambda tx: leases.post(tx, "k/1/waits/0", action("gpu"), NOW))
        waiting = do(lambda tx: leases.cancel(tx, "k/1/waits/0", NOW))
        assert outcome(waiting).state == "cancelled"

    def test_full_or_drained_worker_is_offered_nothing_new(self, do) -> None:
        job, _ = self.leased(do, "gpu")
        do(lambda tx: leases.post(tx, "k/1/second/0", action("gpu", job="second"), NOW))
        worker = do(lambda tx: tx.require("Worker", "one"))
        assert do(lambda tx: leases.offer(tx, worker, (job.name,), NOW)) is None
        said = do(lambda tx: leases.waits(tx, "build-shop-1", NOW))
        assert said == {
            "second": "waits for a worker with labels gpu: those that have them are busy"
        }
        status = msgspec.structs.replace(worker.status, drained_by="person:ann")
        drained = do(lambda tx: tx.put_status(worker, status))
        more = msgspec.structs.replace(drained, spec=told("gpu", at_once=5))
        assert do(lambda tx: leases.offer(tx, more, (job.name,), NOW)) is None
        said = do(lambda tx: leases.waits(tx, "build-shop-1", NOW))
        assert said["second"].endswith("one takes nothing new")

    def test_name_of_a_worker_that_is_there_is_not_another_ones(self, do) -> None:
        do(lambda tx: leases.greet(tx, "one", told(), NOW))
        with pytest.raises(Conflict, match="service:gpu"):
            do(lambda tx: leases.greet(tx, "one", told(by="service:other"), NOW + 1))
        late = NOW + LEASE_SECONDS + 1
        taken = do(lambda tx: leases.greet(tx, "one", told(by="service:other"), late))
        assert taken.spec.by == "service:other"

    def test_worker_that_hung_up_is_not_there_unless_it_called_again(self, do) -> None:
        first = do(lambda tx: leases.greet(tx, "one", told(), NOW))
        second = do(lambda tx: leases.greet(tx, "one", told(), NOW + 1))
        do(lambda tx: leases.miss(tx, first))
        assert leases.is_there(do(lambda tx: tx.require("Worker", "one")), NOW + 1)
        do(lambda tx: leases.miss(tx, second))
        assert not leases.is_there(do(lambda tx: tx.require("Worker", "one")), NOW + 1)

    def test_old_answers_are_forgotten(self, do) -> None:
        _, hand = self.leased(do, "gpu")
        do(lambda tx: leases.answer(tx, hand, PASSED, NOW))
        assert do(lambda tx: leases.sweep(tx, NOW + 60)) == 0
        assert do(lambda tx: leases.sweep(tx, NOW + leases.KEPT_SECONDS + 1)) == 1


class TestSqlite(Leases):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        opened = open_store(str(tmp_path / "control.db"), source="/andon/test")
        yield opened
        opened.close()


class TestPostgres(Leases):
    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[Store]:
        opened = open_store(server.new_schema(), source="/andon/test")
        yield opened
        opened.close()
