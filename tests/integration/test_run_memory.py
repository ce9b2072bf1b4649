"""A Run of many jobs: what its process holds does not grow as they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.integration.local_world import PATIENCE_SECONDS, Here

from andon.api.v1.records import StepRow

FEW, MANY = 80, 240


def folder_of(tmp_path: Path, jobs: int) -> str:
    folder = tmp_path / str(jobs)
    folder.mkdir()
    here = Here(folder)
    here.write({f"job-{number}": {"run": "true"} for number in range(jobs)})
    here.commit()
    return str(folder)


def test_what_is_held_does_not_grow_as_jobs_end(tmp_path: Path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.integration.memory_of_run"),
            *(folder_of(tmp_path, jobs) for jobs in (FEW, MANY)),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    few, many = json.loads(done.stdout)
    # Each job that ends leaves less than the least that can be said of it.
    assert many - few < (MANY - FEW) * sys.getsizeof(StepRow(name="", position=0))
