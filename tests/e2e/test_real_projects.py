"""Suites of packages that everybody knows run through `andon init` and `andon run`, unchanged.

Two of them run here; with ANDON_CERTIFY=1 all do. Their sdists come from the package registry that pip is
configured for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from andon.cli.run import run as andon

SECONDS = 900


class Project(NamedTuple):
    """A package, and a test of its suite by file and name."""

    requirement: str
    file: str
    test: str


PROJECTS = [
    Project("itsdangerous==2.2.0", "tests/test_itsdangerous/test_encoding.py", "test_base64_bad"),
    Project("iniconfig==2.3.1", "testing/test_iniconfig.py", "test_parse_empty"),
    Project("idna==3.20", "tests/test_idna.py", "test_check_hyphen_ok"),
    Project("pluggy==1.7.0", "testing/test_details.py", "test_repr"),
    Project("blinker==1.9.0", "tests/test_symbol.py", "test_symbols"),
]
CHOSEN = PROJECTS if os.environ.get("ANDON_CERTIFY") == "1" else PROJECTS[:2]
"""The first two are small, and one names its requirements in a file, the other in a group."""


@pytest.fixture(params=CHOSEN, ids=lambda project: project.requirement)
def project(request, tmp_path):
    """The unpacked sdist of a project, and the project."""
    folder = tmp_path / "sdist"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
    ]
    done = subprocess.run(
        [*command, "--dest", str(folder), request.param.requirement],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no package registry to take it from: {done.stderr[-300:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    return unpacked, request.param


class Running:
    """`andon run` in a folder, with a state of its own."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "andon", "run", "--json"],
            cwd=folder,
            env={**os.environ, "XDG_STATE_HOME": str(state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, dict[str, dict]]:
        """Return its exit code, and how each step ended."""
        try:
            out, _ = self.process.communicate(timeout=SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
        events = [json.loads(line) for line in out.splitlines()]
        steps = {event["step"]: event for event in events if event["event"] == "ended"}
        return self.process.returncode, steps


def plant(folder: Path, project: Project) -> None:
    """Make one test of the suite fail."""
    file = folder / project.file
    lines = file.read_text().splitlines(keepends=True)
    (at,) = (n for n, line in enumerate(lines) if line.lstrip().startswith(f"def {project.test}("))
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    lines.insert(at + 1, f"{indent}    raise AssertionError('planted')\n")
    file.write_text("".join(lines))


def test_its_suite_is_green_and_a_planted_failure_is_reported_at_its_test(project, tmp_path):
    folder, known = project
    assert andon(["init", str(folder)]) == 0
    broken = tmp_path / "broken" / folder.name
    shutil.copytree(folder, broken)
    plant(broken, known)
    whole, part = Running(folder, tmp_path / "state"), Running(broken, tmp_path / "other")
    try:
        code, steps = whole.end()
        assert (code, steps["test"]["state"]) == (0, "passed"), steps["test"]["message"]
        code, steps = part.end()
    finally:
        for running in (whole, part):
            running.process.kill()
    assert (code, steps["test"]["state"], steps["test"]["fault"]) == (8, "failed", "change")
    failed = [line for line in steps["test"]["message"].splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert f"{known.file}::" in failed[0]
    assert f"::{known.test} " in f"{failed[0]} "
