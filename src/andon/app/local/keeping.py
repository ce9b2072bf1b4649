"""What a local state remembers of Runs, and what it forgets."""

from __future__ import annotations

import shutil
from pathlib import Path

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
_SLACK = 10
"""So many more there may be before they are looked through."""
_BELONGS = ("Evidence", "Artifact", "Cancellation")


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


def forget_old(tx: Tx) -> tuple[list[Object], list[Object]]:
    """Forget Runs that ended long ago, with what they made but the results that still count.

    Returns:
        Those that stay and those that were forgotten; nothing, while there are few.
    """
    runs = tx.list(Selector(kind="Run"), newest_first=True)
    if len(runs) <= KEPT_RUNS + _SLACK:
        return [], []
    stay = runs[:KEPT_RUNS]
    gone = [run for run in runs[KEPT_RUNS:] if run.status.phase in TERMINAL]
    for run in gone:
        labels = {"change": run.spec.change}
        for kind in _BELONGS:
            for found in tx.list(Selector(kind=kind, labels=labels)):
                tx.forget(found)
        tx.forget(run)
    return stay, gone


def clear(state: Path, tree: WorkingTree, stay: list[Object], gone: list[Object]) -> None:
    """Remove what forgotten Runs left in the state folder."""
    for run in gone:
        shutil.rmtree(state / "logs" / safe_name(run.name), ignore_errors=True)
    if gone:
        tree.sweep({run.spec.build.sha for run in stay})


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
