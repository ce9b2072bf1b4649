"""The certification of the judge: what it finished it keeps, and a broken promise is its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def certify(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.certify_judge", "--processes", "1", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def lines(kept: bytes) -> list[bytes]:
    return [one for one in kept.splitlines() if one]


def test_it_goes_on_from_what_is_finished(tmp_path) -> None:
    out = tmp_path / "cells.jsonl"
    asked = ("--only", "outage", "--out", str(out))
    first = certify(*asked, "--runs", "2")
    assert first.returncode == 0, first.stderr
    kept = out.read_bytes()
    assert len(lines(kept)) == 2
    out.write_bytes(kept[:-20])
    again = certify(*asked, "--runs", "2")
    assert again.stdout == first.stdout
    assert lines(out.read_bytes())[-1] == lines(kept)[-1]


def test_a_fault_that_is_found_too_late_breaks_it() -> None:
    late = certify("--only", "little-traffic-one-percent", "--runs", "1", "--seed", "1")
    assert "MISSED: found later" in late.stdout
    assert late.returncode == 1
