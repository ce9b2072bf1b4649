"""Tells with a Run whether more Runs than agreed pass only on another attempt.

A Run that did leaves a claim; the next ones count these. What is told stops nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from andon.api.v1.control import NewObject, Selector, View
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import Object, RunSpec, StepRow, Subject
from andon.calc.intervals import exact_interval
from andon.domains.line.evidence import claim

CHECK = "flake-budget"
WINDOW = 100
"""So many Changes of a repository are looked back."""
_SELECTOR = "flakes"
_MOST_NAMED = 5


class Budget(Struct, frozen=True, kw_only=True):
    """Whether more Runs than agreed pass only on another attempt.

    Args:
        state: ``exhausted`` once there are more than ``allowed``.
        runs: Runs that were looked at.
        flaky: Those that passed only on another attempt.
        allowed: So many are, among ``window``.
        window: The number of Runs that the budget is meant for.
        low: Lower bound of the true share.
        high: Upper bound.
    """

    state: Literal["healthy", "exhausted"]
    runs: int
    flaky: int
    allowed: int
    window: int
    low: float
    high: float


def budget(flaky: int, runs: int, ratio: float, window: int) -> Budget:
    """Say how a flake budget stands.

    Args:
        flaky: Runs that passed only on another attempt.
        runs: All that were looked at, at most ``window``.
        ratio: The share that is agreed.
        window: Number of Runs it is meant for; at least one of them may be flaky unless the ratio is 0.

    >>> budget(2, 60, 0.02, 100).state, budget(3, 60, 0.02, 100).state, budget(1, 9, 0.0, 100).state
    ('healthy', 'exhausted', 'exhausted')
    """
    allowed = max(1, math.floor(ratio * window + 1e-9)) if ratio > 0 else 0
    low, high = exact_interval(flaky, runs)
    return Budget(
        state="exhausted" if flaky > allowed else "healthy",
        runs=runs,
        flaky=flaky,
        allowed=allowed,
        window=window,
        low=low,
        high=high,
    )


def selectors(run: Object) -> dict[str, Selector]:
    """See the newest flaky Runs of the repository, before a Run begins; not after.

    Args:
        run: The Run.
    """
    plan: BuildPlan | None = run.spec.build
    if plan is None or run.status.started_at or not _is_told(plan):
        return {}
    allowed = budget(0, 0, plan.flake_budget_ratio, WINDOW).allowed
    labels = {"check": CHECK, "repository": plan.repository, "flaky": "yes"}
    return {_SELECTOR: Selector(kind="Evidence", labels=labels, newest=allowed + 1)}


def _is_told(plan: BuildPlan) -> bool:
    suites = any(job.retry is not None or job.reports.junit for job in plan.jobs)
    return suites and plan.trusted and not plan.later_for


def earlier(view: View) -> list[int]:
    """Return the places, in the order of arrival, of Changes whose Runs were flaky."""
    return [one.spec.value["sequence"] for one in view.related.get(_SELECTOR, ())]


def _flaky_in(rows: Iterable[StepRow]) -> list[str]:
    """Return what passed only on another attempt: jobs, and tests of a report."""
    found: list[str] = []
    for row in rows:
        if "flaky" in row.figures:
            found.append(row.name)
        found += row.figures.get("tests", {}).get("flaky", ())
    return found


def told(
    run: Object, rows: Iterable[StepRow], before: Sequence[int], now: float
) -> tuple[NewObject | None, str]:
    """Return the claim of a Run that succeeded, and what people should know; nothing, if all is well.

    Args:
        run: The Run.
        rows: Its steps, looked through only where somebody is to be told.
        before: From ``earlier``, as it was when the Run began.
        now: Seconds since the Unix epoch.
    """
    spec: RunSpec = run.spec
    assert spec.build is not None
    if not _is_told(spec.build):
        return None, ""
    flaky = _flaky_in(rows)
    count = sum(spec.sequence - one < WINDOW for one in before) + bool(flaky)
    stands = budget(count, max(count, WINDOW), spec.build.flake_budget_ratio, WINDOW)
    over = stands.state == "exhausted"
    if not flaky and not over:
        return None, ""
    said = (
        f"flake budget exhausted: more than {stands.allowed} of the last {WINDOW} Runs passed only on "
        "another attempt (`andon tests flakes`)"
    )
    made = claim(
        name=f"{run.name}-{CHECK}-change",
        subject=Subject(change=spec.change),
        check=CHECK,
        verdict="Fail" if over else "Pass",
        source=f"run:{run.name}",
        now=now,
        message=said
        if over
        else f"passed on another attempt only: {', '.join(flaky[:_MOST_NAMED])}",
        value={"sequence": spec.sequence, "flaky": list(flaky), "state": stands.state},
    )
    labels = {"repository": spec.build.repository, **({"flaky": "yes"} if flaky else {})}
    return replace(made, labels={**made.labels, **labels}), said if over else ""
