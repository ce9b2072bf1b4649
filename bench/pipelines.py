"""What ``andon run`` costs over the jobs' own commands: against make and gitlab-ci-local, in one run.

Every round measures each contestant once, from a cold process to its end, two jobs at a time; medians
are compared, all of the same minutes on the same machine.

Floor: the interpreter's start and the imports without which the command can do nothing. It stands
apart because it is paid once, whatever there is to do. Bytecode is kept from the first round
on, as an installed package has it, whatever the variables of Python say.

All folders lie in the cache folder, on the disk of people's own: in a ``/tmp`` where much has just been
deleted, ext4 passes over all those inodes for minutes, and each new file takes up to ten times as long.

make runs the same commands by ``make -j2`` and keeps nothing. gitlab-ci-local (npm) runs them by its
shell executor; it and a Node 22 are installed into a cache folder by npm, and left out where there is
none. Ours is durable: every intent and every outcome is committed to SQLite at synchronous FULL.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.ratio import Ratio

ROUNDS = 7
JOBS = 50
MANY = 5000
FEW = 500
"""So many jobs have ended when memory is looked at first, and again and again after as many."""
FLOOR = (
    "import andon.cli.run, andon.cli.commands.run, andon.cli.tree, andon.app.local.running,"
    " andon.app.local.sandboxing, andon.app.local.secrets"
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "andon-bench"
PACKAGES = ("gitlab-ci-local@4.75.1", "node@22")

Contestants = dict[str, Callable[[], None]]


def measure() -> Iterator[Ratio]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        yield from _compare(Path(name))
        yield from _many(Path(name))


def _compare(folder: Path) -> Iterator[Ratio]:
    took = _rounds(_contestants(folder))
    floor, make = took["floor"], took["make"]
    fifty = took["fifty"]
    yield Ratio("floor (start and imports)", 1000 * floor, 0, "ms")
    yield Ratio("make -j2, 50 jobs", 1000 * make, 0, "ms")
    yield Ratio("50 jobs, cold, over floor + 5 make", fifty / (floor + 5 * make), 1, most=True)
    if "gitlab-ci-local" in took:
        yield Ratio(
            "50 jobs, over gitlab-ci-local", fifty / took["gitlab-ci-local"], 0.3, most=True
        )
    else:
        print("pipelines: no npm here, so no gitlab-ci-local", flush=True)
    yield Ratio("one job, cold, over floor", took["one"] / floor, 2, most=True)
    marginal = 1000 * (fifty - took["one"]) / (JOBS - 1)
    yield Ratio("each further job", marginal, 4, "ms", most=True)
    if "fifty in bubblewrap" in took:
        sandboxed = took["fifty in bubblewrap"] - took["one in bubblewrap"]
        each = 1000 * sandboxed / (JOBS - 1)
        yield Ratio("each further job in bubblewrap", each, 12, "ms", most=True)
    yield Ratio("nothing changed, over floor", took["nothing changed"] / floor, 1.5, most=True)


def _contestants(folder: Path) -> Contestants:
    """Prepare the folders; return what is measured, by name."""
    fifty = _project(folder / "fifty", JOBS)
    one = _project(folder / "one", 1)
    peers = _peers_project(folder / "peers", JOBS)
    cached = _project(folder / "cached", JOBS, inputs=True)
    found: Contestants = {
        "floor": lambda: _call([sys.executable, "-c", FLOOR], folder),
        "make": lambda: _call(["make", "-s", "-j2"], peers),
        "fifty": lambda: _andon(fifty, "--no-sandbox"),
        "one": lambda: _andon(one, "--no-sandbox"),
        "nothing changed": lambda: _andon(cached, "--no-sandbox"),
    }
    if shutil.which("bwrap"):
        found["fifty in bubblewrap"] = lambda: _andon(fifty, "--sandbox")
        found["one in bubblewrap"] = lambda: _andon(one, "--sandbox")
    peer = _gitlab_ci_local()
    if peer:
        found["gitlab-ci-local"] = lambda: _call(
            [*peer, "--concurrency", "2", "--force-shell-executor"], peers, _node_first()
        )
    return found


def _rounds(contestants: Contestants) -> dict[str, float]:
    """Run each once to warm up, then in turn; return medians by name, in seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(ROUNDS + 1):
        for name, run in contestants.items():
            before = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - before)
    return {name: statistics.median(all) for name, all in seconds.items()}


def _many(folder: Path) -> Iterator[Ratio]:
    """A DAG of so many jobs: how fast it is planned, and what memory its run needs."""
    project = _project(folder / "many", MANY, layers=50)
    yield Ratio(f"{MANY} jobs planned", _plan_seconds(project), 1, "s", most=True)
    held = _held_bytes(project)
    yield Ratio(f"memory of {MANY} jobs", max(held) / 2**20, 0, "MB")
    yield Ratio(f"... over that of the first {FEW}", max(held) / held[0], 1.05, most=True)
    # The median: a table that is replaced by a larger one, once, is not what each job adds.
    added = statistics.median(after - before for before, after in itertools.pairwise(held))
    yield Ratio("memory a finished job adds", added / FEW / 1024, 0.1, "KB", most=True)


