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
from queue import Queue

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
COPIED = ("src", "tests", "examples", "pyproject.toml")
TEST_SECONDS = 120
AT_ONCE = 2
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "_hypothesis_pytestplugin")
"""What these tests need: others take longer to load than most patches take to be noticed."""
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
        env={
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "ANDON_TEST_PATIENCE_SECONDS": "15",
        },
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
        check=False,
    )


def _sabotage(patch: Path, copies: Queue[Path]) -> tuple[str, str, float]:
    """Apply one patch to a copy that nobody else uses meanwhile; (patch, what happened, seconds)."""
    began = time.monotonic()
    header = patch.read_text().split("\n", 1)[0]
    tests = shlex.split(header.removeprefix("tests:"))
    folder = copies.get()
    try:
        said = _check(folder, patch, tests)
    finally:
        shutil.rmtree(folder / ".hypothesis", ignore_errors=True)
        copies.put(folder)
    return patch.stem, said, time.monotonic() - began


def _check(folder: Path, patch: Path, tests: list[str]) -> str:
    applied = _run(folder, "git", "apply", "-p1", str(patch))
    if applied.returncode:
        return f"does not apply: {applied.stderr.strip()}"
    try:
        ran = _run(folder, sys.executable, *PYTEST, *PLUGINS, *tests)
    finally:
        undone = _run(folder, "git", "apply", "-R", "-p1", str(patch))
    if undone.returncode:
        return f"cannot be undone: {undone.stderr.strip()}"
    if ran.returncode == 1:
        return "noticed"
    return "NOT NOTICED" if ran.returncode == 0 else f"tests did not run: {ran.stdout[-300:]}"


def _expect_it_is_used(folder: Path) -> None:
    """Check that a copy imports itself, and not what is installed."""
    where = _run(folder, sys.executable, "-c", "import andon; print(andon.__file__)")
    if not where.stdout.startswith(str(folder)):
        sys.exit(f"another andon is imported: {where.stdout.strip()}")


def main() -> int:
    """Try every patch, or those named; 1 if one is not noticed."""
    named = set(sys.argv[1:])
    patches = [one for one in sorted(PATCHES.glob("*.patch")) if not named or one.stem in named]
    copies: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(AT_ONCE):
            folder = Path(name, str(number))
            folder.mkdir()
            _copy(folder)
            _expect_it_is_used(folder)
            copies.put(folder)
        results = list(pool.map(lambda patch: _sabotage(patch, copies), patches))
    for stem, said, seconds in results:
        print(f"{stem:26} {seconds:5.1f} s  {said}")
    return 0 if patches and all(said == "noticed" for _, said, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
