"""No process that may know secrets can be dumped, from its first moment on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PR_GET_DUMPABLE = 3
RUN = f"""
import ctypes, sys
from andon.cli.run import run
before = ctypes.CDLL(None).prctl({PR_GET_DUMPABLE})
code = run(sys.argv[1:])
print(before, code, ctypes.CDLL(None).prctl({PR_GET_DUMPABLE}))
"""


@pytest.mark.parametrize("command", [["up", "--port", "0"], ["worker"]])
def test_control_plane_and_workers_are_never_dumped(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "file").touch()
    state = str(tmp_path / "file" / "no-folder")  # So that it ends before anything is started.
    said = subprocess.run(
        [sys.executable, "-c", RUN, "--state", state, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before, code, after = said.stdout.split()
    assert (before, after) == ("1", "0"), said.stderr
    assert code != "0"
