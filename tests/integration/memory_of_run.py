"""Runs a folder's Pipeline with the engine of ``andon run`` and tells what memory it holds as jobs end.

A process of its own, as it becomes the parent of whatever jobs leave behind. What is bounded by a number
is bounded by a small one here, so that few jobs show what grows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import pathlib
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

from andon.adapters.process import records
from andon.api.v1 import steps
from andon.api.v1.actions import JobDone, RunJob
from andon.api.v1.records import RunStatus, StepRow
from andon.app.local.running import Wish, run_here
from andon.cli.tree import Lines, Story

AT_HAND = 16
OURS = (
    tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),
    # It interns each part of a path; Python's table of those is replaced by a larger one at any time.
    tracemalloc.Filter(inclusive=False, filename_pattern=pathlib.__file__),
)


class Weighing(Lines):
    """Looks at what is held when the first job has ended, and when the last one has."""

    def __init__(self, story: Story) -> None:
        super().__init__(story, colors=False, write=lambda line: None)
        self.held: list[int] = []

    def done(self, job: RunJob, outcome: JobDone) -> None:
        """Note it."""
        super().done(job, outcome)
        if not self.held:
            self._weigh()

    def ended(self, run: str, status: RunStatus, rows: Iterable[StepRow]) -> None:
        """Sum up."""
        super().ended(run, status, rows)
        assert status.phase == "Succeeded", status.message
        self._weigh()

    def _weigh(self) -> None:
        gc.collect()
        kept = tracemalloc.take_snapshot().filter_traces(OURS)
        self.held.append(sum(trace.size for trace in kept.traces))


def growth(folder: Path) -> int:
    """Run what is in a folder; return by how many bytes what is held grew meanwhile."""
    state = folder / "state"
    weighing = Weighing(Story(state / "logs"))
    asyncio.run(run_here(Wish(folder=folder / "project", state=state), weighing))
    first, last = weighing.held
    return last - first


if __name__ == "__main__":
    steps.AT_HAND = AT_HAND
    records.KEPT_IN_MEMORY = AT_HAND
    tracemalloc.start()
    print(json.dumps([growth(Path(folder)) for folder in sys.argv[1:]]))
