"""How soon a killed ``andon run`` is taken up: from a cold process until the job in flight runs again.

The first run is killed (SIGKILL, with nothing but itself) in the middle of 200 jobs that have ended and 200
that wait. By then its orphan has been ended, and no job that had ended has run again.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.ratio import Ratio

ROUNDS = 7
JOBS = 200
PATIENCE_SECONDS = 120.0


def measure() -> Iterator[Ratio]:
    with tempfile.TemporaryDirectory() as name:
        took = [_round(Path(name) / str(number)) for number in range(ROUNDS)]
    yield Ratio("taken up, median", statistics.median(took), 0, "s")
    yield Ratio("taken up, slowest", max(took), 2, "s", most=True)


def _round(folder: Path) -> float:
    marks = folder / "marks"
    marks.mkdir(parents=True)
    (folder / "project").mkdir()
    (folder / "project/andon.yaml").write_text(_pipeline(marks))
    first = _andon(folder)
    (orphan,) = _pids(marks, 1)
    first.kill()
    first.wait()
    before = time.perf_counter()
    second = _andon(folder)
    try:
        _pids(marks, 2)
        took = time.perf_counter() - before
        if _runs(orphan):
            raise RuntimeError("the orphan of the killed run still runs")
        again = len((marks / "ended").read_text().splitlines())
        if again != JOBS:
            raise RuntimeError(f"{again - JOBS} jobs that had ended ran again")
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(PATIENCE_SECONDS)
    return took


def _runs(pid: str) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def _pids(marks: Path, number: int) -> list[str]:
    """Wait until the job in flight has begun so often; return its processes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    file = marks / "begun"
    while not file.exists() or len(pids := file.read_text().splitlines()) < number:
        if time.monotonic() > deadline:
            raise RuntimeError("the job in flight has not begun")
        time.sleep(0.001)
    return pids


def _pipeline(marks: Path) -> str:
    lines = [
        "apiVersion: andon/v1",
        "kind: Pipeline",
        "metadata: {name: ci}",
        "spec:",
        "  jobs:",
        f"    flying: {{needs: [{_names('a')}], run: 'echo $$ >>{marks}/begun; exec sleep 300'}}",
    ]
    for number in range(JOBS):
        lines.append(f"    a{number}: {{run: 'echo {number} >>{marks}/ended'}}")
        lines.append(f"    z{number}: {{needs: [flying], run: 'true'}}")
    return "\n".join(lines) + "\n"


def _names(letter: str) -> str:
    return ", ".join(f"{letter}{number}" for number in range(JOBS))


def _andon(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "andon", "run", "--no-sandbox", "--json"],
        cwd=folder / "project",
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
