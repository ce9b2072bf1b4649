"""What a build says of its artifacts: Evidence, one claim for each check.

Several jobs may stand for one check (those of a matrix, for instance). It passes only if every one of
them did; where a rule skipped one, nothing is known, and the rule is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from andon.api.v1.actions import JobDone
from andon.api.v1.control import NewObject
from andon.api.v1.jobs import JobPlan
from andon.api.v1.records import StepRow, Subject, Verdict
from andon.domains.line.evidence import claim
from andon.domains.pipelines.evidence import (
    coverage_value,
    looked_at,
    nothing_ran,
    tests_value,
)

_MOST_NAMED = 5
WELL = frozenset({"passed", "quarantined", "skipped-by-rule"})
"""States in which a job may be when its Run succeeds."""


class Finding(Struct, frozen=True, kw_only=True):
    """What the jobs of a check found together.

    Args:
        verdict: Pass only if every job passed, but for quarantined tests.
        message: Why it is no Pass, or what a Pass left out.
        value: Figures by name.
        coverage: Share of what was to be looked at that counts; None: nothing was left out.
        observed_at: The oldest look; 0: now.
        source: The job that says most about it.
    """

    verdict: Verdict
    message: str
    value: dict[str, Any]
    coverage: float | None
    observed_at: float
    source: str


def find(rows: Iterable[tuple[JobPlan, StepRow]]) -> dict[str, Finding]:
    """Return what jobs that ended well found, by check.

    Args:
        rows: Jobs with their steps.
    """
    checks: dict[str, list[tuple[JobPlan, StepRow]]] = {}
    for job, row in rows:
        checks.setdefault(job.evidence or job.name, []).append((job, row))
    return {check: _found(jobs) for check, jobs in checks.items()}


def _found(jobs: list[tuple[JobPlan, StepRow]]) -> Finding:
    skipped = [(job, row) for job, row in jobs if row.state == "skipped-by-rule"]
    if skipped:
        job, row = skipped[0]
        value: dict[str, Any] = {"skipped": row.message}
        said = f"{job.name}: {row.message}" if len(jobs) > 1 else row.message
        return Finding(
            verdict="Inconclusive",
            message=said,
            value=value,
            coverage=1 - len(skipped) / len(jobs),
            observed_at=0,
            source=job.name,
        )
    value = _figures([row for _, row in jobs])
    nothing = nothing_ran(value.get("tests", {}))
    return Finding(
        verdict="Inconclusive" if nothing else "Pass",
        message=nothing or _remark(value),
        value=value,
        coverage=looked_at(value.get("tests", {}), len(value.get("quarantined", ()))),
        observed_at=min(row.figures.get("looked_at", 0) or row.finished_at for _, row in jobs),
        source=jobs[0][0].name,
    )


def _figures(rows: list[StepRow]) -> dict[str, Any]:
    """Put the figures of several jobs together; whatever is told of one is told of all."""
    value: dict[str, Any] = {}
    for row in rows:
        for name in ("flaky", "reused"):
            if name in row.figures:
                value.setdefault(name, {})[row.name] = row.figures[name]
        for name in ("quarantined", "by"):
            if name in row.figures:
                value.setdefault(name, []).extend(row.figures[name])
        for name in ("tests", "coverage"):
            if name in row.figures:
                value[name] = _sum(value.get(name, {}), row.figures[name])
    return value


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Add counts; blobs become a list."""
    return {
        key: [*one.get(key, ()), *found] if isinstance(found, list) else one.get(key, 0) + found
        for key, found in other.items()
    }


def _remark(value: Mapping[str, Any]) -> str:
    parts = []
    if value.get("quarantined"):
        parts.append(f"in quarantine: {', '.join(value['quarantined'])}")
    if value.get("flaky"):
        parts.append(f"passed on another attempt only: {', '.join(value['flaky'])}")
    if tests := value.get("tests", {}).get("flaky"):
        parts.append(f"tests that passed at another try only: {', '.join(tests[:_MOST_NAMED])}")
    return "; ".join(parts)


def figures_of(outcome: JobDone) -> dict[str, Any]:
    """Return what a job measured, as its step keeps it: counts, and blobs with the rest."""
    found: dict[str, Any] = {}
    tests, coverage = outcome.tests, outcome.coverage
    if tests is not None:
        found["tests"] = tests_value(tests)
    if coverage is not None:
        found["coverage"] = coverage_value(coverage)
    if outcome.benchmarks:
        found["benchmarks"] = outcome.benchmarks
    return found


def pass_on(
    run: str, subject: Subject, check: str, finding: Finding, source: str, now: float
) -> NewObject:
    """Make the claim that a build makes about an artifact.

    Args:
        run: The Run's name.
        subject: The artifact.
        check: Which check.
        finding: What was found.
        source: Who says so.
        now: Seconds since the Unix epoch.
    """
    return claim(
        name=claim_name(run, check, subject),
        subject=subject,
        check=check,
        verdict=finding.verdict,
        source=source,
        now=min(now, finding.observed_at or now) if "reused" in finding.value else now,
        message=finding.message,
        value=finding.value,
        coverage=finding.coverage,
    )


def claim_name(run: str, check: str, subject: Subject) -> str:
    """Name a Run's claim: one for each check and service."""
    return f"{run}-{check}-{subject.service or 'change'}"
