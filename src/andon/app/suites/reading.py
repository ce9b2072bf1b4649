"""Finds the reports of past Runs: what their jobs' outcomes name, whatever became of them.

Nothing is kept besides: an outcome is kept with its Run, and the tests in the blob that it names.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import Struct

from andon.api.v1.actions import CaseDone, JobDone
from andon.api.v1.control import Selector
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import ChangeSpec, Object, RunSpec, StepRow
from andon.domains.pipelines.history import Suite, suite_name
from andon.kernel.errors import AndonError
from andon.kernel.ids import idempotency_key
from andon.ports.store import Tx

PAGE = 200
MOST_SCANNED = 2000
"""So many builds are looked through for those of one Pipeline."""
ENDED = frozenset({"Succeeded", "Failed"})

GetBlob = Callable[[str], bytes]
_cases = msgspec.json.Decoder(CaseDone)


class Reports(Struct, kw_only=True):
    """What is known of one Pipeline's Runs, without the tests themselves.

    Args:
        repository: Where the Pipeline is.
        pipeline: Its name.
        newest: The newest Change that it built.
        runs: Runs that ended, by their verdict's name, with when they were made; newest first.
        suites: Every report of every attempt.
        retried: Runs that passed with jobs that had failed before, with those jobs.
        paths: What each Change touched, where that is known.
        unread: Blobs that could not be read.
        others: How many Runs there are of each Pipeline that was seen: (repository, name).
    """

    repository: str = ""
    pipeline: str = ""
    newest: ChangeSpec | None = None
    runs: dict[str, float] = {}
    suites: list[Suite] = []
    retried: dict[str, set[str]] = {}
    paths: dict[str, tuple[str, ...]] = {}
    unread: set[str] = set()
    others: dict[tuple[str, str], int] = {}


def find(
    tx: Tx,
    get: GetBlob,
    *,
    repository: str = "",
    pipeline: str = "",
    runs: int = 100,
    before: float = 0,
) -> Reports:
    """Find the reports of the newest Runs that ended.

    Args:
        tx: A snapshot.
        get: Reads a blob; used later, when the tests are read.
        repository: Only its Pipelines; empty: that of the newest Run.
        pipeline: Only this one; empty: that of the newest Run.
        runs: So many Runs.
        before: Only Runs that had ended by then, in seconds since the Unix epoch; 0: all.
    """
    found = Reports(
        repository=repository,
        pipeline=pipeline,
        runs={},
        suites=[],
        retried={},
        paths={},
        unread=set(),
        others={},
    )
    changes: dict[str, ChangeSpec | None] = {}
    for run in _builds(tx):
        change = _change(tx, run, changes)
        ended = run.status.phase in ENDED and (not before or run.status.finished_at <= before)
        if not ended or not _counts(run, change):
            continue
        which = run.spec.build.repository, change.pipeline_name if change is not None else ""
        found.others[which] = found.others.get(which, 0) + 1
        if _is_other(found, *which):
            continue
        found.repository, found.pipeline = which
        found.newest = found.newest or change
        name = _verdict_run(run)
        if name in found.runs or len(found.runs) < runs:
            found.runs[name] = min(run.created_at, found.runs.get(name, run.created_at))
            _take(tx, run, change, found, get)
    return found


def _is_other(found: Reports, repository: str, pipeline: str) -> bool:
    return found.repository not in ("", repository) or found.pipeline not in ("", pipeline)


def _builds(tx: Tx) -> Iterator[Object]:
    builds, after = Selector(kind="Run", labels={"type": "build"}), ""
    for _ in range(MOST_SCANNED // PAGE):
        page = tx.list(builds, limit=PAGE, after=after, newest_first=True)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].uid


def _counts(run: Object, change: ChangeSpec | None) -> bool:
    """Say whether a Run tells of the Pipeline: a stranger's does not, who may write what they like."""
    known = change is None or change.trusted  # A local run has no Change.
    return run.spec.build is not None and bool(run.spec.build.trusted) and known


def _change(tx: Tx, run: Object, known: dict[str, ChangeSpec | None]) -> ChangeSpec | None:
    name = run.spec.change
    if name not in known:
        change = tx.get("Change", name)
        known[name] = change.spec if change is not None else None
    return known[name]


def _verdict_run(run: Object) -> str:
    """Return the Run that has the verdict: jobs that nothing waited for count with it."""
    return run.spec.build.later_for or run.name


def _take(tx: Tx, run: Object, change: ChangeSpec | None, found: Reports, get: GetBlob) -> None:
    spec: RunSpec = run.spec
    assert spec.build is not None
    if change is not None and change.paths is not None:
        found.paths[spec.change] = change.paths
    name = _verdict_run(run)
    steps = {row.name: row for row in tx.steps(run.uid)}
    for job in spec.build.jobs:
        row = steps.get(job.name)
        if row is None or not row.started_at:
            continue
        if row.failures and row.state in ("passed", "quarantined"):
            found.retried.setdefault(name, set()).add(job.name)
        if job.reports.junit:
            found.suites += _suites(tx, run, name, job, row, found, get)


def _suites(
    tx: Tx, run: Object, name: str, job: JobPlan, row: StepRow, found: Reports, get: GetBlob
) -> Iterator[Suite]:
    for attempt in range(row.attempt + 1):
        asked = tx.action(idempotency_key(run.uid, run.generation, job.name, attempt))
        done = asked.row.outcome if asked is not None else None
        if not isinstance(done, JobDone) or done.tests is None or not done.tests.cases:
            continue
        yield Suite(
            name=suite_name(job),
            commit=job.key or run.spec.build.sha,
            change=run.spec.change,
            run=name,
            at=run.created_at,
            level=job.level,
            job=job.name,
            attempt=attempt,
            files=done.coverage.files if done.coverage is not None else "",
            cases=_reader(done.tests.cases, found.unread, get),
        )


def _reader(digest: str, unread: set[str], get: GetBlob) -> Callable[[], Iterable[CaseDone]]:
    def read() -> Iterator[CaseDone]:
        try:
            for line in gzip.decompress(get(digest)).splitlines():
                yield _cases.decode(line)
        except (AndonError, OSError, EOFError, zlib.error, msgspec.MsgspecError):
            unread.add(digest)

    return read


def covered(suites: Iterable[Suite], get: GetBlob) -> set[str]:
    """Return the files that each suite went through when that was last recorded.

    Args:
        suites: The reports.
        get: Reads a blob.
    """
    newest: dict[tuple[str, str], Suite] = {}
    for suite in sorted(suites, key=lambda one: (one.at, one.attempt)):
        if suite.files:
            newest[suite.name, suite.job] = suite
    found: set[str] = set()
    for suite in newest.values():
        try:
            lines = json.loads(get(suite.files))
        except (AndonError, ValueError):
            continue
        found |= {file for file, ranges in lines.items() if ranges}
    return found
