"""How the jobs of a build plan lie: what rules skip, what comes later, what a job waits for.

Found out once for a plan, as a Run may have thousands of jobs and takes a turn for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from msgspec.structs import replace

from andon.api.v1.jobs import BuildPlan, JobPlan

LAST = 1 << 30
"""Depth of a clean-up job that waits for all others."""


def layout_of(plan: BuildPlan) -> Layout:
    """Return a plan's layout; the plan itself remembers it."""
    found: Layout | None = plan.__dict__.get("layout")
    if found is None:
        plan.__dict__["layout"] = found = Layout(plan)
    return found


class Layout:
    """The jobs of a Run.

    Args:
        plan: What it will do.

    Attributes:
        jobs: Those of this Run, in an order in which no job comes before what it needs.
        later: Those that nothing waits for, and what needs them: another Run's.
        by_name: This Run's jobs.
        needed_by: This Run's jobs that need a job.
        members: Names of the jobs of a matrix, or of shards, by their group.
        clean_up: Names of jobs that run whatever became of the others.
        ordinary: Names of all other jobs.
        consents: Jobs that wait for people.
        keyed: Jobs that say everything they depend on.
    """

    def __init__(self, plan: BuildPlan) -> None:
        order = _in_order(plan.jobs)
        ruled = skip_by_rule(order)
        late = frozenset[str]() if plan.later_for else _postponed(ruled)
        self.jobs = tuple(job for job in ruled if job.name not in late)
        self.later = tuple(job for job in ruled if job.name in late)
        self.by_name = {job.name: job for job in self.jobs}
        self.needed_by: dict[str, list[JobPlan]] = {job.name: [] for job in self.jobs}
        self.members: dict[str, list[str]] = {}
        for job in self.jobs:
            for need in job.needs:
                self.needed_by.setdefault(need, []).append(job)
            if job.group:
                self.members.setdefault(job.group, []).append(job.name)
        self.clean_up = frozenset(job.name for job in self.jobs if job.always)
        self.ordinary = frozenset(self.by_name) - self.clean_up
        self.consents = tuple(job for job in self.jobs if job.approval and not job.skip)
        self.keyed = tuple(job for job in self.jobs if job.key and not job.skip)


def _in_order(jobs: tuple[JobPlan, ...]) -> tuple[JobPlan, ...]:
    """Sort jobs by how many lie before them; those of equal depth stay as they are written."""
    by_name = {job.name: job for job in jobs}
    graph = {job.name: [need for need in job.needs if need in by_name] for job in jobs}
    depth: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        before = [depth[need] + 1 for need in graph[name]]
        depth[name] = LAST if by_name[name].always and not before else max(before, default=0)
    return tuple(sorted(jobs, key=lambda job: depth[job.name]))


def skip_by_rule(jobs: Iterable[JobPlan]) -> tuple[JobPlan, ...]:
    """Skip what needs a job that a rule skips, by that rule.

    Args:
        jobs: Each after those it needs.

    >>> a, b = JobPlan(name="a", skip="if: false"), JobPlan(name="b", needs=("a",))
    >>> [job.skip for job in skip_by_rule([a, b])]
    ['if: false', 'needs a, which was skipped: if: false']
    """
    rules: dict[str, str] = {}
    found = []
    for job in jobs:
        need = "" if job.always else next((need for need in job.needs if need in rules), "")
        if job.skip:
            rules[job.name] = job.skip
        elif need:
            rules[job.name] = rules[need]
            job = replace(job, skip=f"needs {need}, which was skipped: {rules[need]}")
        found.append(job)
    return tuple(found)


def _postponed(jobs: tuple[JobPlan, ...]) -> frozenset[str]:
    """Name the jobs that nothing waits for; where all are such, none is."""
    late: set[str] = set()
    for job in jobs:
        if not job.blocking or not late.isdisjoint(job.needs):
            late.add(job.name)
    return frozenset(late if len(late) < len(jobs) else ())


def needs_of_later(layout: Layout, artifacts: Mapping[str, str]) -> dict[str, str]:
    """Return what the later Run needs of this one's jobs: the blob that each left, by its name.

    Args:
        layout: Of this Run.
        artifacts: Blob by job, of all that passed.
    """
    wanted = {need for job in layout.later for need in job.needs}
    return {name: blob for name, blob in artifacts.items() if name in wanted}
