"""A Run as its page shows it: jobs with their states, the critical path, what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from andon.api.v1 import answers
from andon.api.v1.actions import JobDone
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import TERMINAL, ChangeSpec, Object, RunSpec, RunStatus, StepRow
from andon.app.builds.ansi import plain
from andon.domains.pipelines.feedback import (
    Advice,
    Awaited,
    CriticalPath,
    Stretch,
    TimedJob,
    critical_path,
)
from andon.kernel.duration import format_duration

MOST_FAILURES = 200
_RAN = frozenset({"running", "passed", "failed", "interrupted", "quarantined", "cancelled"})
Kind = Literal["job", "approval", "pack"]


def graph(
    run: Object,
    rows: Sequence[StepRow],
    outcomes: Mapping[str, JobDone],
    change: Object | None,
    now: float,
) -> answers.RunGraph:
    """Show a Run.

    Args:
        run: The Run.
        rows: Its steps.
        outcomes: How its jobs ended, by step.
        change: What it builds, if that is still known.
        now: Seconds since the Unix epoch.
    """
    spec: RunSpec = run.spec
    status: RunStatus = run.status
    commit: ChangeSpec | None = change.spec if change else None
    path = path_of(run, rows, outcomes, now)
    critical = {one.job for one in path.stretches}
    jobs = {job.name: job for job in spec.build.jobs} if spec.build else {}
    return {
        "name": run.name,
        "change": spec.change,
        "sha": commit.sha if commit else "",
        "title": commit.message.partition("\n")[0] if commit else "",
        "ref": commit.ref if commit else "",
        "repository": change.labels.get("repository", "") if change else "",
        "phase": status.phase,
        "message": status.message,
        "startedAt": status.started_at,
        "finishedAt": status.finished_at,
        "now": now,
        "jobs": [
            _job_row(row, jobs.get(row.name), outcomes.get(row.name), row.name in critical)
            for row in rows
        ],
        "path": path_json(path),
        "verdict": verdict(run, change, now),
        "failures": list(islice(_failures(rows, outcomes), MOST_FAILURES)),
    }


def _failures(
    rows: Sequence[StepRow], outcomes: Mapping[str, JobDone]
) -> Iterator[answers.TestFailure]:
    """Yield the failed tests of jobs that did not pass."""
    for row in rows:
        done = outcomes.get(row.name)
        if row.state not in ("failed", "quarantined") or done is None or done.tests is None:
            continue
        for case in done.tests.failures:
            yield {
                "job": row.name,
                "id": case.id,
                "message": plain(case.message),
                "file": case.file,
                "line": case.line,
            }


def path_of(
    run: Object, rows: Sequence[StepRow], outcomes: Mapping[str, JobDone], now: float
) -> CriticalPath:
    """Return the critical path of a Run as far as it has come."""
    status: RunStatus = run.status
    ended = status.finished_at if status.phase in TERMINAL else now
    return critical_path(timed_jobs(run, rows, outcomes), status.started_at or ended, ended)


def timed_jobs(
    run: Object, rows: Sequence[StepRow], outcomes: Mapping[str, JobDone]
) -> list[TimedJob]:
    """Return the jobs of a Run with their times and what each came after."""
    plan: BuildPlan | None = run.spec.build
    if plan is None:
        return [_in_turn(row, before) for row, before in zip(rows, [None, *rows], strict=False)]
    jobs = {job.name: job for job in plan.jobs}
    ordinary = tuple(name for name, job in jobs.items() if not job.always)
    found = []
    for row in rows:
        job, done = jobs.get(row.name), outcomes.get(row.name)
        if job is None:
            found.append(_timed(row, ordinary))
        else:
            after_all = job.always and not job.needs
            needs = ordinary if after_all else job.needs
            found.append(_timed(row, needs, job, done))
    return found


def _in_turn(row: StepRow, before: StepRow | None) -> TimedJob:
    return _timed(row, (before.name,) if before else ())


def _timed(
    row: StepRow,
    needs: tuple[str, ...],
    job: JobPlan | None = None,
    done: JobDone | None = None,
) -> TimedJob:
    awaits, awaited = _awaited(job) if job else ("place", "")
    # Earlier attempts ran, too, and nobody knows how long.
    seconds = done.seconds if done is not None and not row.attempt else None
    return TimedJob(
        name=row.name,
        needs=tuple(need for need in needs if need != row.name),
        started_at=row.started_at,
        finished_at=row.finished_at,
        ran_seconds=0.0 if awaits == "people" else seconds,
        awaits=awaits,
        awaited=awaited,
    )


def _awaited(job: JobPlan) -> tuple[Awaited, str]:
    if job.approval is not None:
        return "people", ""
    if job.concurrency:
        return "lock", job.concurrency
    if job.runs_on:
        return "worker", ", ".join(job.runs_on)
    return ("matrix", job.group) if job.at_once else ("place", "")


def services_with_logs(job: JobPlan | None) -> list[str]:
    """Return the services of a job that do not print into the job's own log.

    Where there are secrets they do, as one masker hears them; in containers and elsewhere, too.
    """
    if job is None or job.secrets or job.image or job.runs_on:
        return []
    return [service.name for service in job.services if not service.image]


def _job_row(
    row: StepRow, job: JobPlan | None, done: JobDone | None, critical: bool
) -> answers.JobRow:
    figures = row.figures
    kind: Kind = "pack" if row.name.startswith("pack-") and job is None else "job"
    flaky = figures.get("flaky")
    return {
        "name": row.name,
        "group": job.group if job else "",
        "values": dict(job.values) if job else {},
        "needs": list(job.needs) if job else [],
        "kind": "approval" if job and job.approval else kind,
        "state": row.state,
        "message": row.message,
        "fault": row.fault,
        "attempt": row.attempt,
        "startedAt": row.started_at,
        "finishedAt": row.finished_at,
        "hasLog": bool(row.log) or row.state == "running",
        "services": services_with_logs(job) if row.log or row.state == "running" else [],
        "critical": critical and row.state in _RAN,
        "tests": _tests(figures.get("tests")),
        "coverage": _coverage(figures.get("coverage")),
        "caches": dict(done.caches) if done else {},
        "reused": str(figures.get("reused", "")),
        "flaky": str(flaky.get("failed", "")) or "failed before" if flaky else "",
        "quarantined": list(figures.get("quarantined", ())),
        "origin": job.origin if job else "",
    }


def _tests(found: Mapping[str, int] | None) -> answers.TestCounts | None:
    if not found:
        return None
    return {
        "passed": int(found.get("passed", 0)),
        "failed": int(found.get("failed", 0)),
        "skipped": int(found.get("skipped", 0)),
    }


def _coverage(found: Mapping[str, int] | None) -> answers.Coverage | None:
    if not found:
        return None
    return {
        "lines": int(found.get("lines", 0)),
        "covered": int(found.get("covered", 0)),
        "branches": int(found.get("branches", 0)),
        "branchesCovered": int(found.get("branchesCovered", 0)),
    }


def verdict(run: Object, change: Object | None, now: float) -> answers.Wait | None:
    """Say how long a commit waited for its verdict; None: this Run has none to give."""
    spec: RunSpec = run.spec
    if change is None or spec.build is None or spec.schedule or spec.build.later_for:
        return None
    status: RunStatus = run.status
    decided = status.finished_at if status.phase in ("Succeeded", "Failed") else 0.0
    if status.phase in TERMINAL and not decided:
        return None
    seconds = max(0.0, (decided or now) - change.created_at)
    limit = float(change.spec.pipeline.verdict_within_seconds)
    return {
        "arrivedAt": change.created_at,
        "verdictAt": decided,
        "seconds": seconds,
        "limitSeconds": limit,
        "late": seconds > limit,
    }


def path_json(path: CriticalPath) -> answers.CriticalPath:
    """Show a critical path, and what would shorten it in words."""
    return {
        "stretches": [
            {
                "job": one.job,
                "readyAt": one.ready_at,
                "waitedSeconds": one.waited_seconds,
                "waitedFor": waited_for(one),
                "ranSeconds": one.ran_seconds,
            }
            for one in path.stretches
        ],
        "totalSeconds": path.total_seconds,
        "tailSeconds": path.tail_seconds,
        "advice": [
            {
                "kind": one.kind,
                "job": one.job,
                "savesSeconds": one.saves_seconds,
                "text": advice_text(one),
            }
            for one in path.advice
        ],
    }


def waited_for(one: Stretch) -> str:
    """Say what a job waited for."""
    words = {
        "place": "a place",
        "matrix": f"a place in {one.awaited}",
        "lock": f"the lock {one.awaited}",
        "worker": f"a worker with {one.awaited}",
        "people": "people",
    }
    return words[one.awaits]


def advice_text(one: Advice) -> str:
    """Say what would shorten a Run.

    >>> advice_text(Advice(kind="places", saves_seconds=12))
    'with a place for every job at once: up to 12.0s less'
    """
    saved = format_duration(one.saves_seconds)
    if one.kind == "places":
        return f"with a place for every job at once: up to {saved} less"
    return f"if {one.job} took no time: up to {saved} less"
