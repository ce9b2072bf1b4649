"""Disable each safety in a copy of the source; the tests that its patch names must turn red."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
COPIED = ("src", "tests", "examples", "pyproject.toml")
TEST_SECONDS = 120
NOT_CODE = shutil.ignore_patterns(".hypothesis")


def _copy(into: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=NOT_CODE)
        else:
            shutil.copy(source, into / name)


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
        check=False,
    )


def _sabotage(patch: Path) -> tuple[str, str, float]:
    """Apply one patch to a copy; (patch, what happened, seconds)."""
    began = time.monotonic()
    header = patch.read_text().split("\n", 1)[0]
    tests = shlex.split(header.removeprefix("tests:"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _copy(folder)
        said = _check(folder, patch, tests)
    return patch.stem, said, time.monotonic() - began


def _check(folder: Path, patch: Path, tests: list[str]) -> str:
    applied = _run(folder, "git", "apply", "-p1", str(patch))
    if applied.returncode:
        return f"does not apply: {applied.stderr.strip()}"
    where = _run(folder, sys.executable, "-c", "import andon; print(andon.__file__)")
    if not where.stdout.startswith(str(folder)):
        return f"another andon is imported: {where.stdout.strip()}"
    ran = _run(folder, sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests)
    if ran.returncode == 1:
        return "noticed"
    return "NOT NOTICED" if ran.returncode == 0 else f"tests did not run: {ran.stdout[-300:]}"


def main() -> int:
    """Try every patch, or those named; 1 if one is not noticed."""
    named = set(sys.argv[1:])
    patches = [one for one in sorted(PATCHES.glob("*.patch")) if not named or one.stem in named]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(_sabotage, patches))
    for name, said, seconds in results:
        print(f"{name:26} {seconds:5.1f} s  {said}")
    return 0 if patches and all(said == "noticed" for _, said, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
