"""What comes into a job's work tree before it runs, and what is taken out of it after.

Before: artifacts of the jobs it needs, then its caches. After it passed: its reports, which decide with
its exit code; the artifact for those that need it; and its caches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
from msgspec import structs

from andon.adapters.blobs.files import FileBlobs, digest_of
from andon.adapters.durable import write_durably
from andon.adapters.filetree import work_tree
from andon.adapters.local.caches import MOST_BYTES, Caches, key_of, scope_of
from andon.adapters.local.picking import Putting, pick, refuse_leading_outside
from andon.adapters.oci.pack import write_tar
from andon.api.v1.actions import JobDone, RunJob, TestsDone
from andon.api.v1.jobs import CachePlan, JobPlan, ReportsPlan
from andon.kernel.errors import NotFound, StepFailed, Unavailable, Untrusted

REPORTS_KEPT_SECONDS = 400 * 86400.0
"""Single tests and lines of coverage are compared over a year."""


class Leavings:
    """Blobs and caches of one state folder.

    Args:
        state: The state folder.
        cache_bytes: The most that all caches may have together.
        now: The time, in seconds since the Unix epoch.
    """

    def __init__(
        self, state: Path, cache_bytes: int = MOST_BYTES, now: Callable[[], float] = time.time
    ) -> None:
        self._work = state / "work"
        self._logs = state / "logs"
        self._blobs = FileBlobs(state / "blobs")
        self._caches = Caches(state / "caches", now, cache_bytes)
        self._now = now

    def bring(self, action: RunJob, key: str, tree: Path) -> None:
        """Put into a fresh work tree what its job takes.

        Raises:
            Unavailable: An artifact it takes is not there any more.
            Untrusted: One was altered.
        """
        for digest in action.takes:
            self._unpack(digest, tree)
        if not action.job.caches:
            return
        scope = scope_of(action.repository, action.job.image)
        notes: dict[str, tuple[str, str]] = {}
        for plan in action.job.caches:
            cache_key = key_of(plan, tree)
            notes[plan.name] = cache_key, self._caches.restore(plan, scope, cache_key, tree)
        write_durably(self._notes(key), msgspec.json.encode(notes))

    def _unpack(self, digest: str, tree: Path) -> None:
        try:
            blob = self._blobs.path(digest)
        except NotFound:
            raise Unavailable(
                f"the artifact {digest} of a job that this one needs is not kept any more",
                hint="ship the change again, or keep artifacts longer (`artifacts.keepDays`)",
            ) from None
        if digest_of(blob) != digest:
            raise Untrusted(f"the artifact {digest} was altered", hint="ship the change again")
        with blob.open("rb") as tar:
            putting = Putting(os.fsencode(tree), replacing=True, any_links=False)
            putting.put(tar, blob.stat().st_size)

    def take(
        self, action: RunJob, key: str, done: JobDone, secrets: Collection[str] = ()
    ) -> JobDone:
        """Take out of a job's work tree what it leaves; return its outcome with that.

        Args:
            action: The job.
            key: Its key.
            done: How it ended.
            secrets: Values it knew, which reports may repeat.
        """
        tree = work_tree(self._work, key)
        if done.state not in ("passed", "failed") or not tree.is_dir():
            return done
        done = self._with_reports(action.job, done, tree, secrets)
        done = self._with_artifact(action.job, done, tree)
        return self._with_caches(action, key, done, tree)

    def _with_reports(
        self, job: JobPlan, done: JobDone, tree: Path, secrets: Collection[str]
    ) -> JobDone:
        if job.reports == ReportsPlan():
            return done
        from andon.adapters.reports import read_reports  # Parsers that few jobs need.

        read = read_reports(tree, job.reports, self._keep_report, secrets=secrets)
        done = structs.replace(
            done, tests=read.tests, coverage=read.coverage, benchmarks=read.benchmarks
        )
        done = _failed(done, "its reports tell less than was asked for", read.problems)
        return _failed(done, "its tests did not", _names_of_failures(read.tests))

    def _keep_report(self, data: bytes) -> str:
        digest = self._blobs.put(data)
        self._blobs.keep_until(digest, self._now() + REPORTS_KEPT_SECONDS)
        return digest

    def _with_artifact(self, job: JobPlan, done: JobDone, tree: Path) -> JobDone:
        if not job.artifacts or done.state != "passed":
            return done
        root = os.fsencode(tree)
        try:
            empty = [f"nothing is at {one}" for one in job.artifacts if not pick(root, (one,))]
            if empty:
                return _failed(done, "it left no artifact", tuple(empty))
            members = pick(root, job.artifacts)
            refuse_leading_outside(members)
            members = [structs.replace(member, changed_at=0) for member in members]
            digest, _ = self._blobs.add(lambda sink: write_tar(root, members, sink))
        except StepFailed as error:
            return _failed(done, "its artifact cannot be kept", (error.message,))
        self._blobs.keep_until(digest, self._now() + job.keep_artifacts_seconds)
        return structs.replace(done, artifact=digest)

    def _with_caches(self, action: RunJob, key: str, done: JobDone, tree: Path) -> JobDone:
        notes = self._read_notes(key)
        states = {name: state for name, (_, state) in notes.items()}
        if done.state == "passed" and action.trusted:
            scope = scope_of(action.repository, action.job.image)
            for plan in action.job.caches:
                if states.get(plan.name, "hit") != "hit":
                    states[plan.name] += self._kept(plan, scope, notes[plan.name][0], tree, done)
        return structs.replace(done, caches=states)

    def _kept(self, plan: CachePlan, scope: str, key: str, tree: Path, done: JobDone) -> str:
        problem = self._caches.keep(plan, scope, key, tree)
        if not problem:
            return "+kept"
        with (self._logs / done.log).open("ab") as log:
            log.write(f"andon: the cache {plan.name} was not kept: {problem}\n".encode())
        return ""

    def sweep(self) -> int:
        """Remove artifacts and reports that nobody need keep any longer; return how many."""
        return self._blobs.sweep(self._now())

    def _notes(self, key: str) -> Path:
        tree = work_tree(self._work, key)
        return tree.with_name(f"{tree.name}.caches")

    def _read_notes(self, key: str) -> dict[str, tuple[str, str]]:
        try:
            return msgspec.json.decode(
                self._notes(key).read_bytes(), type=dict[str, tuple[str, str]]
            )
        except (OSError, msgspec.MsgspecError):
            return {}


def _names_of_failures(tests: TestsDone | None) -> tuple[str, ...]:
    """Name the first tests that failed: an exit code that was swallowed hides none of them."""
    if tests is None or not tests.failed:
        return ()
    first = [case.id for case in tests.failures[:5]]
    more = tests.failed - len(first)
    return (*first, f"and {more} more") if more else tuple(first)


def _failed(done: JobDone, what: str, problems: tuple[str, ...]) -> JobDone:
    """Turn a pass into the change's failure; what failed anyhow stays as it is."""
    if not problems or done.state != "passed":
        return done
    message = f"the command passed, but {what}: " + "; ".join(problems)
    return structs.replace(
        done, state="failed", fault="change", reason="failure", message=message[:2000]
    )
