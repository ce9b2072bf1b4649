"""What a local run does: the Change and the plan that a server would make of the same content."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from msgspec import Struct, structs

from andon.adapters.git.working import Snapshot, WorkingTree
from andon.api.v1.control import NewObject
from andon.api.v1.jobs import BuildPlan, JobPlan
from andon.api.v1.records import BUILD_ONLY, ChangeSpec, RunSpec, RunStatus
from andon.app.loading import Loaded, digests_of_inputs, read_whole
from andon.app.shipping import change_spec, slug
from andon.app.typed import plan_build
from andon.kernel.errors import NotFound
from andon.ports import Source


class Planned(Struct, frozen=True):
    """A local run before it begins."""

    change: ChangeSpec
    plan: BuildPlan
    name: str
    """Of the Change, without number."""

    def run(self, name: str, sequence: int) -> NewObject:
        """Make the Run, under the name of its Change."""
        group = self.plan.concurrency
        return NewObject(
            kind="Run",
            name=f"build-{name}",
            spec=RunSpec(type="build", change=name, build=self.plan, sequence=sequence),
            status=RunStatus(),
            labels={
                "type": "build",
                "change": name,
                **({"concurrency": group} if group else {}),
            },
        )


def plan_here(
    tree: WorkingTree, taken: Snapshot, names: Sequence[str], elsewhere: Source | None = None
) -> Planned:
    """Plan what lies in a folder.

    Args:
        tree: The folder.
        taken: What was taken of it.
        names: The Pipeline, or jobs of it; empty: all.
        elsewhere: Where Templates of other repositories and commits are read.

    Raises:
        InvalidDocument: The documents are missing or wrong.
        NotFound: No job has such a name.
    """
    repository = str(tree.folder)
    whole = read_whole(tree, repository, taken.sha, elsewhere=elsewhere, places=False)
    own = whole.definitions
    loaded = Loaded(
        commit=tree.resolve(repository, taken.sha),
        repository=repository,
        ref=taken.branch or taken.sha,
        own=own,
        policy=own,
        policy_revision=taken.sha,
        next_policy=taken.sha,
        next_rules=own,
        event="manual",
        input_digests=digests_of_inputs(tree, repository, taken.sha, own),
    )
    change = change_spec(loaded, until=BUILD_ONLY, notify=(), sequence=0)
    plan = narrowed(plan_build(change), change.pipeline_name, names)
    return Planned(change, plan, f"{slug(repository)}-{taken.sha[:12]}")


def narrowed(plan: BuildPlan, pipeline: str, names: Sequence[str]) -> BuildPlan:
    """Keep the jobs that were named, and what they need.

    Args:
        plan: All of it.
        pipeline: Name of the Pipeline.
        names: Jobs, as they are called in the document or once expanded; or the Pipeline.
    """
    if not names or list(names) == [pipeline]:
        return plan
    by_name = plan.by_name
    ahead = [job for name in names for job in _named(plan, pipeline, name)]
    wanted: set[str] = set()
    while ahead:
        job = ahead.pop()
        if job.name not in wanted:
            wanted.add(job.name)
            ahead += [by_name[need] for need in job.needs if need in by_name]
    jobs = tuple(job for job in plan.jobs if job.name in wanted)
    return structs.replace(plan, jobs=jobs, packs=())


def _named(plan: BuildPlan, pipeline: str, name: str) -> list[JobPlan]:
    found = [job for job in plan.jobs if name in (job.name, job.group)]
    if not found:
        known = sorted({job.group or job.name for job in plan.jobs})
        near = difflib.get_close_matches(name, [*known, pipeline], n=1)
        hint = f"did you mean `andon run {near[0]}`?" if near else f"jobs: {', '.join(known)}"
        raise NotFound(f"no job of the Pipeline {pipeline} is called {name}", hint=hint)
    return found