def _plan_seconds(project: Path) -> float:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from andon.adapters.git.working import WorkingTree\n"
        "from andon.app.local.planning import plan_here\n"
        "from andon.adapters.git import GitSource\n"
        "tree = WorkingTree(Path.cwd(), Path(sys.argv[1])); taken = tree.take()\n"
        "elsewhere = GitSource(Path(sys.argv[1]))\n"
        "before = time.perf_counter(); plan_here(tree, taken, (), elsewhere)\n"
        "print(time.perf_counter() - before)\n"
    )
    command = [sys.executable, "-c", code, str(project.with_suffix(".tree"))]
    times = [
        float(
            subprocess.run(
                command, cwd=project, env=_environment({}), capture_output=True, check=True
            ).stdout
        )
        for _ in range(3)
    ]
    return statistics.median(times)


def _held_bytes(project: Path) -> list[int]:
    """Return the resident memory of a run each time that so many more jobs have ended, and at its end."""
    child = subprocess.Popen(
        [sys.executable, "-m", "andon", "run", "--no-sandbox"],
        cwd=project,
        env=_environment(_state(project)),
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    held = []
    # After its own, one line a job; then how it ended.
    for number, _ in enumerate(child.stdout):
        if number and (number % FEW == 0 or number > MANY):
            held.append(_resident_bytes(child.pid))
    assert child.wait() == 0
    return held


def _resident_bytes(process: int) -> int:
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


# --- folders ------------------------------------------------------------------------------------


def _project(folder: Path, jobs: int, *, layers: int = 1, inputs: bool = False) -> Path:
    """Write a repository with so many jobs that do nothing."""
    folder.mkdir()
    if inputs:
        (folder / "input.txt").write_text("1\n")
    (folder / "andon.yaml").write_text(_andon_yaml(jobs, layers, inputs=inputs))
    return _committed(folder)


def _peers_project(folder: Path, jobs: int) -> Path:
    """Write the same for the others."""
    folder.mkdir()
    names = [f"j{number}" for number in range(jobs)]
    rules = "".join(f"{name}:\n\t@true\n" for name in names)
    (folder / "Makefile").write_text(f"all: {' '.join(names)}\n{rules}")
    script = "".join(f"{name}:\n  script: ['true']\n" for name in names)
    (folder / ".gitlab-ci.yml").write_text(script)
    (folder / ".gitignore").write_text(".gitlab-ci-local\n")
    return _committed(folder)


def _committed(folder: Path) -> Path:
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "bench"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


def _andon_yaml(jobs: int, layers: int, *, inputs: bool) -> str:
    lines = [
        "apiVersion: andon/v1",
        "kind: Pipeline",
        "metadata:",
        "  name: ci",
        "spec:",
        "  jobs:",
    ]
    width = jobs // layers
    for number in range(jobs):
        lines += [f"    j{number}:", '      run: "true"']
        if number >= width:
            lines.append(f"      needs: [j{number - width}]")
        if inputs:
            lines.append("      inputs: [input.txt]")
    return "\n".join(lines) + "\n"


# --- contestants --------------------------------------------------------------------------------


def _andon(project: Path, *more: str) -> None:
    command = [sys.executable, "-m", "andon", "run", "--jobs", "2", *more]
    _call(command, project, _state(project))


def _state(project: Path) -> Mapping[str, str]:
    return {"XDG_STATE_HOME": str(project.with_suffix(".state"))}


def _call(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=_environment(env or {}), capture_output=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {said}")


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"), **more}


def _gitlab_ci_local() -> list[str]:
    """Return the command of gitlab-ci-local, installed if need be; empty: it cannot be had."""
    program = CACHE / "node_modules" / ".bin" / "gitlab-ci-local"
    node = CACHE / "node_modules" / "node" / "bin" / "node"
    if not (program.exists() and node.exists()):
        npm = shutil.which("npm")
        if npm is None:
            return []
        CACHE.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), *PACKAGES]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            return []
    return [str(node), str(program.resolve())]


def _node_first() -> Mapping[str, str]:
    node = CACHE / "node_modules" / "node" / "bin"
    folders = [str(node), *([] if shutil.which("rsync") else [str(_stand_in())])]
    return {"PATH": os.pathsep.join([*folders, os.environ["PATH"]])}


def _stand_in() -> Path:
    """Where there is no rsync, which gitlab-ci-local copies a folder with, a faster one that copies."""
    program = CACHE / "bin" / "rsync"
    program.parent.mkdir(exist_ok=True)
    program.write_text('#!/bin/sh\nfor to; do :; done\nmkdir -p "$to"\nexec cp -p Makefile "$to"\n')
    program.chmod(0o755)
    return program.parent
