"""What a local state remembers of Runs, and what it forgets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from andon.adapters.filetree import remove_abandoned, remove_tree
from andon.adapters.git.working import WorkingTree
from andon.adapters.process.files import safe_name
from andon.api.v1.control import Selector
from andon.api.v1.jobs import BuildPlan
from andon.api.v1.records import TERMINAL, Object
from andon.ports.store import Tx

KEPT_RUNS = 20
_LAST = 5
"""The last Run, the one of its jobs that nothing waits for, and what was left over before it."""
_EVERY = 10
"""At every tenth Run they are looked through."""
_BELONGS = ("Evidence", "Artifact", "Cancellation")


class Forgotten(NamedTuple):
    """What was forgotten.

    Args:
        needed: Commits of Runs that stay.
        runs: Names of those that do not.
    """

    needed: set[str]
    runs: list[str]


def left_over(tx: Tx) -> Object | None:
    """Return the newest Run that has not ended: its process did."""
    runs = tx.list(Selector(kind="Run"), limit=_LAST, newest_first=True)
    return next((run for run in runs if run.status.phase not in TERMINAL), None)


def free_name(tx: Tx, base: str) -> str:
    """Return a name that no Change has."""
    name, number = base, 1
    while tx.get("Run", f"build-{name}") is not None:
        number += 1
        name = f"{base}-{number}"
    return name


def forget_results(tx: Tx, plan: BuildPlan) -> None:
    """Forget what passed before with what the plan's jobs depend on."""
    for job in plan.jobs:
        if job.key:
            for found in tx.list(Selector(kind="JobResult", labels={"key": job.key})):
                tx.forget(found)


def forget_old(tx: Tx) -> Forgotten:
    """Forget Runs that ended long ago, with what they made but the results that still count.

    Looked for at every tenth Run only, and at one Run at a time: each has its whole plan.
    """
    forgotten = Forgotten(set(), [])
    if int(tx.get_setting("sequence") or "0") % _EVERY:
        return forgotten
    for number, run in enumerate(_newest_first(tx)):
        if number < KEPT_RUNS or run.status.phase not in TERMINAL:
            forgotten.needed.add(run.spec.build.sha)
        else:
            forgotten.runs.append(run.name)
            _forget(tx, run)
    return forgotten


def _newest_first(tx: Tx) -> Iterator[Object]:
    selector, after = Selector(kind="Run"), ""
    while found := tx.list(selector, limit=1, after=after, newest_first=True):
        yield found[0]
        after = found[0].uid


def _forget(tx: Tx, run: Object) -> None:
    labels = {"change": run.spec.change}
    for kind in _BELONGS:
        for found in tx.list(Selector(kind=kind, labels=labels)):
            tx.forget(found)
    tx.forget(run)


def clear(state: Path, tree: WorkingTree, forgotten: Forgotten) -> None:
    """Remove what forgotten Runs left in the state folder."""
    for name in forgotten.runs:
        shutil.rmtree(state / "logs" / safe_name(name), ignore_errors=True)
    if forgotten.runs:
        tree.sweep(forgotten.needed)


def clear_work(work: Path, keep: str) -> None:
    """Remove the work trees of all Runs but one: people look at what failed last.

    Args:
        work: Folder of all work trees.
        keep: Uid of that Run.
    """
    if work.is_dir():
        for path in list(work.iterdir()):
            if path.name.startswith("."):
                remove_abandoned(path)
            elif not path.name.startswith(f"{keep}_"):
                remove_tree(path)
