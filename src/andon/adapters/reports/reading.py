"""Reads all reports that a job was to leave."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from io import BufferedReader
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from andon.adapters.filetree import shown
from andon.adapters.reports.benchmarks import MOST_BENCHMARKS, read_benchmarks
from andon.adapters.reports.coverage import Names, read_coverage
from andon.adapters.reports.hiding import hidden
from andon.adapters.reports.junit import MOST_CASES, Cases, read_junit
from andon.adapters.reports.lines import Lines
from andon.adapters.reports.places import Places
from andon.api.v1.actions import CoverageDone, TestsDone
from andon.api.v1.jobs import ReportsPlan
from andon.kernel.errors import InvalidDocument

MOST_PROBLEMS = 50


class ReportsRead(Struct, frozen=True, kw_only=True):
    """What the reports say.

    Args:
        tests: Of all test reports; None: none were asked for or none could be opened.
        coverage: Of all coverage reports, a line that was hit in one is hit.
        benchmarks: Seconds by name.
        problems: What was named and is missing, or cannot be read; the job failed then.
    """

    tests: TestsDone | None = None
    coverage: CoverageDone | None = None
    benchmarks: dict[str, float] = {}
    problems: tuple[str, ...] = ()


def read_reports(
    tree: Path,
    plan: ReportsPlan,
    put_blob: Callable[[bytes], str],
    *,
    secrets: Collection[str] = (),
) -> ReportsRead:
    """Read the reports a job left.

    Args:
        tree: Its work tree; nothing outside is read, whatever links there are.
        plan: Patterns of the reports.
        put_blob: Keeps bytes and returns their digest.
        secrets: Values that the job had: of what they say in a report, ``***`` is left.
    """
    reading = _Reading(tree, secrets)
    tests = reading.tests(plan.junit, put_blob) if plan.junit else None
    coverage = reading.coverage(plan.coverage, put_blob) if plan.coverage else None
    benchmarks = reading.benchmarks(plan.benchmark) if plan.benchmark else {}
    return ReportsRead(
        tests=tests, coverage=coverage, benchmarks=benchmarks, problems=tuple(reading.problems)
    )


class _Reading:
    def __init__(self, tree: Path, secrets: Collection[str]) -> None:
        self.problems: list[str] = []
        self._secrets = secrets
        self._places = Places(tree, self._say)
        self._names = Names(str(tree.absolute()), self._places.is_there)

    def _say(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)

    def _each(self, patterns: tuple[str, ...], read: Callable[[BufferedReader], None]) -> int:
        opened = 0
        for path in self._places.found(patterns):
            with self._places.opened(path) as file:
                if file is None:
                    continue
                opened += 1
                try:
                    read(hidden(file, self._secrets))
                except InvalidDocument as error:
                    self._say(f"{shown(os.fsencode(path))}: {error.message}")
        return opened

    def tests(self, patterns: tuple[str, ...], put: Callable[[bytes], str]) -> TestsDone | None:
        cases = Cases()
        if not self._each(patterns, lambda file: read_junit(file, cases)):
            return None
        if cases.seen > MOST_CASES:
            self._say(f"{cases.seen} tests are in the reports; only {MOST_CASES} were kept")
        done, blob = cases.done()
        return replace(done, cases=put(blob)) if cases.kept else done

    def coverage(
        self, patterns: tuple[str, ...], put: Callable[[bytes], str]
    ) -> CoverageDone | None:
        lines = Lines()
        if not self._each(patterns, lambda file: read_coverage(file, lines, self._names)):
            return None
        done, blob = lines.done()
        return replace(done, files=put(blob)) if lines.files else done

    def benchmarks(self, patterns: tuple[str, ...]) -> dict[str, float]:
        found: dict[str, float] = {}
        self._each(patterns, lambda file: found.update(read_benchmarks(file)))
        if len(found) > MOST_BENCHMARKS:
            self._say(f"{len(found)} benchmarks are there; only {MOST_BENCHMARKS} were kept")
        return dict(list(found.items())[:MOST_BENCHMARKS])
