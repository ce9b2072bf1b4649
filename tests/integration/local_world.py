"""A repository in which `andon run` is started for real, and what it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120.0


class Here:
    """A folder with a Pipeline, a state folder, and a folder that jobs leave marks in."""

    program: tuple[str, ...] = ()
    """Starts what is started, if anything does."""

    def __init__(self, folder: Path, *, git: bool = True) -> None:
        self.project = folder / "project"
        self.state = folder / "state"
        self.marks = folder / "marks"
        self.project.mkdir()
        self.marks.mkdir()
        if git:
            self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git as somebody."""
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.project, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, jobs: dict[str, Any], **spec: Any) -> None:
        """Write the Pipeline (JSON is YAML)."""
        document = {
            "apiVersion": "andon/v1",
            "kind": "Pipeline",
            "metadata": {"name": "ci"},
            "spec": {"jobs": jobs, **spec},
        }
        (self.project / "andon.yaml").write_text(json.dumps(document, indent=1))

    def commit(self) -> str:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", "a change")
        return self.git("rev-parse", "HEAD")

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start `andon run`."""
        return subprocess.Popen(
            [
                *self.program,
                sys.executable,
                "-m",
                "andon",
                "run",
                "--state",
                str(self.state),
                *arguments,
            ],
            cwd=self.project,
            env={**os.environ, "MARKS": str(self.marks), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run it to its end; exit code, events, and what it complained of."""
        started = self.start("--no-sandbox", "--json", *arguments, **env)
        said, complaint = started.communicate(timeout=PATIENCE_SECONDS)
        return started.returncode, [json.loads(line) for line in said.splitlines()], complaint

    def mark(self, job: str) -> str:
        """Return shell text that leaves a mark of a job."""
        return f"echo run >>{self.marks}/{job}"

    def count(self, job: str) -> int:
        """Return how often a job left its mark."""
        file = self.marks / job
        return len(file.read_text().splitlines()) if file.exists() else 0

    def states(self) -> dict[str, str]:
        """Return the durable state of each step of the newest Run."""
        path = self.state / "local" / "runs.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            rows = database.execute(
                "SELECT body FROM step WHERE uid ="
                " (SELECT uid FROM object WHERE kind = 'Run' ORDER BY uid DESC LIMIT 1)"
            ).fetchall()
        found = [json.loads(body) for (body,) in rows]
        return {row["name"]: row.get("state", "waiting") for row in found}


def steps(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return the states that a run told at its end."""
    return {step["step"]: step["state"] for step in events[-1]["steps"]}


def until(so: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


def alive(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"
