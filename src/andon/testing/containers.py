"""A container engine of the tests' own: a private folder, a Unix socket, no rule in the firewall.

Images come from this machine, as no registry is reached: busybox, and the interpreter that runs the tests.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from andon.adapters.container import Engine
from andon.testing.postgres import _die_with_parent

START_SECONDS = 120
_SERVER = ["sh", "-c", "cd /www && echo hello >hello && exec busybox httpd -f -p 8000"]
_FEWER_FILES = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
"""Usually podman asks for more than a container that runs tests itself may have."""
_LEFT_OUT = (
    "test",
    "tests",
    "idlelib",
    "__pycache__",
    "site-packages",
    "dist-packages",
    "ensurepip",
)


def can_run() -> bool:
    """Say whether an engine can be started here."""
    programs = all(map(shutil.which, ("dockerd", "docker", "docker-init", "busybox")))
    return programs and os.geteuid() == 0


def can_run_podman() -> bool:
    """Say whether podman's service can be started here."""
    return all(map(shutil.which, ("podman", "docker", "catatonit", "busybox"))) and (
        os.geteuid() == 0
    )


class RunningEngine:
    """An engine that runs.

    Args:
        socket_path: Where it listens.
        image: An image with a shell and Python, by digest.
        server: One whose own program answers ``GET /hello`` on port 8000.
    """

    def __init__(self, socket_path: Path, image: str, server: str) -> None:
        self.socket_path = socket_path
        self.image = image
        self.server = server
        self.engine = Engine(socket_path)

    def containers(self) -> list[str]:
        """Return the ids of all containers there are."""
        return _docker(self.socket_path, "ps", "-aq").split()

    def networks(self) -> set[str]:
        """Return the names of the networks that somebody made."""
        names = _docker(self.socket_path, "network", "ls", "--format", "{{.Name}}").split()
        return set(names) - {"bridge", "host", "none"}

    def is_internal(self, network: str) -> bool:
        """Say whether a network leads nowhere."""
        shown = _docker(self.socket_path, "network", "inspect", "-f", "{{.Internal}}", network)
        return shown.strip() == "true"


def running_engine() -> AbstractContextManager[RunningEngine]:
    """Start Docker's engine with two images, and stop it in the end."""
    return _running(_dockerd)


def running_podman() -> AbstractContextManager[RunningEngine]:
    """Start podman's service with two images, neither with Python, and stop it in the end."""
    return _running(_podman, python=False)


def _dockerd(folder: Path, socket_path: Path) -> list[str]:
    return [
        "dockerd",
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "run")),
        *("--host", f"unix://{socket_path}", "--pidfile", str(folder / "pid")),
        *("--bridge", "none", "--iptables=false", "--ip-forward=false"),
        *("--containerd-namespace", "andon"),
        *("--containerd-plugins-namespace", "andon-plugins"),
    ]


def _podman(folder: Path, socket_path: Path) -> list[str]:
    places = ("--root", "--runroot", "--tmpdir", "--network-config-dir")
    (folder / "containers.conf").write_text(_FEWER_FILES)
    return [
        *("env", f"CONTAINERS_CONF={folder / 'containers.conf'}"),
        "podman",
        *(f"{option}={folder / option.strip('-')}" for option in places),
        *("--cgroup-manager=cgroupfs", "--events-backend=file"),
        "--storage-driver=vfs",  # It is there on every file system, and leaves no mounts.
        *("system", "service", "--time", "0", f"unix://{socket_path}"),
    ]


@contextlib.contextmanager
def _running(
    command: Callable[[Path, Path], list[str]], *, python: bool = True
) -> Iterator[RunningEngine]:
    folder = Path(tempfile.mkdtemp(prefix="andon-engine-"))  # Socket paths have 107 characters.
    socket_path = folder / "engine.sock"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command(folder, socket_path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,  # podman leaves a file where it is when a container's memory is out.
            preexec_fn=_die_with_parent,
        )
    try:
        _wait(Engine(socket_path), process, folder / "log")
        image = _import(socket_path, python=python)
        server = _import(socket_path, "--change", f"CMD {json.dumps(_SERVER)}", python=False)
        yield RunningEngine(socket_path, image, server)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not engine.ping():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


def _import(socket_path: Path, *options: str, python: bool) -> str:
    said = _docker(socket_path, "import", *options, "-", given=_image(python=python))
    return said.split()[-1]


def _docker(socket_path: Path, *words: str, given: bytes = b"") -> str:
    command = ["docker", "--host", f"unix://{socket_path}", *words]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout.decode()


# --- an image -----------------------------------------------------------------------------------


@functools.cache
def _image(*, python: bool) -> bytes:
    """Return a tar with busybox, and with Python."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        _add_folders(tar)
        _add_busybox(tar)
        if python:
            _add_python(tar)
    return written.getvalue()


def _add_folders(tar: tarfile.TarFile) -> None:
    for name in ("bin", "tmp", "etc", "proc", "dev", "sys", "work", "www", "usr", "usr/bin"):
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)


def _add_busybox(tar: tarfile.TarFile) -> None:
    tar.add(str(shutil.which("busybox")), "bin/busybox")
    listed = subprocess.run(["busybox", "--list"], capture_output=True, check=True)
    for name in listed.stdout.decode().split():
        if name != "busybox":
            _link(tar, f"bin/{name}", "busybox")


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)


def _add_python(tar: tarfile.TarFile) -> None:
    program = os.path.realpath(sys.executable)
    library = sysconfig.get_path("stdlib")
    tar.add(program, program.lstrip("/"))
    if program != "/usr/bin/python3":
        _link(tar, "usr/bin/python3", program)
    tar.add(library, library.lstrip("/"), filter=_wanted)
    extensions = [str(one) for one in Path(library, "lib-dynload").glob("*.so")]
    for path in sorted({one for file in (program, *extensions) for one in _libraries(file)}):
        tar.add(os.path.realpath(path), path.lstrip("/"))


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if set(member.name.split("/")) & set(_LEFT_OUT) else member


def _libraries(file: str) -> list[str]:
    listed = subprocess.run(["ldd", file], capture_output=True, check=False).stdout.decode()
    return [word for word in listed.split() if word.startswith("/") and not word.endswith(":")]
