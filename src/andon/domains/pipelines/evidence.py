"""What reports say, as the figures of Evidence, and how much of what should be looked at was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andon.api.v1.actions import CoverageDone, TestsDone


def tests_value(tests: TestsDone) -> dict[str, Any]:
    """Return the figures of a job's test reports; the tests themselves stay in a blob.

    >>> tests_value(TestsDone(passed=3, skipped=1, declared=5))["declared"]
    5
    """
    return {
        "passed": tests.passed,
        "failed": tests.failed,
        "skipped": tests.skipped,
        "declared": max(tests.declared, tests.passed + tests.failed + tests.skipped),
        "flaky": list(tests.flaky),
        "cases": [tests.cases] if tests.cases else [],
    }


def coverage_value(coverage: CoverageDone) -> dict[str, Any]:
    """Return the figures of a job's coverage reports.

    >>> coverage_value(CoverageDone(lines=4, covered=3))["covered"]
    3
    """
    return {
        "lines": coverage.lines,
        "covered": coverage.covered,
        "branches": coverage.branches,
        "branchesCovered": coverage.branches_covered,
        "files": [coverage.files] if coverage.files else [],
    }


def looked_at(tests: Mapping[str, Any], excused: int = 0) -> float | None:
    """Return the share of tests whose result counts; None: all of them, or none are known.

    A test that was skipped, that a suite which broke off never came to, or that is in quarantine does not
    count.

    Args:
        tests: From ``tests_value``, summed over jobs.
        excused: Failures in quarantine.

    >>> looked_at({"passed": 3, "failed": 1, "skipped": 1, "declared": 5}, excused=1)
    0.6
    >>> looked_at({"passed": 3, "failed": 0, "skipped": 0, "declared": 3}) is None
    True
    >>> looked_at({"passed": 0, "failed": 0, "skipped": 0, "declared": 0})
    0.0
    """
    if not tests:
        return 0.0 if excused else None
    ran = tests["passed"] + tests["failed"]
    declared = max(tests["declared"], ran)
    share = max(0, ran - excused) / declared if declared else 0.0
    return None if share == 1 else share


def nothing_ran(tests: Mapping[str, Any]) -> str:
    """Say that reports speak of no test that ran, which is no pass; empty: some did.

    >>> nothing_ran({"passed": 0, "failed": 0, "skipped": 7, "declared": 7})
    'all 7 tests were skipped'
    """
    if not tests or tests["passed"] or tests["failed"]:
        return ""
    return f"all {tests['skipped']} tests were skipped" if tests["skipped"] else "no test ran"
