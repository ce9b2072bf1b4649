"""bubblewrap: a job sees the system's programs read-only, its own work tree, and nothing else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from andon.adapters.filetree import remove_tree
from andon.adapters.process.files import unwritable
from andon.adapters.process.usage import all_memory

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
"""Switches of the machine, which its root may turn wherever it is."""
_KEPT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
"""What programs that expect to be root need for their own files and children, and no more: with any
other a job could mount the system again writable, make devices, or trace what is outside."""
_SHARED_PART = 4
"""One part in so many of the machine's memory may be shared by a job's processes."""
_ETC_FOLDERS = ("alternatives", "ca-certificates", "pki", "ssl")
_ETC_FILES = (
    "group",
    "hosts",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "protocols",
    "resolv.conf",
    "services",
)


def works() -> bool:
    """Say whether a sandbox can be made here, by making one."""
    if shutil.which("bwrap") is None:
        return False
    command = [*_isolation(network=False), *_system(), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Etc:
    """What jobs see as ``/etc``: a few of its folders, and copies of a few files in one folder.

    bubblewrap looks at all mounts anew for each that it makes, so that one for each file takes long.

    Args:
        folder: Where the copies lie; they may be seen by jobs that an earlier process began.
        source: What they are copies of.
    """

    def __init__(self, folder: Path, source: Path = Path("/etc")) -> None:
        self._folder = folder
        self._source = source
        self._about: list[tuple[int, ...]] = []
        self._made = ""

    def clear(self) -> None:
        """Forget all copies; no job may see them."""
        remove_tree(self._folder)

    def binds(self) -> list[str]:
        """Return what bubblewrap is told, with copies of the files as they are now.

        Raises:
            Unavailable: The disk is full or cannot be written.
        """
        about = [_about(f"{self._source}/{name}") for name in _ETC_FILES]
        if about != self._about or not os.path.isdir(self._made):
            try:
                self._made = self._make()
            except OSError as error:
                raise unwritable(self._folder, error) from error
            self._about = about
        places = [(f"{self._source}/{name}", f"/etc/{name}") for name in _ETC_FOLDERS]
        more = [part for pair in places for part in ("--ro-bind-try", *pair)]
        return ["--ro-bind", self._made, "/etc", *more]

    def _make(self) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=self._folder))
        for name in _ETC_FOLDERS:
            if (self._source / name).is_dir():
                (made / name).mkdir()
        for name in _ETC_FILES:
            with suppress(FileNotFoundError):
                shutil.copyfile(self._source / name, made / name)
                (made / name).chmod(0o644)
        made.chmod(0o755)
        return str(made)


def command(
    inner: list[str],
    work_tree: Path,
    temporary: Path,
    search_path: str,
    *,
    etc: Etc,
    network: bool,
) -> list[str]:
    """Wrap a command.

    Args:
        inner: What to run.
        work_tree: Bound read-write, and where it runs.
        temporary: Bound read-write as ``/tmp``.
        search_path: ``PATH``; the programs' own folders are bound read-only.
        etc: What it sees as ``/etc``.
        network: Whether it keeps the host's network.
    """
    binds = [part for folder in tools(search_path) for part in ("--ro-bind-try", folder, folder)]
    return [
        *_isolation(network=network),
        *_system(),
        *_shared_memory(),
        *etc.binds(),
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
    return arguments


@lru_cache(maxsize=1)
def _shared_memory() -> tuple[str, ...]:
    """Return what bounds it, where bubblewrap can: from 0.7 on, as its help says, and not as setuid."""
    program = Path(shutil.which("bwrap") or os.devnull)
    if program.stat().st_mode & stat.S_ISUID or b"--size BYTES" not in program.read_bytes():
        return ()
    size = all_memory() // _SHARED_PART >> 20 << 20
    bounded = ("--size", str(size), "--perms", "1777", "--tmpfs", "/dev/shm")  # noqa: S108 - its own
    return *bounded, "--remount-ro", "/dev"


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
