"""Tells people how their tests do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from andon.api.v1 import answers
from andon.api.v1.pipelines import PipelineSpec
from andon.app.suites.reading import GetBlob, Reports, covered, find
from andon.domains.pipelines import flakes
from andon.domains.pipelines.flake_budget import budget
from andon.domains.pipelines.history import (
    History,
    Story,
    newly_failing,
    slowest,
    tell,
)
from andon.kernel.clock import Clock
from andon.kernel.errors import NotFound
from andon.ports.store import Store

LEVELS = (
    "unit",
    "component",
    "integration",
    "contract",
    "end-to-end",
    "performance",
    "security",
    "",
)
MOST_NAMED = 20


class Suites:
    """Answers for tests.

    Args:
        store: The durable store.
        get: Reads a blob.
        clock: The time.
    """

    def __init__(self, store: Store, get: GetBlob, clock: Clock) -> None:
        self._store = store
        self._get = get
        self._clock = clock

    async def report(
        self, *, repository: str, pipeline: str, runs: int, limit: int, owner: str
    ) -> answers.CaseReport:
        """Say how the tests of a Pipeline do."""
        found = await self._find(repository, pipeline, runs)
        return await asyncio.to_thread(_report, found, runs, limit, owner, self._clock.now())

    async def history(
        self, *, repository: str, pipeline: str, suite: str, runs: int
    ) -> answers.CaseHistory:
        """Say what splitting and selecting tests goes by."""
        found = await self._find(repository, pipeline, runs)
        return await asyncio.to_thread(history_of, found, suite, self._get)

    async def _find(self, repository: str, pipeline: str, runs: int) -> Reports:
        found = await self._store.read(
            lambda tx: find(tx, self._get, repository=repository, pipeline=pipeline, runs=runs)
        )
        if not found.runs:
            known = ", ".join(sorted(f"{name} of {where}" for where, name in found.others))
            raise NotFound(
                "no build that ended tells of tests here",
                hint=f"there are Runs of {known}" if known else "`andon ship` makes the first",
            )
        return found


def _report(found: Reports, window: int, limit: int, owner: str, now: float) -> answers.CaseReport:
    history = tell(found.suites)
    stories = history.current()
    rules = found.newest.pipeline if found.newest is not None else PipelineSpec()
    flaky = flakes.flakiest(stories, limit)
    return {
        "repository": found.repository,
        "pipeline": found.pipeline,
        "runs": len(found.runs),
        "since": min(found.runs.values(), default=0.0),
        "pyramid": _pyramid(history),
        "slowest": [case_json(one) for one in slowest(stories, limit)],
        "newlyFailing": [case_json(one) for one in newly_failing(stories, limit)],
        "flakiest": [_flaky_json(one) for one in flaky],
        "budget": _budget(found, history, rules.flake_budget_ratio, window),
        "quarantine": [_kept_json(one) for one in flakes.kept(rules.quarantine, stories, now)],
        "suggestion": flakes.suggestion(flaky, rules.quarantine, owner, now),
        "unread": len(found.unread),
        "pipelines": [
            {"repository": where, "pipeline": name, "runs": count}
            for (where, name), count in sorted(found.others.items())
        ],
    }


def _pyramid(history: History) -> list[answers.PyramidFloor]:
    return [
        {
            "level": floor.level,
            "suites": floor.suites,
            "tests": floor.tests,
            "failed": floor.failed,
            "skipped": floor.skipped,
            "seconds": round(floor.seconds, 3),
        }
        for level in LEVELS
        if (floor := history.floors.get(level)) is not None
    ]


def _budget(found: Reports, history: History, ratio: float, window: int) -> answers.FlakeBudget:
    flaky = [run for run in found.runs if run in history.flaky_runs or run in found.retried]
    stands = budget(len(flaky), len(found.runs), ratio, window)
    return {
        "state": stands.state,
        "runs": stands.runs,
        "flaky": stands.flaky,
        "allowed": stands.allowed,
        "window": stands.window,
        "ratio": ratio,
        "low": stands.low,
        "high": stands.high,
        "flakyRuns": flaky[:MOST_NAMED],
    }


def case_json(story: Story) -> answers.CaseRow:
    """Return a ``CaseRow``."""
    began = story.failing_since
    return {
        "id": story.id,
        "suite": story.suite,
        "level": story.level,
        "file": story.file,
        "line": story.line,
        "seconds": round(story.seconds, 6),
        "commits": story.commits,
        "failed": story.failed,
        "flaky": story.flaky,
        "state": story.state,
        "message": story.message,
        "since": began.change if began is not None else "",
        "sinceAt": began.at if began is not None else 0.0,
    }


def _flaky_json(flake: flakes.Flake) -> answers.FlakyCase:
    return {
        **case_json(flake.story),
        "rate": flake.rate,
        "low": flake.low,
        "high": flake.high,
        "proven": flake.proven,
        "lastAt": flake.story.last_flaky_at,
    }


def _kept_json(one: flakes.Kept) -> answers.QuarantineRow:
    return {
        "test": one.quarantine.test,
        "owner": one.quarantine.owner,
        "until": one.quarantine.until,
        "reason": one.quarantine.reason,
        "daysLeft": one.days_left,
        "tests": list(one.tests),
        "calm": one.calm,
    }


def history_of(
    found: Reports, suite: str, get: GetBlob, changed: Iterable[str] = ()
) -> answers.CaseHistory:
    """Return a ``CaseHistory``.

    Args:
        found: The reports.
        suite: Only the tests of this one; empty: of all.
        get: Reads a blob.
        changed: What the Change of the asking job touches.
    """
    mine = [one for one in found.suites if suite in ("", one.name)]
    history = tell(mine)
    return {
        "repository": found.repository,
        "pipeline": found.pipeline,
        "runs": len(found.runs),
        "tests": _past(history.current()),
        "faulty": [
            {"change": change, "paths": list(found.paths[change]), "tests": tests}
            for change, tests in history.broken.items()
            if change in found.paths
        ],
        "covered": sorted(covered(mine, get)),
        "changed": sorted(changed),
    }


def _past(stories: Iterable[Story]) -> dict[str, answers.PastRow]:
    past: dict[str, answers.PastRow] = {}
    for one in stories:  # Of a matrix, the slowest and worst counts.
        known = past.get(one.id, {"failed": 0, "failing": False, "seconds": 0.0})
        past[one.id] = {
            "failed": max(known["failed"], one.failed + one.flaky),
            "failing": known["failing"] or one.state == "failed",
            "seconds": max(known["seconds"], round(one.seconds, 6)),
        }
    return past
