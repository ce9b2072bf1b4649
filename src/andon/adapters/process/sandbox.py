"""bubblewrap: a job sees the system's programs read-only, its own work tree, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
"""Switches of the machine, which its root may turn wherever it is."""
_KEPT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
"""What programs that expect to be root need for their own files and children, and no more: with any
other a job could mount the system again writable, make devices, or trace what is outside."""
_ETC = (
    "alternatives",
    "ca-certificates",
    "group",
    "hosts",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "pki",
    "protocols",
    "services",
    "ssl",
)


def works() -> bool:
    """Say whether a sandbox can be made here, by making one."""
    if shutil.which("bwrap") is None:
        return False
    command = [*_isolation(network=False), *_system(), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def command(
    inner: list[str], work_tree: Path, temporary: Path, search_path: str, *, network: bool
) -> list[str]:
    """Wrap a command.

    Args:
        inner: What to run.
        work_tree: Bound read-write, and where it runs.
        temporary: Bound read-write as ``/tmp``.
        search_path: ``PATH``; the programs' own folders are bound read-only.
        network: Whether it keeps the host's network.
    """
    binds = [part for folder in tools(search_path) for part in ("--ro-bind-try", folder, folder)]
    return [
        *_isolation(network=network),
        *_system(),
        *("--bind", str(temporary), "/tmp"),  # noqa: S108 - the sandbox's own
        *binds,
        *("--bind", str(work_tree), str(work_tree)),
        *("--remount-ro", "/"),
        *("--chdir", str(work_tree), "--"),
        *inner,
    ]


def _isolation(*, network: bool) -> list[str]:
    unshare = ["--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    return ["bwrap", *unshare, *([] if network else ["--unshare-net"]), *_capabilities()]


def _capabilities() -> list[str]:
    if os.geteuid() != 0:
        return []  # Nobody else has any to give.
    kept = (part for name in _KEPT_CAPABILITIES for part in ("--cap-add", f"CAP_{name}"))
    return ["--cap-drop", "ALL", *kept]


def _system() -> list[str]:
    arguments = ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/usr", "/usr"]
    for path in _KERNEL:
        arguments += ["--ro-bind-try", path, path]
    for path in _SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        else:
            arguments += ["--ro-bind-try", path, path]
    for name in _ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    resolver = os.path.realpath("/etc/resolv.conf")
    return [*arguments, "--ro-bind-try", resolver, "/etc/resolv.conf"]


def tools(search_path: str) -> list[str]:
    """Return the folders outside ``/usr`` that the programs on a search path live in.

    A program's installation prefix is bound as well as its ``bin``, for its libraries, and so is
    the interpreter that a virtual environment borrows. Home folders and the root never are.
    """
    entries = search_path.split(os.pathsep)
    about = [_about(path) for entry in entries for path in (entry, f"{entry}/python3")]
    return list(_tools(search_path, tuple(about)))


def _about(path: str) -> tuple[int, ...]:
    try:
        facts = os.stat(path)
    except OSError:
        return ()
    return facts.st_dev, facts.st_ino, facts.st_ctime_ns


@lru_cache(maxsize=16)
def _tools(search_path: str, _: tuple[tuple[int, ...], ...]) -> tuple[str, ...]:
    """Find them; to follow links takes long, so that it is done again only if something has changed."""
    folders: set[str] = set()
    for entry in search_path.split(os.pathsep):
        if os.path.isdir(entry):
            folders.add(_prefix(os.path.abspath(entry)))
            python = os.path.join(entry, "python3")
            if os.path.exists(python):
                folders.add(_prefix(os.path.dirname(os.path.realpath(python))))
    system = ("/usr", *_SYSTEM)
    return tuple(sorted(f for f in folders if not _is_below(f, (*system, *(folders - {f})))))


def _is_below(folder: str, others: Iterable[str]) -> bool:
    return any(folder == other or folder.startswith(f"{other}/") for other in others)


def _prefix(folder: str) -> str:
    prefix = os.path.dirname(folder)
    private = (os.path.expanduser("~"), "/", "/root", "/home", "/opt", "/var", "/srv")
    named_bin = os.path.basename(folder) in ("bin", "sbin")
    return prefix if named_bin and prefix not in private else folder
