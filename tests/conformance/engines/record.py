"""Asks other engines what they make of the files here, and keeps their answers.

Run it where both are installed, once; tests read the answers only:

    python record.py ACT GITLAB_CI_LOCAL
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BRANCHES = ("main", "release/v2", "wip-x")
EVENTS = ("push", "pull_request")


def run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def repository(folder: Path, file: Path, place: str, branch: str) -> None:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(file.read_text())
    run(folder, "git", "init", "-q", "-b", branch)
    run(folder, "git", "remote", "add", "origin", "https://example.com/group/project.git")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "a")


def ask_act(act: str, file: Path, event: str, branch: str) -> list[dict[str, object]]:
    """Return the jobs that would run, with what the matrix chose."""
    with tempfile.TemporaryDirectory() as name:
        repository(Path(name), file, ".github/workflows/ci.yml", branch)
        said = run(Path(name), act, event, "-n", "--json", "-P", "label=-self-hosted")
    found = {
        json.dumps([line["jobID"], line["matrix"]], sort_keys=True)
        for line in map(json.loads, said.splitlines())
        if line.get("jobResult") == "success"
    }
    return [{"job": job, "matrix": matrix} for job, matrix in map(json.loads, sorted(found))]


def ask_gitlab(engine: str, file: Path, branch: str) -> list[dict[str, object]]:
    """Return the jobs of the pipeline, and what they need, where they say so."""
    with tempfile.TemporaryDirectory() as name:
        repository(Path(name), file, ".gitlab-ci.yml", branch)
        said = json.loads(run(Path(name), engine, "--list-json"))
    kept = ("name", "stage", "when")
    return [
        {word: job[word] for word in kept}
        | ({"needs": [need["job"] for need in job["needs"]]} if "needs" in job else {})
        for job in said
    ]


def main(act: str, gitlab: str) -> None:
    answers: dict[str, object] = {
        "act": run(HERE, act, "--version").split()[-1],
        "gitlab-ci-local": run(HERE, gitlab, "--version").strip(),
    }
    for file in sorted(HERE.glob("github/*.yml")):
        answers[f"github/{file.name}"] = {
            f"{event} {branch}": ask_act(act, file, event, branch)
            for event in EVENTS
            for branch in BRANCHES
        }
    for file in sorted(HERE.glob("gitlab/*.yml")):
        answers[f"gitlab/{file.name}"] = {
            f"push {branch}": ask_gitlab(gitlab, file, branch) for branch in BRANCHES
        }
    (HERE / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
