"""Control groups, versions 1 and 2: limits, and the certain way to find every descendant."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

_CONTROLLERS = ("memory", "pids", "cpu")
_CPU_PERIOD_MICROSECONDS = 100_000


class Limits(Struct, frozen=True, kw_only=True):
    """What a group of processes may use; None: as much as there is."""

    memory_bytes: int | None = None
    cpu: float | None = None
    processes: int | None = None


class Cgroup(Struct, frozen=True):
    """One group: its folder in each hierarchy (none where the machine does not allow groups)."""

    folders: tuple[str, ...] = ()

    def members(self) -> set[int]:
        """Return the pids in the group."""
        return {pid for folder in self.folders for pid in _procs(folder)}

    def kill(self) -> None:
        """Kill all members at once, where the kernel offers that."""
        for folder in self.folders:
            _write(f"{folder}/cgroup.kill", "1")

    def oom_kills(self) -> int:
        """Return how many members were killed because the group's memory was used up."""
        return max((_oom_kills(folder) for folder in self.folders), default=0)

    def remove(self) -> None:
        """Forget the (empty) group."""
        for folder in self.folders:
            _remove(folder)


def _procs(folder: str) -> list[int]:
    try:
        return [int(line) for line in Path(folder, "cgroup.procs").read_text().split()]
    except (OSError, ValueError):
        return []


def _write(path: str, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:
        pass


def _oom_kills(folder: str) -> int:
    for name in ("memory.events", "memory.oom_control"):
        try:
            lines = Path(folder, name).read_text().splitlines()
        except OSError:
            continue
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0


class Cgroups:
    """The groups of one agent.

    Args:
        roots: Our folder in each hierarchy: by controller for version 1, ``unified`` for version 2.
        controllers: Controllers whose limits work.
    """

    def __init__(self, roots: Mapping[str, str], controllers: Iterable[str]) -> None:
        self.roots = dict(roots)
        self.controllers = tuple(sorted(controllers))

    @property
    def backend(self) -> str:
        """``v1``, ``v2``, ``hybrid`` or ``none``."""
        if not self.roots:
            return "none"
        if "unified" not in self.roots:
            return "v1"
        return "v2" if len(self.roots) == 1 else "hybrid"

    def create(self, name: str, limits: Limits) -> Cgroup:
        """Make (or find) a group and set its limits."""
        folders = tuple(f"{root}/{name}" for root in self.roots.values())
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
            _limit(folder, limits)
        return Cgroup(folders)

    def close(self) -> None:
        """Remove our folders, if empty."""
        for root in self.roots.values():
            _remove(root)


def _limit(folder: str, limits: Limits) -> None:
    memory = "max" if limits.memory_bytes is None else str(limits.memory_bytes)
    _write(f"{folder}/memory.max", memory)
    _write(f"{folder}/memory.swap.max", "max" if memory == "max" else "0")
    _write(f"{folder}/memory.limit_in_bytes", "-1" if memory == "max" else memory)
    _write(f"{folder}/pids.max", "max" if limits.processes is None else str(limits.processes))
    quota = None if limits.cpu is None else int(limits.cpu * _CPU_PERIOD_MICROSECONDS)
    _write(f"{folder}/cpu.max", f"{'max' if quota is None else quota} {_CPU_PERIOD_MICROSECONDS}")
    _write(f"{folder}/cpu.cfs_quota_us", str(-1 if quota is None else quota))


def detect(name: str) -> Cgroups:
    """Find out, by trying, which hierarchies this process may use.

    Args:
        name: Our folder's name in each of them.
    """
    own = _own_paths(Path("/proc/self/cgroup").read_text())
    roots = {
        hierarchy: _beneath(mount, own.get(hierarchy, "/")) + f"/{name}"
        for hierarchy, mount in _mounts(Path("/proc/mounts").read_text()).items()
    }
    usable = {hierarchy: root for hierarchy, root in roots.items() if _try(root)}
    return Cgroups(usable, _limiting(usable))


def _own_paths(text: str) -> dict[str, str]:
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else ("unified",):
            paths[controller] = path
    return paths


def _mounts(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup2":
            found.setdefault("unified", where)
        elif kind == "cgroup":
            found |= {name: where for name in _CONTROLLERS if name in options.split(",")}
    return found


def _beneath(mount: str, own: str) -> str:
    inside = f"{mount}{own}".rstrip("/")
    return inside if os.path.isdir(inside) else mount


def _try(root: str) -> bool:
    """Make a group, put a process in it and remove it again."""
    probe = f"{root}/probe-{os.getpid()}"
    try:
        os.makedirs(probe, exist_ok=True)
        _write(f"{os.path.dirname(root)}/cgroup.subtree_control", "+memory +pids +cpu")
        _write(f"{root}/cgroup.subtree_control", "+memory +pids +cpu")
        entered = subprocess.run(
            ["/bin/sh", "-c", f"echo $$ > '{probe}/cgroup.procs'"], capture_output=True, check=False
        )
    except OSError:
        return False
    _remove(probe)
    return entered.returncode == 0


def _limiting(roots: Mapping[str, str]) -> set[str]:
    limiting = {name for name in _CONTROLLERS if name in roots}
    if "unified" in roots:
        text = Path(roots["unified"], "cgroup.controllers").read_text()
        limiting |= set(text.split()) & set(_CONTROLLERS)
    return limiting
